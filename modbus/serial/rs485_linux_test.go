package serial

import (
	"errors"
	"strings"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// driver is a port's RS-485 settings in memory.
type driver struct {
	set    kernelRS485
	refuse error
	cannot func(*kernelRS485) // what it changes in settings it is given
}

func (d *driver) ioctl(req uint, arg unsafe.Pointer) error {
	switch {
	case d.refuse != nil:
		return d.refuse
	case req == unix.TIOCGRS485:
		*(*kernelRS485)(arg) = d.set
	case req == unix.TIOCSRS485:
		if d.cannot != nil {
			d.cannot((*kernelRS485)(arg))
		}
		d.set = *(*kernelRS485)(arg)
	}
	return nil
}

func TestRS485KeepsWhatIsNotConfigured(t *testing.T) {
	const other = 1 << 7
	tests := []struct {
		config RS485
		want   kernelRS485
	}{
		{RS485{}, kernelRS485{flags: other | rs485Enabled | rtsOnSend}},
		{RS485{RTSAfterSend: true}, kernelRS485{flags: other | rs485Enabled | rtsAfterSend}},
		{
			RS485{HearSelf: true, Terminate: true, DelayBefore: 2 * time.Millisecond, DelayAfter: time.Millisecond},
			kernelRS485{flags: other | rs485Enabled | rtsOnSend | rs485HearSelf | rs485Terminate, delayBefore: 2, delayAfter: 1},
		},
	}
	for _, tt := range tests {
		d := driver{set: kernelRS485{flags: other | rtsAfterSend | rs485HearSelf, rest: [5]uint32{0xA1B2}}}
		tt.want.rest = d.set.rest
		if err := setRS485(d.ioctl, tt.config); err != nil || d.set != tt.want {
			t.Errorf("%+v: got %+v, %v, want %+v", tt.config, d.set, err, tt.want)
		}
	}
}

func TestRS485ErrorIsToldUnlessUnsupported(t *testing.T) {
	for _, unknown := range []error{unix.ENOTTY, unix.EINVAL} {
		if err := setRS485((&driver{refuse: unknown}).ioctl, RS485{}); err != nil {
			t.Errorf("%v: %v", unknown, err)
		}
	}
	if err := setRS485((&driver{refuse: unix.EIO}).ioctl, RS485{}); !errors.Is(err, unix.EIO) {
		t.Errorf("got %v, want %v", err, unix.EIO)
	}
}

func TestRS485ThatTheDriverCannotDoIsTold(t *testing.T) {
	c := RS485{HearSelf: true, Terminate: true, DelayBefore: 2 * time.Millisecond}
	tests := []struct {
		cannot func(*kernelRS485)
		want   string
	}{
		{func(*kernelRS485) {}, ""},
		{func(k *kernelRS485) { k.flags |= 1 << 8 }, ""}, // nothing that was asked for
		{func(k *kernelRS485) { k.flags &^= rs485Enabled }, "can't do RS-485"},
		{func(k *kernelRS485) { k.flags ^= rtsOnSend | rtsAfterSend }, "this level of RTS"},
		{func(k *kernelRS485) { k.flags &^= rs485Terminate | rs485HearSelf }, "receiving while sending as configured, termination as configured"},
		{func(k *kernelRS485) { k.delayBefore = 0 }, "these delays"},
	}
	for _, tt := range tests {
		err := setRS485((&driver{cannot: tt.cannot}).ioctl, c)
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("got %v, want %q", err, tt.want)
		}
	}
}

func TestRS485LayoutIsTheKernels(t *testing.T) {
	if n := unsafe.Sizeof(kernelRS485{}); n != 32 {
		t.Errorf("struct serial_rs485 has %d bytes, want 32", n)
	}
}

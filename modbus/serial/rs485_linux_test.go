package serial

import (
	"errors"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// driver is a port's RS-485 settings in memory.
type driver struct {
	set    kernelRS485
	refuse error
}

func (d *driver) ioctl(req uint, arg unsafe.Pointer) error {
	switch {
	case d.refuse != nil:
		return d.refuse
	case req == unix.TIOCGRS485:
		*(*kernelRS485)(arg) = d.set
	case req == unix.TIOCSRS485:
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
		d := driver{set: kernelRS485{flags: other | rtsAfterSend | rs485HearSelf}}
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

func TestRS485LayoutIsTheKernels(t *testing.T) {
	if n := unsafe.Sizeof(kernelRS485{}); n != 32 {
		t.Errorf("struct serial_rs485 has %d bytes, want 32", n)
	}
	if n := unsafe.Sizeof(icounter{}); n != 80 {
		t.Errorf("struct serial_icounter_struct has %d bytes, want 80", n)
	}
}

package serial

import (
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// tally is a driver that counts line errors, or fails to.
type tally struct {
	n      icounter
	refuse error
}

func (d *tally) ioctl(req uint, arg unsafe.Pointer) error {
	if d.refuse != nil || req != unix.TIOCGICOUNT {
		return d.refuse
	}
	*(*icounter)(arg) = d.n
	return nil
}

func TestLineErrorsAreCountedFromOpening(t *testing.T) {
	d := &tally{n: icounter{frame: 7, parity: 1<<32 - 2}}
	c := &companion{control: d.ioctl}
	c.before, c.counts = readCounters(c.control)
	if e, ok := c.lineErrors(); e != (LineErrors{}) || !ok {
		t.Errorf("at once: %+v, %v", e, ok)
	}
	d.n.frame, d.n.parity, d.n.overrun, d.n.breaks, d.n.bufferOverrun = 8, 1, 4, 5, 6
	want := LineErrors{Frame: 1, Overrun: 4, Parity: 3, Break: 5, BufferOverrun: 6} // parity wrapped around
	if e, ok := c.lineErrors(); e != want || !ok {
		t.Errorf("got %+v, %v, want %+v", e, ok, want)
	}
}

func TestDriverThatDoesNotCountSaysSo(t *testing.T) {
	for _, err := range []error{unix.ENOTTY, unix.EINVAL, unix.EIO} {
		d := &tally{refuse: err}
		c := &companion{control: d.ioctl}
		c.before, c.counts = readCounters(c.control)
		d.refuse = nil // it does later: from when on is not known
		if e, ok := c.lineErrors(); ok || e != (LineErrors{}) {
			t.Errorf("%v: %+v, %v", err, e, ok)
		}
	}
	d := &tally{}
	c := &companion{control: d.ioctl}
	c.before, c.counts = readCounters(c.control)
	d.refuse = unix.EIO // unplugged
	if e, ok := c.lineErrors(); ok || e != (LineErrors{}) {
		t.Errorf("unplugged: %+v, %v", e, ok)
	}
}

func TestCounterLayoutIsTheKernels(t *testing.T) {
	if n := unsafe.Sizeof(icounter{}); n != 80 {
		t.Errorf("struct serial_icounter_struct has %d bytes, want 80", n)
	}
	if n := unsafe.Offsetof(icounter{}.bufferOverrun); n != 40 {
		t.Errorf("buf_overrun lies at %d, want 40", n)
	}
}

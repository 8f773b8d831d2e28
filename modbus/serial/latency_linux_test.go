package serial

import (
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// adapter is a driver's serial settings in memory.
type adapter struct {
	k          kernelSerial
	get, set   error
	gets, sets int
}

func (a *adapter) ioctl(req uint, arg unsafe.Pointer) error {
	switch req {
	case unix.TIOCGSERIAL:
		a.gets++
		if a.get == nil {
			*(*kernelSerial)(arg) = a.k
		}
		return a.get
	case unix.TIOCSSERIAL:
		a.sets++
		if a.set == nil {
			a.k = *(*kernelSerial)(arg)
		}
		return a.set
	}
	return unix.ENOTTY
}

func TestLowLatencyKeepsTheOtherSettings(t *testing.T) {
	const other = 1<<4 | 1<<28
	a := adapter{k: kernelSerial{flags: other, portHigh: 3}}
	setLowLatency(a.ioctl)
	if want := (kernelSerial{flags: other | asyncLowLatency, portHigh: 3}); a.k != want {
		t.Errorf("got %+v, want %+v", a.k, want)
	}
	setLowLatency(a.ioctl)
	if a.sets != 1 {
		t.Errorf("set %d times, want once", a.sets)
	}
}

func TestLowLatencyIsNotForced(t *testing.T) {
	for _, err := range []error{unix.ENOTTY, unix.EINVAL, unix.EIO, unix.EPERM} {
		a := adapter{get: err}
		if setLowLatency(a.ioctl); a.sets != 0 {
			t.Errorf("%v: set without having been read", err)
		}
		a = adapter{set: err}
		if setLowLatency(a.ioctl); a.sets != 1 || a.k != (kernelSerial{}) {
			t.Errorf("%v: set %d times to %+v", err, a.sets, a.k)
		}
	}
}

func TestSerialLayoutIsTheKernels(t *testing.T) {
	want := uintptr(60) // where a pointer has 4 bytes
	if unsafe.Sizeof(uintptr(0)) == 8 {
		want = 72
	}
	if n := unsafe.Sizeof(kernelSerial{}); n != want {
		t.Errorf("struct serial_struct has %d bytes, want %d", n, want)
	}
	if n := unsafe.Offsetof(kernelSerial{}.flags); n != 16 {
		t.Errorf("flags lie at %d, want 16", n)
	}
}

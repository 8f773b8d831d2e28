package serial

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// companion is a second descriptor of the device.
type companion struct {
	fd int
}

// maxFD is the greatest descriptor a port may get. The library waits with
// select(2), whose sets end at 1023; opening takes a few numbers more.
const maxFD = 1000

// openCompanion locks the device and prepares it. It comes before the library's
// opening, which makes the device exclusive.
func openCompanion(c Config) (*companion, error) {
	fd, err := unix.Open(c.Device, unix.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	if err := prepare(fd, c); err != nil {
		return nil, errors.Join(err, unix.Close(fd))
	}
	return &companion{fd: fd}, nil
}

func prepare(fd int, c Config) error {
	if fd >= maxFD {
		return fmt.Errorf("%d files are open; a serial port needs a descriptor below %d", fd, maxFD)
	}
	if err := unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return err
	}
	if c.RS485 == nil {
		return nil // some adapters break when merely asked
	}
	return setRS485(func(req uint, arg unsafe.Pointer) error { return ioctl(fd, req, arg) }, *c.RS485)
}

// alone runs the library's opening so that no child process inherits the port
// and no write blocks.
func (c *companion) alone(open func() error) error {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	if err := open(); err != nil {
		return err
	}
	var own unix.Stat_t
	if err := unix.Fstat(c.fd, &own); err != nil {
		return err
	}
	if isPTY(own.Rdev) {
		// A pseudo-terminal stays exclusive after its process was killed, until
		// the other end closes; a real port does not. The lock has to do.
		_ = unix.IoctlSetInt(c.fd, unix.TIOCNXCL, 0)
	}
	return c.claim(own.Rdev)
}

// isPTY reports whether a device is the near end of a pseudo-terminal: major
// numbers 136 to 143 of the kernel's list of devices.
func isPTY(rdev uint64) bool {
	major := unix.Major(rdev)
	return major >= 136 && major <= 143
}

// claim finds the library's descriptor, which it keeps to itself, leaves to
// child processes and makes block: on a pseudo-terminal not even throwing away
// its output frees a blocked write.
func (c *companion) claim(rdev uint64) error {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return err
	}
	for _, e := range entries {
		var s unix.Stat_t
		fd, err := strconv.Atoi(e.Name())
		if err != nil || unix.Fstat(fd, &s) != nil || s.Mode&unix.S_IFMT != unix.S_IFCHR || s.Rdev != rdev {
			continue
		}
		unix.CloseOnExec(fd)
		if err := unix.SetNonblock(fd, true); err != nil {
			return err
		}
	}
	return nil
}

// icounter is struct serial_icounter_struct of linux/serial.h.
type icounter struct {
	_                                             [6]int32 // modem lines, bytes in, bytes out
	frame, overrun, parity, breaks, bufferOverrun int32
	_                                             [9]int32
}

func (c *companion) lineErrors() (e LineErrors, ok bool) {
	var n icounter
	if err := ioctl(c.fd, unix.TIOCGICOUNT, unsafe.Pointer(&n)); err != nil {
		return LineErrors{}, false
	}
	return LineErrors{uint32(n.frame), uint32(n.overrun), uint32(n.parity), uint32(n.breaks), uint32(n.bufferOverrun)}, true
}

// close gives the lock back.
func (c *companion) close() { _ = unix.Close(c.fd) }

func ioctl(fd int, req uint, arg unsafe.Pointer) error {
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), uintptr(req), uintptr(arg))
	if errno != 0 {
		return errno
	}
	return nil
}

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
	fd      int
	control control
	before  icounter // when the port was opened
	counts  bool     // the driver counts
}

// control is ioctl(2) on an open device.
type control func(req uint, arg unsafe.Pointer) error

// unsupported reports whether an error means that a driver has no such call. A
// pseudo-terminal has none.
func unsupported(err error) bool {
	return errors.Is(err, unix.ENOTTY) || errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EOPNOTSUPP)
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
	p := &companion{fd: fd, control: func(req uint, arg unsafe.Pointer) error { return ioctl(fd, req, arg) }}
	if err := p.prepare(c); err != nil {
		return nil, errors.Join(err, unix.Close(fd))
	}
	return p, nil
}

func (c *companion) prepare(config Config) error {
	if c.fd >= maxFD {
		return fmt.Errorf("%d files are open; a serial port needs a descriptor below %d", c.fd, maxFD)
	}
	if err := unix.Flock(c.fd, unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return err
	}
	c.before, c.counts = readCounters(c.control)
	setLowLatency(c.control)
	if config.RS485 == nil {
		return nil // some adapters break when merely asked
	}
	return setRS485(c.control, *config.RS485)
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
	if isPTY(uint64(own.Rdev)) {
		// A pseudo-terminal stays exclusive after its process was killed, until
		// the other end closes; a real port does not. The lock has to do.
		_ = unix.IoctlSetInt(c.fd, unix.TIOCNXCL, 0)
	}
	return c.claim(uint64(own.Rdev))
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
		if err != nil || unix.Fstat(fd, &s) != nil || s.Mode&unix.S_IFMT != unix.S_IFCHR || uint64(s.Rdev) != rdev {
			continue
		}
		unix.CloseOnExec(fd)
		if err := unix.SetNonblock(fd, true); err != nil {
			return err
		}
	}
	return nil
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

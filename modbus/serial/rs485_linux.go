package serial

import (
	"errors"
	"fmt"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// kernelRS485 is struct serial_rs485 of linux/serial.h.
type kernelRS485 struct {
	flags       uint32
	delayBefore uint32 // milliseconds
	delayAfter  uint32 // milliseconds
	_           [5]uint32
}

// The flags of kernelRS485.
const (
	rs485Enabled   = 1 << 0
	rtsOnSend      = 1 << 1
	rtsAfterSend   = 1 << 2
	rs485HearSelf  = 1 << 4
	rs485Terminate = 1 << 5
)

// setRS485 changes what is configured and leaves the driver's other settings as
// they are. A driver that knows no RS-485 is left alone: its adapter switches
// direction on its own, or the port is a pseudo-terminal.
func setRS485(ioctl func(req uint, arg unsafe.Pointer) error, c RS485) error {
	var k kernelRS485
	err := ioctl(unix.TIOCGRS485, unsafe.Pointer(&k))
	if unsupported(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read RS-485 settings: %w", err)
	}
	k.flags &^= rtsOnSend | rtsAfterSend | rs485HearSelf | rs485Terminate
	k.flags |= rs485Enabled
	if c.RTSAfterSend {
		k.flags |= rtsAfterSend
	} else {
		k.flags |= rtsOnSend
	}
	if c.HearSelf {
		k.flags |= rs485HearSelf
	}
	if c.Terminate {
		k.flags |= rs485Terminate
	}
	k.delayBefore = uint32(c.DelayBefore / time.Millisecond)
	k.delayAfter = uint32(c.DelayAfter / time.Millisecond)
	if err := ioctl(unix.TIOCSRS485, unsafe.Pointer(&k)); err != nil && !unsupported(err) {
		return fmt.Errorf("set RS-485: %w", err)
	}
	return nil
}

func unsupported(err error) bool {
	return errors.Is(err, unix.ENOTTY) || errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EOPNOTSUPP)
}

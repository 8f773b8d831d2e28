package serial

import (
	"fmt"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// kernelRS485 is struct serial_rs485 of linux/serial.h.
type kernelRS485 struct {
	flags       uint32
	delayBefore uint32 // milliseconds
	delayAfter  uint32 // milliseconds
	rest        [5]uint32
}

// The flags of kernelRS485.
const (
	rs485Enabled   = 1 << 0
	rtsOnSend      = 1 << 1
	rtsAfterSend   = 1 << 2
	rs485HearSelf  = 1 << 4
	rs485Terminate = 1 << 5
	rs485Asked     = rs485Enabled | rtsOnSend | rtsAfterSend | rs485HearSelf | rs485Terminate
)

// setRS485 changes what is configured and leaves the driver's other settings as
// they are. A driver that knows no RS-485 is left alone: its adapter switches
// direction on its own, or the port is a pseudo-terminal. One that knows it, but
// not as configured, is an error.
func setRS485(ctl control, c RS485) error {
	var k kernelRS485
	err := ctl(unix.TIOCGRS485, unsafe.Pointer(&k))
	if unsupported(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read RS-485 settings: %w", err)
	}
	want := c.applied(k)
	k = want
	err = ctl(unix.TIOCSRS485, unsafe.Pointer(&k)) // k is then what the driver took
	switch {
	case unsupported(err):
		return nil
	case err != nil:
		return fmt.Errorf("set RS-485: %w", err)
	}
	return want.taken(k)
}

// applied returns settings with what is configured.
func (r RS485) applied(k kernelRS485) kernelRS485 {
	k.flags = k.flags&^rs485Asked | rs485Enabled
	if r.RTSAfterSend {
		k.flags |= rtsAfterSend
	} else {
		k.flags |= rtsOnSend
	}
	if r.HearSelf {
		k.flags |= rs485HearSelf
	}
	if r.Terminate {
		k.flags |= rs485Terminate
	}
	k.delayBefore = uint32(r.DelayBefore / time.Millisecond)
	k.delayAfter = uint32(r.DelayAfter / time.Millisecond)
	return k
}

// taken names what a driver that took got would not do.
func (k kernelRS485) taken(got kernelRS485) error {
	var refused []string
	for _, f := range []struct {
		flags uint32
		name  string
	}{
		{rs485Enabled, "RS-485"},
		{rtsOnSend | rtsAfterSend, "this level of RTS"},
		{rs485HearSelf, "receiving while sending as configured"},
		{rs485Terminate, "termination as configured"},
	} {
		if (k.flags^got.flags)&f.flags != 0 {
			refused = append(refused, f.name)
		}
	}
	if k.delayBefore != got.delayBefore || k.delayAfter != got.delayAfter {
		refused = append(refused, "these delays")
	}
	if refused == nil {
		return nil
	}
	return fmt.Errorf("set RS-485: the driver can't do %s", strings.Join(refused, ", "))
}

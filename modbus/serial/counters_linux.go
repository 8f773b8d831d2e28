package serial

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// icounter is struct serial_icounter_struct of linux/serial.h.
type icounter struct {
	_                                             [6]int32 // modem lines, bytes in, bytes out
	frame, overrun, parity, breaks, bufferOverrun uint32
	_                                             [9]int32
}

// readCounters returns what a driver has counted; ok is false where it doesn't.
func readCounters(ctl control) (n icounter, ok bool) {
	err := ctl(unix.TIOCGICOUNT, unsafe.Pointer(&n))
	return n, err == nil
}

// lineErrors returns what was counted since the port was opened. The kernel's
// counters wrap around, which a difference doesn't notice.
func (c *companion) lineErrors() (e LineErrors, ok bool) {
	n, ok := readCounters(c.control)
	if !ok || !c.counts {
		return LineErrors{}, false
	}
	return LineErrors{
		Frame:         n.frame - c.before.frame,
		Overrun:       n.overrun - c.before.overrun,
		Parity:        n.parity - c.before.parity,
		Break:         n.breaks - c.before.breaks,
		BufferOverrun: n.bufferOverrun - c.before.bufferOverrun,
	}, true
}

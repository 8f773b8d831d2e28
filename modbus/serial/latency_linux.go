package serial

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// kernelSerial is struct serial_struct of linux/serial.h.
type kernelSerial struct {
	kind, line, port, irq     int32
	flags                     int32
	fifo, divisor, base       int32
	closeDelay                uint16
	access, reserved          int8
	hub                       int32
	closingWait, closingWait2 uint16
	memory                    uintptr
	registerShift             uint16
	portHigh                  uint32
	mapBase                   uintptr
}

// asyncLowLatency has a driver hand bytes on at once. The FTDI driver, for one,
// collects them for 16 ms otherwise.
const asyncLowLatency = 1 << 13

// setLowLatency leaves the driver's other settings as they are. A driver that
// knows nothing of it or refuses costs time, not the line.
func setLowLatency(ctl control) {
	var k kernelSerial
	if err := ctl(unix.TIOCGSERIAL, unsafe.Pointer(&k)); err != nil || k.flags&asyncLowLatency != 0 {
		return
	}
	k.flags |= asyncLowLatency
	_ = ctl(unix.TIOCSSERIAL, unsafe.Pointer(&k))
}

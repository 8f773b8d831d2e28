package listen

import (
	"encoding/binary"

	"skyhaul/modbus"
)

// The lengths of an RTU frame. MODBUS over Serial Line V1.02, section 2.5.1.
const (
	minFrame = 4
	maxFrame = 1 + modbus.MaxPDU + 2
)

// lastUnit is the greatest unit id. MODBUS over Serial Line V1.02, section 2.2.
const lastUnit = 247

// requestLength returns how long the request is that b begins with, or a length
// that b has to reach to tell; 0 if none begins so.
func requestLength(b []byte, d modbus.Dialect) int {
	const fixed = 3 // function and address, before the item that function 6 writes
	p := modbus.PDU(b[1:])
	if p.Function() == modbus.FuncWriteRegister && len(p) >= fixed {
		if n := d.ItemBytes(modbus.FuncWriteRegister, binary.BigEndian.Uint16(p[1:])); n > 0 {
			return framed(fixed + n)
		}
	}
	return framed(modbus.RequestLength(p))
}

// answerLength is requestLength for an answer.
func answerLength(b []byte, d modbus.Dialect) int {
	if p := modbus.PDU(b[1:]); p.Function() == modbus.FuncWriteRegister {
		return requestLength(b, d)
	}
	return framed(modbus.AnswerLength(b[1:]))
}

// framed returns the length of the frame around a PDU, 0 for none.
func framed(pdu int) int {
	if pdu == 0 {
		return 0
	}
	return 1 + pdu + 2
}

// intact reports whether a frame ends with its own checksum.
func intact(frame []byte) bool {
	n := len(frame) - 2
	return len(frame) >= minFrame && crc(frame[:n]) == binary.LittleEndian.Uint16(frame[n:])
}

// crc returns the checksum of an RTU frame. MODBUS over Serial Line V1.02,
// section 6.2.2.
func crc(b []byte) uint16 {
	r := uint16(0xFFFF)
	for _, c := range b {
		r = r>>8 ^ crcTable[byte(r)^c]
	}
	return r
}

var crcTable = func() (t [256]uint16) {
	for i := range t {
		r := uint16(i)
		for range 8 {
			r = r>>1 ^ r&1*0xA001
		}
		t[i] = r
	}
	return t
}()

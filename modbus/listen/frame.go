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
func requestLength(b []byte, d modbus.Dialect) int { return framed(d.RequestLength(b[1:])) }

// answerLength is requestLength for an answer.
func answerLength(b []byte, d modbus.Dialect) int { return framed(d.AnswerLength(b[1:])) }

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
	return len(frame) >= minFrame && modbus.CRC(frame[:n]) == binary.LittleEndian.Uint16(frame[n:])
}

package modbus

import (
	"encoding/binary"
	"fmt"
)

// mbapSize is the length of the header with the unit id.
const mbapSize = 7

// mbap is the header of a frame on TCP. TCP, section 3.1.3.
type mbap struct {
	transaction uint16
	unit        UnitID
	size        int // bytes of the PDU that follows: 1 to MaxPDU
}

// appendTCP appends the TCP frame of a PDU:
//
//	0             2              4              6         7
//	transaction | protocol = 0 | length = n+1 | unit id | PDU of n bytes
func appendTCP(dst []byte, transaction uint16, unit UnitID, p PDU) []byte {
	dst = binary.BigEndian.AppendUint16(dst, transaction)
	dst = append(dst, 0, 0)
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(p)+1))
	return append(append(dst, byte(unit)), p...)
}

// parseMBAP reads the header of the frame that b begins with; ok is false until
// it is complete. An error means that the stream is out of step for good.
func parseMBAP(b []byte) (h mbap, ok bool, err error) {
	if len(b) < mbapSize {
		return mbap{}, false, nil
	}
	protocol, length := binary.BigEndian.Uint16(b[2:]), int(binary.BigEndian.Uint16(b[4:]))
	if protocol != 0 || length < 2 || length > 1+MaxPDU {
		return mbap{}, false, fmt.Errorf("no MBAP header: % X", b[:mbapSize])
	}
	return mbap{binary.BigEndian.Uint16(b), UnitID(b[6]), length - 1}, true, nil
}

// frameTCP returns the header and PDU of the frame that b begins with and its
// whole length, which is 0 until the frame is complete.
func frameTCP(b []byte) (h mbap, p PDU, length int, err error) {
	h, ok, err := parseMBAP(b)
	if !ok || len(b) < mbapSize+h.size {
		return h, nil, 0, err
	}
	return h, b[mbapSize : mbapSize+h.size], mbapSize + h.size, nil
}

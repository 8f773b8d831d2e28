package modbus

import (
	"encoding/binary"
	"fmt"
)

// noAnswer says that p is not what was asked for.
func noAnswer(fc FunctionCode, p PDU) error {
	return fmt.Errorf("no answer to function %d: % X", fc, []byte(p))
}

// counted returns what follows in a PDU of function fc whose second byte counts
// it:
//
//	0          1             2
//	function | byte count n | n bytes
func counted(fc FunctionCode, p PDU) ([]byte, error) {
	if p.Function() != fc || len(p) < 2 || int(p[1]) != len(p)-2 {
		return nil, noAnswer(fc, p)
	}
	return p[2:], nil
}

// Registers returns the registers, or the words of greater items, in the answer
// to function code 3, 4 or 23.
func Registers(resp PDU) ([]uint16, error) {
	switch fc := resp.Function(); fc {
	case FuncReadHoldingRegisters, FuncReadInputRegisters, FuncReadWriteRegisters:
		b, err := counted(fc, resp)
		if err == nil && len(b)%2 == 0 {
			return words(b), nil
		}
	}
	return nil, fmt.Errorf("no registers: % X", []byte(resp))
}

// Bits returns the first quantity bits in the answer to function code 1 or 2.
func Bits(resp PDU, quantity int) ([]bool, error) {
	fc := resp.Function()
	b, err := counted(fc, resp)
	if err != nil || !fc.Reads() || !fc.Bits() || quantity < 0 || len(b) != fc.size(quantity) {
		return nil, fmt.Errorf("no %d bits: % X", quantity, []byte(resp))
	}
	return unpackBits(b, quantity), nil
}

// appendBits packs bits, the first in the lowest bit of the first byte.
// V1.1b3, section 6.1.
func appendBits(p []byte, bits []bool) []byte {
	start := len(p)
	for i, on := range bits {
		if i%8 == 0 {
			p = append(p, 0)
		}
		if on {
			p[start+i/8] |= 1 << (i % 8)
		}
	}
	return p
}

// unpackBits is the inverse of appendBits.
func unpackBits(b []byte, quantity int) []bool {
	bits := make([]bool, quantity)
	for i := range bits {
		bits[i] = b[i/8]>>(i%8)&1 == 1
	}
	return bits
}

func appendRegisters(p []byte, values []uint16) []byte {
	for _, v := range values {
		p = binary.BigEndian.AppendUint16(p, v)
	}
	return p
}

// words is the inverse of appendRegisters.
func words(b []byte) []uint16 {
	values := make([]uint16, len(b)/2)
	for i := range values {
		values[i] = binary.BigEndian.Uint16(b[2*i:])
	}
	return values
}

package modbus

import (
	"encoding/binary"
	"fmt"
)

// readData returns the values in the answer to a read:
//
//	0          1             2
//	function | byte count n | n bytes
func readData(resp PDU) ([]byte, error) {
	if !resp.Function().Reads() || len(resp) < 2 || int(resp[1]) != len(resp)-2 {
		return nil, fmt.Errorf("no answer to a read: % X", []byte(resp))
	}
	return resp[2:], nil
}

// Registers returns the registers in the answer to function code 3 or 4.
func Registers(resp PDU) ([]uint16, error) {
	b, err := readData(resp)
	if err != nil {
		return nil, err
	}
	if resp.Function().Bits() || len(b)%2 != 0 {
		return nil, fmt.Errorf("function %d with %d bytes carries no registers", resp.Function(), len(b))
	}
	values := make([]uint16, len(b)/2)
	for i := range values {
		values[i] = binary.BigEndian.Uint16(b[2*i:])
	}
	return values, nil
}

// Bits returns the first quantity bits in the answer to function code 1 or 2.
func Bits(resp PDU, quantity int) ([]bool, error) {
	b, err := readData(resp)
	if err != nil {
		return nil, err
	}
	if !resp.Function().Bits() || quantity < 0 || len(b) != resp.Function().size(quantity) {
		return nil, fmt.Errorf("function %d with %d bytes carries no %d bits", resp.Function(), len(b), quantity)
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

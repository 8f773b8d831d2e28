package listen

import (
	"encoding/binary"

	"skyhaul/modbus"
)

// The lengths of an RTU frame. MODBUS over Serial Line V1.02, section 2.5.1.
const (
	minFrame = 4
	maxFrame = 256
)

// lastUnit is the greatest unit id. MODBUS over Serial Line V1.02, section 2.2.
const lastUnit = 247

// layout says how long a PDU is: size bytes, and where a byte count stands at
// count, as many more.
type layout struct{ size, count int }

// V1.1b3, section 6. Function 43 has another layout, see objects.
var (
	requests = map[modbus.FunctionCode]layout{
		1: {5, 0}, 2: {5, 0}, 3: {5, 0}, 4: {5, 0}, 5: {5, 0}, 6: {5, 0},
		7: {1, 0}, 8: {5, 0}, 11: {1, 0}, 12: {1, 0}, 15: {6, 5}, 16: {6, 5}, 17: {1, 0},
		20: {2, 1}, 21: {2, 1}, 22: {7, 0}, 23: {10, 9}, 24: {3, 0}, 43: {4, 0},
	}
	answers = map[modbus.FunctionCode]layout{
		1: {2, 1}, 2: {2, 1}, 3: {2, 1}, 4: {2, 1}, 5: {5, 0}, 6: {5, 0},
		7: {2, 0}, 8: {5, 0}, 11: {5, 0}, 12: {2, 1}, 15: {5, 0}, 16: {5, 0}, 17: {2, 1},
		20: {2, 1}, 21: {2, 1}, 22: {7, 0}, 23: {2, 1}, 24: {3, 2},
	}
)

const (
	exceptionBit = 0x80
	exceptionPDU = 2
	funcEncap    = 43
)

// need is what length returns while more bytes have to come before it is known.
const need = -1

// length returns the length of the frame of this layout that b begins with; 0
// if there is none.
func length(table map[modbus.FunctionCode]layout, b []byte) int {
	if len(b) < 2 {
		return need
	}
	l, ok := table[modbus.FunctionCode(b[1])]
	switch {
	case !ok:
		return 0
	case l.count == 0:
		return 1 + l.size + 2
	case len(b) < 2+l.count:
		return need
	}
	return within(1 + l.size + int(b[1+l.count]) + 2)
}

func within(n int) int {
	if n > maxFrame {
		return 0
	}
	return n
}

func requestLength(b []byte) int { return length(requests, b) }

func answerLength(b []byte) int {
	switch {
	case len(b) > 1 && b[1]&exceptionBit != 0:
		return 1 + exceptionPDU + 2
	case len(b) > 1 && b[1] == funcEncap:
		return objects(b)
	}
	return length(answers, b)
}

// objects returns the length of an answer of function 43, which is a list:
//
//	0      1    2    3      4            5      6      7       | 8    9
//	unit | 43 | 14 | code | conformity | more | next | objects | id | length | ...
//
// V1.1b3, section 6.21.
func objects(b []byte) int {
	const head = 8
	if len(b) < head {
		return need
	}
	n := head
	for range b[head-1] {
		if len(b) < n+2 {
			return need
		}
		n += 2 + int(b[n+1])
		if within(n+2) == 0 {
			return 0
		}
	}
	return within(n + 2)
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

package modbus

import (
	"bytes"
	"fmt"
)

// shape is what the answer to a request must look like. Two requests whose
// answers can't be told apart have equal shapes.
type shape struct {
	unit  UnitID
	size  uint8   // bytes of the PDU
	fixed uint8   // how many of them the request prescribes
	head  [5]byte // those: function and byte count, or function, address and what was written
}

// shapeOf returns the shape of the answer to req.
func shapeOf(unit UnitID, req PDU) (shape, error) {
	size, ok := ResponseLength(req)
	if !ok {
		return shape{}, fmt.Errorf("unit %d: % X is no request of function 1 to 6, 15 or 16", unit, []byte(req))
	}
	s := shape{unit: unit, size: uint8(size), fixed: 5}
	copy(s.head[:], req)
	if req.Function().Reads() {
		s.fixed, s.head = 2, [5]byte{req[0], byte(size - 2)}
	}
	return s, nil
}

// function returns the function code of the request.
func (s shape) function() FunctionCode { return FunctionCode(s.head[0]) }

// repeats reports whether the answer is a copy of the request.
func (s shape) repeats() bool {
	return s.function() == FuncWriteCoil || s.function() == FuncWriteRegister
}

// accepts reports whether p may answer: with what was asked for or with an exception.
func (s shape) accepts(p PDU) bool {
	if exception, ok := p.exception(); ok {
		return p.Function()&^exceptionBit == s.function() && exception != 0
	}
	return len(p) == int(s.size) && bytes.Equal(p[:s.fixed], s.head[:s.fixed])
}

// exception returns the code of an exception answer.
func (p PDU) exception() (e Exception, ok bool) {
	if len(p) != 2 || p[0]&exceptionBit == 0 {
		return 0, false
	}
	return Exception(p[1]), true
}

// exceptionRTU is the length of an exception answer with unit id and CRC.
const exceptionRTU = 5

// agree compares the start of an RTU frame. It returns how long the frame is to
// be and how many of its first bytes are as prescribed; agreed is 0 if one is not.
func (s shape) agree(b []byte) (length, agreed int) {
	if len(b) == 0 || b[0] != byte(s.unit) {
		return 0, 0
	}
	p := b[1:]
	if len(p) > 0 && p[0] == s.head[0]|exceptionBit {
		return exceptionRTU, 2
	}
	n := min(len(p), int(s.fixed))
	if !bytes.Equal(p[:n], s.head[:n]) {
		return 0, 0
	}
	return 1 + int(s.size) + 2, 1 + n
}

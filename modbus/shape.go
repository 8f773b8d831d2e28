package modbus

import (
	"encoding/binary"
	"fmt"
)

// shape is what the answer to a request must look like. Two requests whose
// answers can't be told apart have equal shapes.
type shape struct {
	unit   UnitID
	head   string // the first bytes of the answer, which the request prescribes: at least the function
	layout layout // how long it is: what the request doesn't prescribe the answer itself tells
}

// shapeOf returns the shape of the answer to req of a unit that speaks d.
func (d Dialect) shapeOf(unit UnitID, req PDU) (shape, error) {
	r, err := d.ParseRequest(req)
	if err != nil {
		return shape{}, fmt.Errorf("unit %d: no request to send: % X", unit, []byte(req))
	}
	s := shape{unit: unit, head: string(req[:1]), layout: layouts[r.Function].answer}
	switch fc := r.Function; fc {
	case FuncReadCoils, FuncReadDiscreteInputs, FuncReadHoldingRegisters, FuncReadInputRegisters:
		return readShape(unit, fc, d.size(fc, r.Addr, r.Quantity)), nil
	case FuncReadWriteRegisters:
		return readShape(unit, fc, 2*r.ReadQuantity), nil
	case FuncReadFileRecords:
		spans, _ := parseSpans(req) // which ParseRequest did as well
		s = readShape(unit, fc, fileAnswer(spans))
		s.head += string([]byte{fileHead(spans[0]), fileReference})
	case FuncWriteCoil, FuncWriteRegister, FuncMaskRegister, FuncWriteFileRecords:
		s.prescribe(req)
	case FuncDiagnostics:
		s.prescribe(req)
		if Diagnostic(binary.BigEndian.Uint16(req[1:])).answersValue() {
			s.head = s.head[:3]
		}
	case FuncWriteCoils, FuncWriteRegisters:
		s.head = string(req[:5])
	case FuncReadQueue:
		s.head += "\x00" // at most 64 bytes follow
	case FuncReadDeviceIdentity:
		s.head = string(req[:3])
	}
	return s, nil
}

// prescribe makes the answer a copy of the request.
func (s *shape) prescribe(req PDU) {
	s.head, s.layout = string(req), layout{size: uint8(len(req))}
}

// readShape returns the shape of an answer with so many bytes behind a count of
// them, or with any number if size is negative.
func readShape(unit UnitID, fc FunctionCode, size int) shape {
	if size < 0 {
		return shape{unit, string([]byte{byte(fc)}), layouts[fc].answer}
	}
	return shape{unit, string([]byte{byte(fc), byte(size)}), layout{size: uint8(2 + size)}}
}

// Answers reports whether resp, which may be an exception, can answer req of a
// unit that speaks d.
func (d Dialect) Answers(req, resp PDU) bool {
	s, err := d.shapeOf(Broadcast, req)
	return err == nil && s.accepts(resp)
}

// function returns the function code of the request.
func (s shape) function() FunctionCode { return FunctionCode(s.head[0]) }

// repeats reports whether the answer may be a copy of the request.
func (s shape) repeats() bool {
	switch s.function() {
	case FuncWriteCoil, FuncWriteRegister, FuncDiagnostics, FuncWriteFileRecords, FuncMaskRegister:
		return true
	}
	return false
}

// accepts reports whether p may answer: with what was asked for or with an exception.
func (s shape) accepts(p PDU) bool {
	if exception, ok := p.exception(); ok {
		return p.Function()&^exceptionBit == s.function() && exception != 0
	}
	n := len(s.head)
	return len(p) >= n && string(p[:n]) == s.head && s.layout.reach(p) == len(p) && len(p) <= MaxPDU
}

// overlaps reports whether one PDU may be the normal answer to s and to q.
func (s shape) overlaps(q shape) bool {
	n := min(len(s.head), len(q.head))
	if s.head[:n] != q.head[:n] {
		return false
	}
	return s.layout.count > 0 || q.layout.count > 0 || s.layout.size == q.layout.size
}

// exception returns the code of an exception answer.
func (p PDU) exception() (e Exception, ok bool) {
	if len(p) != exceptionSize || p[0]&exceptionBit == 0 {
		return 0, false
	}
	return Exception(p[1]), true
}

// exceptionSize is the length of an exception answer.
const exceptionSize = 2

// agree compares the start of an RTU frame. It returns how long the frame is to
// be as far as can be told, and how many of its first bytes are as prescribed;
// agreed is 0 if one is not.
func (s shape) agree(b []byte) (length, agreed int) {
	if len(b) == 0 || b[0] != byte(s.unit) {
		return 0, 0
	}
	p := b[1:]
	if len(p) > 0 && p[0] == s.head[0]|exceptionBit {
		return sizeRTU(exceptionSize), 2
	}
	n := min(len(p), len(s.head))
	size := s.layout.reach(p)
	if string(p[:n]) != s.head[:n] || size > MaxPDU {
		return 0, 0
	}
	if s.layout.count > 0 && len(p) > int(s.layout.count) {
		n = int(s.layout.count) + 1 // it tells its length
	}
	return sizeRTU(size), 1 + n
}

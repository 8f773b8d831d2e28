package modbus

import "encoding/binary"

// FunctionCode says what a request wants.
type FunctionCode uint8

// The function codes this package builds and serves: all public ones of
// V1.1b3, section 6, but the transport of CANopen (43/13).
const (
	FuncReadCoils            FunctionCode = 1
	FuncReadDiscreteInputs   FunctionCode = 2
	FuncReadHoldingRegisters FunctionCode = 3
	FuncReadInputRegisters   FunctionCode = 4
	FuncWriteCoil            FunctionCode = 5
	FuncWriteRegister        FunctionCode = 6
	FuncReadExceptionStatus  FunctionCode = 7
	FuncDiagnostics          FunctionCode = 8
	FuncGetEventCounter      FunctionCode = 11
	FuncGetEventLog          FunctionCode = 12
	FuncWriteCoils           FunctionCode = 15
	FuncWriteRegisters       FunctionCode = 16
	FuncReportServerID       FunctionCode = 17
	FuncReadFileRecords      FunctionCode = 20
	FuncWriteFileRecords     FunctionCode = 21
	FuncMaskRegister         FunctionCode = 22
	FuncReadWriteRegisters   FunctionCode = 23
	FuncReadQueue            FunctionCode = 24
	FuncReadDeviceIdentity   FunctionCode = 43 // with MEI type 14 only
	meiDeviceIdentity                     = 14 // V1.1b3, section 6.21
	lastFunction                          = FuncReadDeviceIdentity
)

// Bits reports whether the items of fc are bits, not registers.
func (fc FunctionCode) Bits() bool {
	switch fc {
	case FuncReadCoils, FuncReadDiscreteInputs, FuncWriteCoil, FuncWriteCoils:
		return true
	}
	return false
}

// Reads reports whether fc is one of the four functions that read a table:
// 1 to 4.
func (fc FunctionCode) Reads() bool { return fc >= FuncReadCoils && fc <= FuncReadInputRegisters }

// Writes reports whether fc changes what a unit holds: 5, 6, 15, 16 and 21 to 23.
func (fc FunctionCode) Writes() bool {
	switch fc {
	case FuncWriteCoil, FuncWriteRegister, FuncWriteCoils, FuncWriteRegisters,
		FuncWriteFileRecords, FuncMaskRegister, FuncReadWriteRegisters:
		return true
	}
	return false
}

// layout says how long a PDU is.
type layout struct {
	size    uint8 // bytes that are always there; 0 for a function unknown here
	count   uint8 // which of them counts the bytes that follow; 0 where none do
	objects bool  // it counts objects that follow: id, length n and n bytes each
}

// reach returns how long the PDU is that b begins with or, while b is too short
// to tell, how long it has to be to tell more: more than b is.
func (l layout) reach(b []byte) int {
	n := int(l.size)
	if l.count == 0 || len(b) <= int(l.count) {
		return n
	}
	if !l.objects {
		return n + int(b[l.count])
	}
	for range b[l.count] {
		if len(b) < n+2 {
			return n + 2
		}
		n += 2 + int(b[n+1])
	}
	return n
}

// layouts are those of the requests and normal answers of each function.
// V1.1b3, section 6.
var layouts = [lastFunction + 1]struct{ request, answer layout }{
	FuncReadCoils:            {layout{size: 5}, layout{size: 2, count: 1}},
	FuncReadDiscreteInputs:   {layout{size: 5}, layout{size: 2, count: 1}},
	FuncReadHoldingRegisters: {layout{size: 5}, layout{size: 2, count: 1}},
	FuncReadInputRegisters:   {layout{size: 5}, layout{size: 2, count: 1}},
	FuncWriteCoil:            {layout{size: 5}, layout{size: 5}},
	FuncWriteRegister:        {layout{size: 5}, layout{size: 5}},
	FuncReadExceptionStatus:  {layout{size: 1}, layout{size: 2}},
	FuncDiagnostics:          {layout{size: 5}, layout{size: 5}},
	FuncGetEventCounter:      {layout{size: 1}, layout{size: 5}},
	FuncGetEventLog:          {layout{size: 1}, layout{size: 2, count: 1}},
	FuncWriteCoils:           {layout{size: 6, count: 5}, layout{size: 5}},
	FuncWriteRegisters:       {layout{size: 6, count: 5}, layout{size: 5}},
	FuncReportServerID:       {layout{size: 1}, layout{size: 2, count: 1}},
	FuncReadFileRecords:      {layout{size: 2, count: 1}, layout{size: 2, count: 1}},
	FuncWriteFileRecords:     {layout{size: 2, count: 1}, layout{size: 2, count: 1}},
	FuncMaskRegister:         {layout{size: 7}, layout{size: 7}},
	FuncReadWriteRegisters:   {layout{size: 10, count: 9}, layout{size: 2, count: 1}},
	FuncReadQueue:            {layout{size: 3}, layout{size: 3, count: 2}}, // the count's high byte is 0
	FuncReadDeviceIdentity:   {layout{size: 4}, layout{size: 7, count: 6, objects: true}},
}

// known reports whether the function of the PDU that b begins with is one of
// this package.
func known(b []byte) bool {
	fc := PDU(b).Function()
	return fc <= lastFunction && layouts[fc].request.size > 0 &&
		(fc != FuncReadDeviceIdentity || len(b) < 2 || b[1] == meiDeviceIdentity)
}

// RequestLength returns how long the PDU of the request is that b begins with
// or, while b is too short to tell, how long b has to be to tell more; 0 if no
// request of a function known here begins so. Only a loopback with more than two
// bytes of data is longer than it says.
func RequestLength(b []byte) int { return Dialect(nil).RequestLength(b) }

// RequestLength is [RequestLength] for a unit that speaks d.
func (d Dialect) RequestLength(b []byte) int {
	if !known(b) {
		return 0
	}
	return capped(d.fit(layouts[b[0]].request, b).reach(b))
}

// AnswerLength is [RequestLength] for an answer, which may be an exception.
func AnswerLength(b []byte) int { return Dialect(nil).AnswerLength(b) }

// AnswerLength is [AnswerLength] for a unit that speaks d.
func (d Dialect) AnswerLength(b []byte) int {
	switch fc := PDU(b).Function(); {
	case fc&exceptionBit != 0:
		return exceptionSize
	case !known(b):
		return 0
	}
	return capped(d.fit(layouts[b[0]].answer, b).reach(b))
}

// fit returns the layout of the PDU that b begins with where l is that of plain
// Modbus: an item of another size makes function 6 and its answer longer.
func (d Dialect) fit(l layout, b []byte) layout {
	const value = 3 // where it begins
	if PDU(b).Function() == FuncWriteRegister && len(b) >= value {
		if n := d.ItemBytes(FuncWriteRegister, binary.BigEndian.Uint16(b[1:])); n > 0 {
			l.size = uint8(value + n)
		}
	}
	return l
}

// capped returns n, or 0 if no PDU is so long.
func capped(n int) int {
	if n > MaxPDU {
		return 0
	}
	return n
}

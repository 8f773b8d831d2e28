package modbus

import (
	"encoding/binary"
	"fmt"
)

// The function codes this package builds and serves. V1.1b3, section 6.
const (
	FuncReadCoils            FunctionCode = 1
	FuncReadDiscreteInputs   FunctionCode = 2
	FuncReadHoldingRegisters FunctionCode = 3
	FuncReadInputRegisters   FunctionCode = 4
	FuncWriteCoil            FunctionCode = 5
	FuncWriteRegister        FunctionCode = 6
	FuncWriteCoils           FunctionCode = 15
	FuncWriteRegisters       FunctionCode = 16
)

// The greatest quantities of one request. V1.1b3, sections 6.1, 6.3, 6.11 and 6.12.
const (
	MaxReadBits       = 2000
	MaxReadRegisters  = 125
	maxWriteBits      = 1968
	maxWriteRegisters = 123
)

// addresses is the size of each of the four address spaces. V1.1b3, section 4.4.
const addresses = 1 << 16

// maxQuantity returns the greatest quantity of fc; 0 for a function unknown here.
func maxQuantity(fc FunctionCode) int {
	switch fc {
	case FuncReadCoils, FuncReadDiscreteInputs:
		return MaxReadBits
	case FuncReadHoldingRegisters, FuncReadInputRegisters:
		return MaxReadRegisters
	case FuncWriteCoil, FuncWriteRegister:
		return 1
	case FuncWriteCoils:
		return maxWriteBits
	case FuncWriteRegisters:
		return maxWriteRegisters
	}
	return 0
}

// Bits reports whether the items of fc are bits, not registers.
func (fc FunctionCode) Bits() bool {
	switch fc {
	case FuncReadCoils, FuncReadDiscreteInputs, FuncWriteCoil, FuncWriteCoils:
		return true
	}
	return false
}

// Reads reports whether fc is one of the four reading functions.
func (fc FunctionCode) Reads() bool { return fc >= FuncReadCoils && fc <= FuncReadInputRegisters }

// size returns how many bytes quantity items of fc take.
func (fc FunctionCode) size(quantity int) int {
	if fc.Bits() {
		return (quantity + 7) / 8
	}
	return 2 * quantity
}

// check refuses what no request may ask for.
func check(fc FunctionCode, addr uint16, quantity int) error {
	if quantity < 1 || quantity > maxQuantity(fc) {
		return fmt.Errorf("function %d: quantity %d is not in 1 to %d", fc, quantity, maxQuantity(fc))
	}
	if int(addr)+quantity > addresses {
		return fmt.Errorf("function %d: %d items from address %d go past 65535", fc, quantity, addr)
	}
	return nil
}

// ReadRequest asks with function code 1, 2, 3 or 4 for quantity bits (at most
// 2000) or registers (at most 125) from addr on; the last may be number 65535.
func ReadRequest(fc FunctionCode, addr uint16, quantity int) (PDU, error) {
	if !fc.Reads() {
		return nil, fmt.Errorf("function %d does not read", fc)
	}
	if err := check(fc, addr, quantity); err != nil {
		return nil, err
	}
	return request(fc, addr, uint16(quantity)), nil
}

// request puts the fixed part of every request together:
//
//	0          1      2 3     4
//	function | address | quantity or value | ...
func request(fc FunctionCode, addr, quantity uint16) PDU {
	p := PDU{byte(fc)}
	p = binary.BigEndian.AppendUint16(p, addr)
	return binary.BigEndian.AppendUint16(p, quantity)
}

// The only values of a single coil. V1.1b3, section 6.5.
const (
	coilOn  = 0xFF00
	coilOff = 0x0000
)

// WriteCoil sets one coil, with function code 5.
func WriteCoil(addr uint16, on bool) PDU {
	if on {
		return request(FuncWriteCoil, addr, coilOn)
	}
	return request(FuncWriteCoil, addr, coilOff)
}

// WriteRegister sets one holding register, with function code 6.
func WriteRegister(addr, value uint16) PDU {
	return request(FuncWriteRegister, addr, value)
}

// WriteCoils sets up to 1968 coils from addr on, with function code 15.
func WriteCoils(addr uint16, on []bool) (PDU, error) {
	if err := check(FuncWriteCoils, addr, len(on)); err != nil {
		return nil, err
	}
	p := request(FuncWriteCoils, addr, uint16(len(on)))
	return appendBits(append(p, byte(FuncWriteCoils.size(len(on)))), on), nil
}

// WriteRegisters sets up to 123 holding registers from addr on, with function code 16.
func WriteRegisters(addr uint16, values []uint16) (PDU, error) {
	if err := check(FuncWriteRegisters, addr, len(values)); err != nil {
		return nil, err
	}
	p := request(FuncWriteRegisters, addr, uint16(len(values)))
	return appendRegisters(append(p, byte(2*len(values))), values), nil
}

// Request is what the PDU of a request says.
type Request struct {
	Function FunctionCode
	Addr     uint16
	Quantity int    // items asked for or written; Addr+Quantity is at most 65536
	Data     []byte // values to write as they lie in the PDU, nil for a read
}

// ParseRequest reads a request of function code 1 to 6, 15 or 16. The error is
// the [Exception] that a server declines it with: [IllegalFunction] for another
// function, [IllegalDataValue] for a wrong length, quantity or coil value,
// [IllegalDataAddress] for items past number 65535.
func ParseRequest(req PDU) (Request, error) {
	r := Request{Function: req.Function(), Quantity: 1}
	if maxQuantity(r.Function) == 0 {
		return Request{}, IllegalFunction
	}
	if len(req) < 5 {
		return Request{}, IllegalDataValue
	}
	r.Addr = binary.BigEndian.Uint16(req[1:])
	value := binary.BigEndian.Uint16(req[3:])
	rest := req[5:]
	switch r.Function {
	case FuncWriteCoil, FuncWriteRegister:
		r.Data = req[3:5]
	case FuncWriteCoils, FuncWriteRegisters:
		r.Quantity = int(value)
		if len(rest) == 0 || int(rest[0]) != r.Function.size(r.Quantity) || len(rest)-1 != int(rest[0]) {
			return Request{}, IllegalDataValue
		}
		r.Data, rest = rest[1:], nil
	default:
		r.Quantity = int(value)
	}
	switch {
	case len(rest) != 0, r.Quantity < 1, r.Quantity > maxQuantity(r.Function),
		r.Function == FuncWriteCoil && value != coilOn && value != coilOff:
		return Request{}, IllegalDataValue
	case int(r.Addr)+r.Quantity > addresses:
		return Request{}, IllegalDataAddress
	}
	return r, nil
}

// ResponseLength returns the length of the PDU that answers req when it is no
// exception; ok is false where req is none that [ParseRequest] takes.
func ResponseLength(req PDU) (n int, ok bool) {
	r, err := ParseRequest(req)
	if err != nil {
		return 0, false
	}
	if r.Function.Reads() {
		return 2 + r.Function.size(r.Quantity), true
	}
	return 5, true
}

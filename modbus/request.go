package modbus

import (
	"encoding/binary"
	"fmt"
)

// The greatest quantities of one request. V1.1b3, sections 6.1, 6.3, 6.11, 6.12
// and 6.17.
const (
	MaxReadBits       = 2000
	MaxReadRegisters  = 125
	maxWriteBits      = 1968
	maxWriteRegisters = 123
	maxReadWrite      = 121 // registers that function 23 writes
)

// addresses is the size of each of the four address spaces. V1.1b3, section 4.4.
const addresses = 1 << 16

// maxQuantity returns the greatest quantity of fc in plain Modbus; 0 for a
// function without one.
func maxQuantity(fc FunctionCode) int {
	switch fc {
	case FuncReadCoils, FuncReadDiscreteInputs:
		return MaxReadBits
	case FuncReadHoldingRegisters, FuncReadInputRegisters:
		return MaxReadRegisters
	case FuncWriteCoil, FuncWriteRegister, FuncMaskRegister:
		return 1
	case FuncWriteCoils:
		return maxWriteBits
	case FuncWriteRegisters:
		return maxWriteRegisters
	case FuncReadWriteRegisters:
		return maxReadWrite
	}
	return 0
}

// size returns how many bytes quantity items of fc take in plain Modbus.
func (fc FunctionCode) size(quantity int) int {
	if fc.Bits() {
		return (quantity + 7) / 8
	}
	return 2 * quantity
}

// check returns the [Exception] that items can't be asked for with, or nil.
func (d Dialect) check(fc FunctionCode, addr uint16, quantity int) error {
	r, most := d.items(fc, addr), maxQuantity(fc)
	plain := fc == FuncMaskRegister || fc == FuncReadWriteRegisters
	switch {
	case r.Bytes < 0 && fc.Reads():
		return nil // any number of a record
	case r.Bytes < 0, plain && r.Bytes > 2:
		return IllegalDataAddress
	case r.Bytes > 0 && most > 1:
		most = 2 * most / r.Bytes // 62 floats in the 250 bytes of 125 registers
	}
	switch {
	case quantity < 1 || quantity > most:
		return IllegalDataValue
	case int(addr)+quantity-1 > int(r.Last):
		return IllegalDataAddress
	}
	return nil
}

// refuse is check for the one who asks.
func (d Dialect) refuse(fc FunctionCode, addr uint16, quantity int) error {
	if err := d.check(fc, addr, quantity); err != nil {
		return fmt.Errorf("function %d: no request can be for %d items from address %d on: too few, too many, or past the end", fc, quantity, addr)
	}
	return nil
}

// ReadRequest asks with function code 1, 2, 3 or 4 for quantity bits (at most
// 2000) or registers (at most 125) from addr on; the last may be number 65535.
func ReadRequest(fc FunctionCode, addr uint16, quantity int) (PDU, error) {
	return Dialect(nil).ReadRequest(fc, addr, quantity)
}

// ReadRequest is [ReadRequest] for quantity items of a unit that speaks d: at
// most so many as 250 bytes hold, and none of another range. Where d has no
// size the quantity is any number up to 65535.
func (d Dialect) ReadRequest(fc FunctionCode, addr uint16, quantity int) (PDU, error) {
	if !fc.Reads() {
		return nil, fmt.Errorf("function %d does not read", fc)
	}
	if quantity < 0 || quantity >= addresses {
		return nil, fmt.Errorf("function %d: quantity %d is not in 0 to 65535", fc, quantity)
	}
	if err := d.refuse(fc, addr, quantity); err != nil {
		return nil, err
	}
	return request(fc, addr, uint16(quantity)), nil
}

// request puts the fixed part of many requests together:
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

// WriteItem sets the one item at addr of a unit that speaks d, with function
// code 6. The words of its value are as many as d says: one where it says
// nothing.
func (d Dialect) WriteItem(addr uint16, value ...uint16) (PDU, error) {
	if err := d.refuse(FuncWriteRegister, addr, 1); err != nil {
		return nil, err
	}
	if size := d.size(FuncWriteRegister, addr, 1); 2*len(value) != size {
		return nil, fmt.Errorf("function %d: %d words for the item at %d, want %d", FuncWriteRegister, len(value), addr, size/2)
	}
	p := binary.BigEndian.AppendUint16(PDU{byte(FuncWriteRegister)}, addr)
	return appendRegisters(p, value), nil
}

// WriteCoils sets up to 1968 coils from addr on, with function code 15.
func WriteCoils(addr uint16, on []bool) (PDU, error) {
	if err := Dialect(nil).refuse(FuncWriteCoils, addr, len(on)); err != nil {
		return nil, err
	}
	p := request(FuncWriteCoils, addr, uint16(len(on)))
	return appendBits(append(p, byte(FuncWriteCoils.size(len(on)))), on), nil
}

// WriteRegisters sets up to 123 holding registers from addr on, with function code 16.
func WriteRegisters(addr uint16, values []uint16) (PDU, error) {
	return Dialect(nil).WriteItems(addr, values)
}

// WriteItems sets the items from addr on of a unit that speaks d, with function
// code 16. The values are the words of the items, one item after the other: at
// most so many whole items as 246 bytes hold.
func (d Dialect) WriteItems(addr uint16, values []uint16) (PDU, error) {
	each := d.size(FuncWriteRegisters, addr, 1)
	quantity := 2 * len(values) / max(each, 1)
	if err := d.refuse(FuncWriteRegisters, addr, quantity); err != nil {
		return nil, err
	}
	if 2*len(values) != each*quantity {
		return nil, fmt.Errorf("function %d: %d words are no whole items of %d", FuncWriteRegisters, len(values), each/2)
	}
	p := request(FuncWriteRegisters, addr, uint16(quantity))
	return appendRegisters(append(p, byte(2*len(values))), values), nil
}

// MaskRegister sets one holding register to (register AND and) OR (or AND NOT
// and), with function code 22: bits that are 1 in and stay, the others become
// those of or. V1.1b3, section 6.16.
func MaskRegister(addr, and, or uint16) PDU {
	return binary.BigEndian.AppendUint16(request(FuncMaskRegister, addr, and), or)
}

// ReadWriteRegisters sets up to 121 holding registers from addr on and then
// reads up to 125, quantity from readAddr on, with function code 23. V1.1b3,
// section 6.17.
func ReadWriteRegisters(readAddr uint16, quantity int, addr uint16, values []uint16) (PDU, error) {
	if _, err := ReadRequest(FuncReadHoldingRegisters, readAddr, quantity); err != nil {
		return nil, err
	}
	if err := Dialect(nil).refuse(FuncReadWriteRegisters, addr, len(values)); err != nil {
		return nil, err
	}
	p := request(FuncReadWriteRegisters, readAddr, uint16(quantity))
	p = binary.BigEndian.AppendUint16(p, addr)
	p = binary.BigEndian.AppendUint16(p, uint16(len(values)))
	return appendRegisters(append(p, byte(2*len(values))), values), nil
}

// Request is what the PDU of a request says.
type Request struct {
	Function FunctionCode
	Addr     uint16 // of the first item; 0 for a function without one
	Quantity int    // items read or written; Addr+Quantity is at most 65536; 0 for a function without any
	// Data is what a write sets, as it lies in the PDU: values, the two masks of
	// function 22, the records of function 21. Of function 8, 20 and 43 it is all
	// behind the function code. Else it is nil.
	Data []byte

	ReadAddr     uint16 // of the first register that function 23 reads when it has written
	ReadQuantity int    // how many
}

// ParseRequest reads a request. The error is the [Exception] that a server
// declines it with: [IllegalFunction] for a function unknown here,
// [IllegalDataValue] for a wrong length, quantity or value,
// [IllegalDataAddress] for items past number 65535.
func ParseRequest(req PDU) (Request, error) { return Dialect(nil).ParseRequest(req) }

// ParseRequest is [ParseRequest] for a unit that speaks d.
func (d Dialect) ParseRequest(req PDU) (Request, error) {
	if !known(req) {
		return Request{}, IllegalFunction
	}
	if !d.complete(req) {
		return Request{}, IllegalDataValue
	}
	r := Request{Function: req.Function()}
	var err error
	switch fc := r.Function; {
	case fc == FuncReadWriteRegisters:
		err = r.parseReadWrite(req, d)
	case maxQuantity(fc) > 0:
		err = r.parseItems(req, d)
	default:
		err = r.parseOther(req)
	}
	if err != nil {
		return Request{}, err
	}
	return r, nil
}

// complete reports whether req is as long as its first bytes say. Only a
// loopback may be longer. V1.1b3, section 6.8.
func (d Dialect) complete(req PDU) bool {
	if DiagLoopback.asks(req) {
		return len(req)%2 == 1 && len(req) <= MaxPDU
	}
	return d.RequestLength(req) == len(req)
}

// parseItems reads a request for items of a table.
func (r *Request) parseItems(req PDU, d Dialect) error {
	r.Addr, r.Quantity = binary.BigEndian.Uint16(req[1:]), 1
	switch fc := r.Function; {
	case fc == FuncWriteCoils || fc == FuncWriteRegisters:
		r.Quantity, r.Data = int(binary.BigEndian.Uint16(req[3:])), req[6:]
	case fc.Reads():
		r.Quantity = int(binary.BigEndian.Uint16(req[3:]))
	default:
		r.Data = req[3:]
	}
	if err := d.check(r.Function, r.Addr, r.Quantity); err != nil {
		return err
	}
	switch r.Function {
	case FuncWriteCoil:
		if v := binary.BigEndian.Uint16(r.Data); v != coilOn && v != coilOff {
			return IllegalDataValue
		}
	case FuncWriteCoils, FuncWriteRegisters:
		if len(r.Data) != d.size(r.Function, r.Addr, r.Quantity) {
			return IllegalDataValue
		}
	}
	return nil
}

// parseReadWrite reads a request of function 23.
func (r *Request) parseReadWrite(req PDU, d Dialect) error {
	word := func(i int) uint16 { return binary.BigEndian.Uint16(req[i:]) }
	r.ReadAddr, r.ReadQuantity = word(1), int(word(3))
	r.Addr, r.Quantity, r.Data = word(5), int(word(7)), req[10:]
	if len(r.Data) != 2*r.Quantity || r.ReadQuantity < 1 || r.ReadQuantity > MaxReadRegisters {
		return IllegalDataValue
	}
	if err := d.check(r.Function, r.Addr, r.Quantity); err != nil {
		return err
	}
	// More can be read than written.
	if d.check(r.Function, r.ReadAddr, 1) != nil || d.check(FuncReadHoldingRegisters, r.ReadAddr, r.ReadQuantity) != nil {
		return IllegalDataAddress
	}
	return nil
}

// parseOther reads a request that is for no items of a table.
func (r *Request) parseOther(req PDU) error {
	switch r.Function {
	case FuncReadQueue:
		r.Addr = binary.BigEndian.Uint16(req[1:])
	case FuncDiagnostics:
		r.Data = req[1:]
	case FuncReadFileRecords:
		r.Data = req[1:]
		_, err := parseSpans(req)
		return err
	case FuncWriteFileRecords:
		r.Data = req[2:]
		_, err := parseRecords(req)
		return err
	case FuncReadDeviceIdentity:
		r.Data = req[1:]
		if access := Access(req[2]); access < BasicIdentity || access > OneObject {
			return IllegalDataValue
		}
	}
	return nil
}

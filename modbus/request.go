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

// most returns the greatest quantity of fc from addr on: as many items as fit
// where plain Modbus has its registers.
func (d Dialect) most(fc FunctionCode, addr uint16) int {
	most := maxQuantity(fc)
	if n := d.ItemBytes(fc, addr); n > 0 && most > 1 {
		return 2 * most / n
	}
	return most
}

// check returns the [Exception] that items can't be asked for with, or nil.
func (d Dialect) check(fc FunctionCode, addr uint16, quantity int) error {
	r := d.items(fc, addr)
	plain := fc == FuncMaskRegister || fc == FuncReadWriteRegisters
	switch {
	case r.Bytes < 0 && fc.Reads():
		return nil // any number of a record
	case r.Bytes < 0, plain && r.Bytes > 2:
		return IllegalDataAddress
	case quantity < 1 || quantity > d.most(fc, addr):
		return IllegalDataValue
	case int(addr)+quantity-1 > int(r.Last):
		return IllegalDataAddress
	}
	return nil
}

// refuse is check for the one who asks.
func (d Dialect) refuse(fc FunctionCode, addr uint16, quantity int) error {
	switch d.check(fc, addr, quantity) {
	case nil:
		return nil
	case IllegalDataValue:
		return fmt.Errorf("function %d: quantity %d is not in 1 to %d", fc, quantity, d.most(fc, addr))
	}
	return fmt.Errorf("function %d: %d items from address %d on are not all in 0 to 65535 and of one range", fc, quantity, addr)
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

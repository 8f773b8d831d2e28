package modbus

import "encoding/binary"

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

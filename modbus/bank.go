package modbus

import (
	"encoding/binary"
	"sync"
)

// Table is one of the four address spaces of a unit. V1.1b3, section 4.3.
type Table uint8

// The tables of a unit.
const (
	Coils Table = iota
	DiscreteInputs
	InputRegisters
	HoldingRegisters
)

// table returns the address space that a function code works on.
func (fc FunctionCode) table() Table {
	switch fc {
	case FuncReadCoils, FuncWriteCoil, FuncWriteCoils:
		return Coils
	case FuncReadDiscreteInputs:
		return DiscreteInputs
	case FuncReadInputRegisters:
		return InputRegisters
	}
	return HoldingRegisters
}

// Bank is the memory of a unit. An address exists once it has been set; a
// request that touches another gets exception 02. The zero value has no
// address. Safe for concurrent use; a request and a Set exclude each other, so
// a value of several registers is never read torn.
type Bank struct {
	mu     sync.Mutex
	tables [4]map[uint16]uint16 // guarded by mu
}

// Set defines and sets the items of a table from addr on; a bit is 0 or 1. What
// goes past 65535 is left out.
func (b *Bank) Set(t Table, addr uint16, values ...uint16) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.tables[t] == nil {
		b.tables[t] = make(map[uint16]uint16)
	}
	for i, v := range values[:min(len(values), addresses-int(addr))] {
		b.tables[t][addr+uint16(i)] = v
	}
}

// Get returns quantity items of a table; ok is false where one does not exist.
func (b *Bank) Get(t Table, addr uint16, quantity int) (values []uint16, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.get(t, addr, quantity)
}

func (b *Bank) get(t Table, addr uint16, quantity int) ([]uint16, bool) {
	values := make([]uint16, quantity)
	for i := range values {
		v, ok := b.tables[t][addr+uint16(i)]
		if !ok || int(addr)+i >= addresses {
			return nil, false
		}
		values[i] = v
	}
	return values, true
}

// Handle answers a request of function code 1 to 6, 15 or 16, whatever the
// unit; any other gets exception 01.
func (b *Bank) Handle(_ UnitID, req PDU) (resp PDU, ok bool) {
	r, err := ParseRequest(req)
	if e, bad := err.(Exception); bad {
		return e.Answer(req), true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	values, exist := b.get(r.Function.table(), r.Addr, r.Quantity)
	switch {
	case !exist:
		return IllegalDataAddress.Answer(req), true
	case r.Function.Reads():
		return readAnswer(r, values), true
	}
	b.store(r)
	return req[:5], true
}

// store sets what a write asks for; the addresses exist.
func (b *Bank) store(r Request) {
	m := b.tables[r.Function.table()]
	for i := range r.Quantity {
		var v uint16
		switch r.Function {
		case FuncWriteCoil:
			v = uint16(r.Data[0] & 1)
		case FuncWriteCoils:
			v = uint16(r.Data[i/8] >> (i % 8) & 1)
		default:
			v = binary.BigEndian.Uint16(r.Data[2*i:])
		}
		m[r.Addr+uint16(i)] = v
	}
}

// readAnswer puts the answer to a read together.
func readAnswer(r Request, values []uint16) PDU {
	p := PDU{byte(r.Function), byte(r.Function.size(r.Quantity))}
	if !r.Function.Bits() {
		return appendRegisters(p, values)
	}
	bits := make([]bool, len(values))
	for i, v := range values {
		bits[i] = v&1 == 1
	}
	return appendBits(p, bits)
}

// Units is a line with several units, by their id. It is silent for one that is
// not there and passes a broadcast on to all.
type Units map[UnitID]Handler

// Handle lets the unit answer.
func (u Units) Handle(unit UnitID, req PDU) (resp PDU, ok bool) {
	if h, there := u[unit]; there {
		return h.Handle(unit, req)
	}
	if unit == Broadcast {
		for _, h := range u {
			h.Handle(unit, req)
		}
	}
	return nil, false
}

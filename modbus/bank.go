package modbus

import "sync"

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

// Bank is a unit: its tables, and with its parts all that a unit can be asked
// for. An address exists once it has been set; a request that touches another
// gets exception 02. The zero value has no address, and parts that are empty.
// Safe for concurrent use; a request and a Set exclude each other, so a value of
// several registers is never read torn.
type Bank struct {
	Dialect     Dialect // set before the first use
	Diagnostics Diagnostics
	Files       Files
	Queues      Queues
	Archives    Archives
	Identity    UnitIdentity

	mu     sync.Mutex
	tables [4]map[uint16]uint64 // guarded by mu
}

// Set defines and sets the items of a table from addr on; a bit is 0 or 1. An
// item to which the dialect gives several words takes as many values, the high
// word first. What goes past 65535, or is no whole item, is left out.
func (b *Bank) Set(t Table, addr uint16, values ...uint16) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.tables[t] == nil {
		b.tables[t] = make(map[uint16]uint64)
	}
	for i := int(addr); i < addresses; i++ {
		n := b.words(t, uint16(i))
		if len(values) < n {
			return
		}
		b.tables[t][uint16(i)] = pack(values[:n])
		values = values[n:]
	}
}

// Get returns the values of quantity items of a table as Set takes them; ok is
// false where one does not exist.
func (b *Bank) Get(t Table, addr uint16, quantity int) (values []uint16, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.get(t, addr, quantity)
}

func (b *Bank) get(t Table, addr uint16, quantity int) ([]uint16, bool) {
	values := make([]uint16, 0, quantity)
	for i := range quantity {
		v, ok := b.tables[t][addr+uint16(i)]
		if !ok || int(addr)+i >= addresses {
			return nil, false
		}
		values = unpack(values, v, b.words(t, addr+uint16(i)))
	}
	return values, true
}

// words returns how many words the item at addr has.
func (b *Bank) words(t Table, addr uint16) int {
	fc := FuncReadHoldingRegisters
	switch t {
	case Coils, DiscreteInputs:
		return 1
	case InputRegisters:
		fc = FuncReadInputRegisters
	}
	return max(2, b.Dialect.ItemBytes(fc, addr)) / 2
}

// pack puts up to four words into one number.
func pack(words []uint16) (v uint64) {
	for _, w := range words {
		v = v<<16 | uint64(w)
	}
	return v
}

// unpack appends the n words of v.
func unpack(values []uint16, v uint64, n int) []uint16 {
	for i := range n {
		values = append(values, uint16(v>>(16*(n-1-i))))
	}
	return values
}

// Handle answers every request that [ParseRequest] knows, whatever the unit;
// any other gets exception 01, and so does one for a part that is empty. A unit
// in listen-only mode is silent.
func (b *Bank) Handle(unit UnitID, req PDU) (resp PDU, ok bool) {
	return b.Diagnostics.watch(unit, req, b.answer)
}

// answer answers a request, whatever the mode.
func (b *Bank) answer(req PDU) PDU {
	resp, err := b.obey(req)
	if e, declined := err.(Exception); declined {
		return e.Answer(req)
	}
	return resp
}

// obey does what a request says. The error is an [Exception].
func (b *Bank) obey(req PDU) (PDU, error) {
	r, err := b.Dialect.ParseRequest(req)
	if err != nil {
		return nil, err
	}
	switch r.Function {
	case FuncReadExceptionStatus, FuncDiagnostics, FuncGetEventCounter, FuncGetEventLog:
		return b.Diagnostics.answer(r)
	case FuncReadFileRecords, FuncWriteFileRecords:
		return b.Files.answer(req)
	case FuncReadQueue:
		return b.Queues.answer(r)
	case FuncReportServerID, FuncReadDeviceIdentity:
		return b.Identity.answer(req)
	}
	if resp := b.Archives.answer(r); resp != nil {
		return resp, nil
	}
	return b.items(r, req)
}

// items answers a request for items of a table.
func (b *Bank) items(r Request, req PDU) (PDU, error) {
	if b.Dialect.size(r.Function, r.Addr, r.Quantity) < 0 {
		return nil, IllegalDataAddress // a record that isn't there
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	t := r.Function.table()
	values, exist := b.get(t, r.Addr, r.Quantity)
	if !exist {
		return nil, IllegalDataAddress
	}
	switch r.Function {
	case FuncReadWriteRegisters:
		if _, exist := b.get(t, r.ReadAddr, r.ReadQuantity); !exist {
			return nil, IllegalDataAddress
		}
		b.store(t, r)
		values, _ = b.get(t, r.ReadAddr, r.ReadQuantity)
	case FuncWriteCoil, FuncWriteRegister, FuncMaskRegister:
		b.store(t, r)
		return req, nil
	case FuncWriteCoils, FuncWriteRegisters:
		b.store(t, r)
		return req[:5], nil
	}
	return readAnswer(r.Function, values), nil
}

// store sets what a write asks for; the addresses exist.
func (b *Bank) store(t Table, r Request) {
	data := words(r.Data)
	for i := range r.Quantity {
		addr := r.Addr + uint16(i)
		n := b.words(t, addr)
		var v uint64
		switch r.Function {
		case FuncWriteCoil:
			v = uint64(r.Data[0] & 1)
		case FuncWriteCoils:
			v = uint64(r.Data[i/8] >> (i % 8) & 1)
		case FuncMaskRegister:
			and, or := data[0], data[1]
			v = b.tables[t][addr]&uint64(and) | uint64(or&^and)
		default:
			v = pack(data[n*i : n*i+n])
		}
		b.tables[t][addr] = v
	}
}

// readAnswer puts the answer to a read together.
func readAnswer(fc FunctionCode, values []uint16) PDU {
	if !fc.Bits() {
		return appendRegisters(PDU{byte(fc), byte(2 * len(values))}, values)
	}
	bits := make([]bool, len(values))
	for i, v := range values {
		bits[i] = v&1 == 1
	}
	return appendBits(PDU{byte(fc), byte(fc.size(len(bits)))}, bits)
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

package modbus

import (
	"slices"
	"sync"
)

// Files is the part of a unit that answers functions 20 and 21. A register
// exists once it has been set. The zero value has none; then the functions get
// exception 01. Safe for concurrent use.
type Files struct {
	mu        sync.Mutex
	registers map[[2]uint16]uint16 // by file and number; guarded by mu
}

// Set defines and sets registers of a file from number record on, 0 to 9999.
// What goes past 9999 is left out.
func (f *Files) Set(file, record uint16, registers ...uint16) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.registers == nil {
		f.registers = make(map[[2]uint16]uint16)
	}
	for i, v := range registers[:min(len(registers), max(0, lastRecord+1-int(record)))] {
		f.registers[[2]uint16{file, record + uint16(i)}] = v
	}
}

// Get returns the registers of a span; ok is false where one does not exist.
func (f *Files) Get(s FileSpan) (registers []uint16, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.get(s)
}

func (f *Files) get(s FileSpan) ([]uint16, bool) {
	if s.check() != nil {
		return nil, false
	}
	registers := make([]uint16, s.Quantity)
	for i := range registers {
		v, ok := f.registers[[2]uint16{s.File, s.Record + uint16(i)}]
		if !ok {
			return nil, false
		}
		registers[i] = v
	}
	return registers, true
}

// answer answers a request of function 20 or 21 that parses.
func (f *Files) answer(req PDU) (PDU, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.registers == nil {
		return nil, IllegalFunction
	}
	if req.Function() == FuncWriteFileRecords {
		return f.write(req)
	}
	spans, err := parseSpans(req)
	if err != nil {
		return nil, err
	}
	p := PDU{byte(FuncReadFileRecords), byte(fileAnswer(spans))}
	for _, s := range spans {
		registers, ok := f.get(s)
		if !ok {
			return nil, IllegalDataAddress
		}
		p = appendRegisters(append(p, fileHead(s), fileReference), registers)
	}
	return p, nil
}

// write sets all records or none.
func (f *Files) write(req PDU) (PDU, error) {
	records, err := parseRecords(req)
	if err != nil {
		return nil, err
	}
	for _, r := range records {
		if _, ok := f.get(r.span()); !ok {
			return nil, IllegalDataAddress
		}
	}
	for _, r := range records {
		for i, v := range r.Registers {
			f.registers[[2]uint16{r.File, r.Record + uint16(i)}] = v
		}
	}
	return req, nil
}

// Queues is the part of a unit that answers function 24. A queue exists once it
// has been set. The zero value has none; then the function gets exception 01.
// Safe for concurrent use.
type Queues struct {
	mu     sync.Mutex
	queues map[uint16][]uint16 // by address; guarded by mu
}

// Set defines and sets what waits in the queue at addr, the oldest first. One
// that is longer than 31 registers can't be read until it is shorter.
func (q *Queues) Set(addr uint16, registers ...uint16) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.queues == nil {
		q.queues = make(map[uint16][]uint16)
	}
	q.queues[addr] = slices.Clone(registers)
}

func (q *Queues) answer(r Request) (PDU, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	registers, exists := q.queues[r.Addr]
	switch {
	case q.queues == nil:
		return nil, IllegalFunction
	case !exists:
		return nil, IllegalDataAddress
	case len(registers) > maxQueue:
		return nil, IllegalDataValue // V1.1b3, section 6.18
	}
	n := uint16(len(registers))
	return appendRegisters(appendRegisters(PDU{byte(r.Function)}, []uint16{2 + 2*n, n}), registers), nil
}

package modbus

import (
	"cmp"
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

// UnitIdentity is the part of a unit that answers functions 17 and 43/14. The
// zero value has neither a server id nor objects; then they get exception 01.
// Safe for concurrent use.
type UnitIdentity struct {
	mu      sync.Mutex // guards the rest
	id      []byte     // of function 17, whole
	objects []Object   // by id
}

// SetServerID sets what function 17 answers: at most 250 bytes of id and
// additional bytes together, the rest being cut.
func (u *UnitIdentity) SetServerID(id []byte, runs bool, additional ...byte) {
	u.mu.Lock()
	defer u.mu.Unlock()
	running := byte(0)
	if runs {
		running = 0xFF
	}
	u.id = append(append(slices.Clone(id), running), additional...)
	u.id = u.id[:min(len(u.id), MaxPDU-2)]
}

// maxObject is the length of the longest object that a PDU holds: V1.1b3, section 6.21.
const maxObject = MaxPDU - 7 - 2

// SetObjects sets what function 43/14 answers. A value longer than 244 bytes is cut.
func (u *UnitIdentity) SetObjects(objects ...Object) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.objects = slices.Clone(objects)
	slices.SortFunc(u.objects, func(a, b Object) int { return cmp.Compare(a.ID, b.ID) })
	for i := range u.objects {
		o := &u.objects[i]
		o.Value = o.Value[:min(len(o.Value), maxObject)]
	}
}

// answer answers a request of function 17 or 43/14 that parses.
func (u *UnitIdentity) answer(req PDU) (PDU, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	switch {
	case req.Function() == FuncReportServerID && u.id != nil:
		return append(PDU{req[0], byte(len(u.id))}, u.id...), nil
	case req.Function() == FuncReadDeviceIdentity && len(u.objects) > 0:
		return u.identify(Access(req[2]), ObjectID(req[3]))
	}
	return nil, IllegalFunction
}

// last returns the greatest object of an access or a category.
func (a Access) last() ObjectID {
	switch a {
	case BasicIdentity:
		return MajorMinorRevision
	case RegularIdentity:
		return 0x7F
	}
	return 0xFF
}

// conformity returns what a unit with these objects conforms to.
func (u *UnitIdentity) conformity() byte {
	const oneByOne = 0x80
	greatest := u.objects[len(u.objects)-1].ID
	a := BasicIdentity
	for greatest > a.last() {
		a++
	}
	return oneByOne | byte(a)
}

// identify puts an answer of function 43/14 together.
func (u *UnitIdentity) identify(a Access, from ObjectID) (PDU, error) {
	start, found := slices.BinarySearchFunc(u.objects, from, func(o Object, id ObjectID) int { return cmp.Compare(o.ID, id) })
	end := len(u.objects)
	switch {
	case a == OneObject && !found:
		return nil, IllegalDataAddress
	case a == OneObject:
		end = start + 1
	case !found:
		start = 0 // V1.1b3, section 6.21: begin at the beginning
	}
	p := PDU{byte(FuncReadDeviceIdentity), meiDeviceIdentity, byte(a), u.conformity(), 0, 0, 0}
	for _, o := range u.objects[start:end] {
		if o.ID > a.last() {
			break
		}
		if len(p)+2+len(o.Value) > MaxPDU {
			p[4], p[5] = 0xFF, byte(o.ID) // more follows
			break
		}
		p = append(append(p, byte(o.ID), byte(len(o.Value))), o.Value...)
		p[6]++
	}
	return p, nil
}

// Archives is the part of a unit that answers reads of what has no fixed length
// in its [Dialect]: records by number, and a log. The zero value has none. Safe
// for concurrent use.
type Archives struct {
	mu      sync.Mutex // guards the rest
	records map[uint16]map[int][]byte
	logs    map[uint16]*eventLog
}

// eventLog is read from the front; what was read goes when acknowledged.
type eventLog struct {
	records [][]byte
	read    int
}

// maxRecord is how long an answer without a fixed length may be: an even number
// of bytes, as of 125 registers.
const maxRecord = 250

// SetRecord sets a record of the archive at addr: an even number of bytes, at most 250.
func (a *Archives) SetRecord(addr uint16, number uint16, record []byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.records == nil {
		a.records = make(map[uint16]map[int][]byte)
	}
	if a.records[addr] == nil {
		a.records[addr] = make(map[int][]byte)
	}
	a.records[addr][int(number)] = slices.Clone(record[:min(len(record), maxRecord)])
}

// Log appends records, of which each is at most 250 bytes, to the log at addr. A
// read returns as many as an answer holds; setting the coil at addr removes
// them. An empty log answers a read with no bytes.
func (a *Archives) Log(addr uint16, records ...[]byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.logs == nil {
		a.logs = make(map[uint16]*eventLog)
	}
	if a.logs[addr] == nil {
		a.logs[addr] = new(eventLog)
	}
	l := a.logs[addr]
	for _, r := range records {
		l.records = append(l.records, slices.Clone(r[:min(len(r), maxRecord)]))
	}
}

// answer answers a request that is for an archive or a log, and no other.
func (a *Archives) answer(r Request) (PDU, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	l, isLog := a.logs[r.Addr]
	records, isArchive := a.records[r.Addr]
	switch {
	case isLog && r.Function == FuncWriteCoil && r.Data[0] == 0xFF:
		l.records, l.read = l.records[l.read:], 0
		return request(r.Function, r.Addr, coilOn), nil
	case isLog && r.Function == FuncReadHoldingRegisters:
		return archiveAnswer(r, l.next()), nil
	case isArchive && r.Function == FuncReadHoldingRegisters:
		record, ok := records[r.Quantity]
		if !ok {
			return nil, IllegalDataAddress
		}
		return archiveAnswer(r, record), nil
	}
	return nil, nil
}

func archiveAnswer(r Request, b []byte) PDU {
	return append(PDU{byte(r.Function), byte(len(b))}, b...)
}

// next returns what a read of the log returns.
func (l *eventLog) next() (b []byte) {
	l.read = 0
	for _, r := range l.records {
		if len(b)+len(r) > maxRecord {
			break
		}
		b = append(b, r...)
		l.read++
	}
	return b
}

package modbus

import (
	"slices"
	"sync"
)

// Archives is the part of a unit that answers reads of what has no fixed length
// in its [Dialect]: records by number, and a log. The zero value has none. Safe
// for concurrent use.
type Archives struct {
	mu      sync.Mutex        // guards the rest
	records map[[2]int][]byte // by address and number
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
		a.records = make(map[[2]int][]byte)
	}
	a.records[[2]int{int(addr), int(number)}] = slices.Clone(record[:min(len(record), maxRecord)])
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

// answer answers a request for a record that there is, or for a log; nil for any other.
func (a *Archives) answer(r Request) PDU {
	a.mu.Lock()
	defer a.mu.Unlock()
	log, logged := a.logs[r.Addr]
	record, kept := a.records[[2]int{int(r.Addr), r.Quantity}]
	switch read := r.Function == FuncReadHoldingRegisters; {
	case logged && r.Function == FuncWriteCoil && r.Data[0] == coilOn>>8:
		log.records, log.read = log.records[log.read:], 0
		return request(r.Function, r.Addr, coilOn)
	case logged && read:
		record = log.next()
	case !kept || !read:
		return nil
	}
	return append(PDU{byte(r.Function), byte(len(record))}, record...)
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

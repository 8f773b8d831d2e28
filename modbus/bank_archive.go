package modbus

import (
	"slices"
	"sync"
)

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

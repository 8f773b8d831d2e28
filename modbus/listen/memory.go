package listen

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"skyhaul/modbus"
)

// Memory keeps the latest answers to reads and answers other reads from them.
// Whatever it answers comes out of one exchange, so a value of several registers
// is never torn. Safe for concurrent use.
type Memory struct {
	maxAge   time.Duration // immutable once set
	dialects map[modbus.UnitID]modbus.Dialect

	mu   sync.Mutex // guards the rest
	held map[table][]heard
	size int // answers in held
}

// maxHeld bounds a memory: about one megabyte. While so many are younger than
// the greatest age, no others are kept.
const maxHeld = 4096

// table is what a function reads of a unit.
type table struct {
	unit modbus.UnitID
	fc   modbus.FunctionCode
}

// heard is one answer and the addresses it covers.
type heard struct {
	addr, quantity int
	item           int // bytes of one; 0 for bits
	answer         modbus.Answer
}

// NewMemory returns a memory that answers with nothing older than maxAge, by the
// time the request was sent. Dialects are those of the units that don't speak
// plain Modbus; they must not change any more.
func NewMemory(maxAge time.Duration, dialects map[modbus.UnitID]modbus.Dialect) *Memory {
	return &Memory{maxAge: maxAge, dialects: dialects, held: make(map[table][]heard)}
}

// Heard keeps the answer to a read. Left out are exceptions, functions other than
// 1 to 4 and, of a dialect, what is asked by the number of a record. Neither PDU
// may be changed afterwards.
func (m *Memory) Heard(unit modbus.UnitID, req modbus.PDU, a modbus.Answer) {
	d := m.dialects[unit]
	r, err := d.ParseRequest(req)
	if err != nil || !r.Function.Reads() || a.PDU.Function() != r.Function || !d.Answers(req, a.PDU) {
		return
	}
	h := heard{addr: int(r.Addr), quantity: r.Quantity, answer: a}
	if !r.Function.Bits() {
		if h.item = cmp.Or(d.ItemBytes(r.Function, r.Addr), 2); h.item < 0 {
			return
		}
	}
	now := time.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.size >= maxHeld {
		m.purge(now)
	}
	t := table{unit, r.Function}
	m.keep(t, slices.DeleteFunc(m.held[t], func(o heard) bool {
		return o.addr == h.addr && o.quantity == h.quantity
	}))
	if m.size < maxHeld {
		m.keep(t, append(m.held[t], h))
	}
}

// keep puts what is held of a table in the place of what was. m.mu is held.
func (m *Memory) keep(t table, held []heard) {
	m.size += len(held) - len(m.held[t])
	m.held[t] = held
}

// purge forgets what is too old. m.mu is held.
func (m *Memory) purge(now time.Time) {
	for t := range m.held {
		m.keep(t, slices.DeleteFunc(m.held[t], func(h heard) bool { return m.expired(h, now) }))
		if len(m.held[t]) == 0 {
			delete(m.held, t)
		}
	}
}

func (m *Memory) expired(h heard, now time.Time) bool { return now.Sub(h.answer.Sent) > m.maxAge }

// Answer answers a read with the latest that was heard of all its addresses at
// once; ok is false if there is nothing.
func (m *Memory) Answer(unit modbus.UnitID, req modbus.PDU) (a modbus.Answer, ok bool) {
	r, err := m.dialects[unit].ParseRequest(req)
	if err != nil || !r.Function.Reads() {
		return modbus.Answer{}, false
	}
	now := time.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	var best heard
	for _, h := range m.held[table{unit, r.Function}] {
		if h.covers(r) && !m.expired(h, now) && (!ok || h.answer.Sent.After(best.answer.Sent)) {
			best, ok = h, true
		}
	}
	if !ok {
		return modbus.Answer{}, false
	}
	a = best.answer
	a.PDU = best.part(r)
	return a, true
}

// Forget drops what is held of a unit, of all units for [modbus.Broadcast]:
// whoever writes to a unit may change more of it than is written.
func (m *Memory) Forget(unit modbus.UnitID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for t := range m.held {
		if t.unit == unit || unit == modbus.Broadcast {
			m.keep(t, nil)
			delete(m.held, t)
		}
	}
}

func (h heard) covers(r modbus.Request) bool {
	return h.addr <= int(r.Addr) && int(r.Addr)+r.Quantity <= h.addr+h.quantity
}

// part returns the answer to a read of a part of what h covers.
func (h heard) part(r modbus.Request) modbus.PDU {
	skip, data := int(r.Addr)-h.addr, h.answer.PDU[2:]
	if !r.Function.Bits() {
		data = data[h.item*skip:][:h.item*r.Quantity]
		return append(modbus.PDU{byte(r.Function), byte(len(data))}, data...)
	}
	part := make([]byte, (r.Quantity+7)/8)
	for i := range r.Quantity {
		k := skip + i
		part[i/8] |= data[k/8] >> (k % 8) & 1 << (i % 8)
	}
	return append(modbus.PDU{byte(r.Function), byte(len(part))}, part...)
}

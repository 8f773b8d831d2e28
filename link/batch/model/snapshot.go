package model

import (
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"unsafe"
)

// Clone returns a table of its own that has learnt the same.
func (t *Table) Clone() *Table {
	n := *t
	n.columns = slices.Clone(t.columns)
	n.slots = slices.Clone(t.slots)
	for i := range n.columns {
		if k := &n.columns[i]; k.model != nil {
			m := *k.model
			m.window.narrow = slices.Clone(m.window.narrow)
			m.window.wide = slices.Clone(m.window.wide)
			k.model = &m
		}
	}
	return &n
}

// Size returns the bytes of memory that the table takes, and so a clone.
func (t *Table) Size() int {
	n := int(unsafe.Sizeof(*t)) + cap(t.slots)*int(unsafe.Sizeof(slot{})) + len(t.columns)*int(unsafe.Sizeof(column{}))
	for i := range t.columns {
		if m := t.columns[i].model; m != nil {
			n += int(unsafe.Sizeof(*m)) + cap(m.window.narrow)*4 + cap(m.window.wide)*8
		}
	}
	return n
}

// Append appends a snapshot to dst, of which [ParseTable] makes the same table.
// It is a few bytes for a column that never changed and for a used slot.
func (t *Table) Append(dst []byte) []byte {
	s := snapshot{b: dst}
	s.table(t)
	return s.b
}

var errSnapshot = errors.New("model: not a snapshot of this table")

// ParseTable makes a table of the snapshot that b begins with, for the columns
// and options that it was made with, and returns what follows it.
func ParseTable(columns []Column, o Options, b []byte) (*Table, []byte, error) {
	t := NewTable(columns, o)
	s := snapshot{b: b, reading: true}
	s.table(t)
	if s.bad {
		return nil, nil, errSnapshot
	}
	return t, s.b, nil
}

// snapshot writes numbers, or reads them back, as Coder does bits.
type snapshot struct {
	b       []byte
	reading bool
	bad     bool
}

// number passes a number from 0 to most.
func (s *snapshot) number(v, most uint64) uint64 {
	if !s.reading {
		s.b = binary.AppendUvarint(s.b, v)
		return v
	}
	v, n := binary.Uvarint(s.b)
	if n <= 0 || v > most {
		s.b, s.bad = nil, true
		return 0
	}
	s.b = s.b[n:]
	return v
}

// signed passes a number from -most to most.
func (s *snapshot) signed(v *int64, most uint64) {
	u := s.number(uint64(*v<<1^*v>>63), math.MaxUint64)
	*v = int64(u>>1) ^ -int64(u&1)
	if uint64(abs(*v)) > most {
		*v, s.bad = 0, true
	}
}

func (s *snapshot) flag(v *bool) {
	u := uint64(0)
	if *v {
		u = 1
	}
	*v = s.number(u, 1) != 0
}

func (s *snapshot) bit(b *Bit) {
	b.n = uint8(s.number(uint64(b.n), bitSlow))
	if b.n > 0 {
		b.p = uint16(s.number(uint64(b.p), math.MaxUint16))
	}
}

func (s *snapshot) table(t *Table) {
	for i := range t.columns {
		s.column(t, &t.columns[i])
	}
	for i := range t.first.longer {
		s.bit(&t.first.longer[i])
		s.bit(&t.first.second[i])
	}
	if t.modelled == 0 {
		return
	}
	t.evicted = int(s.number(uint64(t.evicted), math.MaxInt32))
	s.weights(&t.weights)
	s.slots(t)
}

func (s *snapshot) column(t *Table, k *column) {
	s.flag(&k.seen)
	if !k.seen {
		return
	}
	s.bit(&k.wakes)
	k.last = s.number(k.last, 1<<k.Width-1)
	modelled := k.model != nil
	if s.flag(&modelled); !modelled || s.bad {
		return
	}
	if s.reading {
		k.model = new(columnModel)
		t.modelled++
	}
	m := k.model
	s.form(k.Column, &m.form)
	m.salt = uint32(s.number(uint64(m.salt), math.MaxUint32))
	m.cells = uint32(s.number(uint64(m.cells), math.MaxUint32))
	m.learnAt = uint32(s.number(uint64(m.learnAt), math.MaxUint32))
	s.window(k.Width, &m.window)
	for _, v := range [...]*int64{&m.last, &m.change[0], &m.change[1], &m.mean[0], &m.mean[1], &m.error[0], &m.error[1], &m.error[2], &m.error[3], &m.rest.last, &m.fine.last} {
		s.signed(v, 1<<63)
	}
	for _, u := range [...]*usual{&m.usual, &m.rest.usual, &m.fine.usual} {
		*u = usual(s.number(uint64(*u), 64<<8))
	}
	s.bit(&m.inexact)
	m.same = uint8(s.number(uint64(m.same), asleep))
	m.leaks = uint32(s.number(uint64(m.leaks), 15))
	s.weights(&m.weights)
}

func (s *snapshot) form(t Column, f *form) {
	f.kind = uint8(s.number(uint64(f.kind), formBinary))
	e := int64(f.exponent)
	s.signed(&e, mostExponent)
	f.exponent = int16(e)
	s.signed(&f.step, 1<<62)
	s.signed(&f.offset, 1<<63)
	s.flag(&f.drifts)
	s.signed(&f.leak, mostLeak)
	decimals := f.kind != formDecimal || e >= 0 && e < int64(len(powersOf10))
	if f.kind != formInteger && t.Kind != Float || !decimals || f.step != 0 && f.step < 1<<16 {
		*f, s.bad = form{}, true
	}
}

func (s *snapshot) window(width uint8, w *window) {
	n := int(s.number(uint64(len(w.narrow)+len(w.wide)), windowSize))
	if s.reading && width <= 32 {
		w.narrow = make([]uint32, n)
	} else if s.reading {
		w.wide = make([]uint64, n)
	}
	for i := range w.narrow {
		w.narrow[i] = uint32(s.number(uint64(w.narrow[i]), 1<<width-1))
	}
	for i := range w.wide {
		w.wide[i] = s.number(w.wide[i], math.MaxUint64)
	}
	if n == windowSize {
		w.next = uint16(s.number(uint64(w.next), windowSize-1))
	}
}

func (s *snapshot) weights(w *weights) {
	for i := range w {
		for j := range w[i] {
			v := int64(w[i][j])
			s.signed(&v, math.MaxInt32)
			w[i][j] = int32(v)
		}
	}
}

// slots passes the slots in use, each behind the number of empty ones before it.
func (s *snapshot) slots(t *Table) {
	doublings := 0
	first := t.firstSlots()
	for n := first; n < len(t.slots); n *= 2 {
		doublings++
	}
	doublings = int(s.number(uint64(doublings), 40))
	used := 0
	for i := range t.slots {
		if t.slots[i].n > 0 {
			used++
		}
	}
	used = int(s.number(uint64(used), math.MaxInt32))
	if s.reading {
		n := int64(first) << doublings
		if doublings > 0 && n > int64(t.modelled)<<t.slotBits || int64(used) > n || used > len(s.b)/5 {
			s.bad = true
			return
		}
		t.slots = make([]slot, n)
	}
	at := 0
	for ; used > 0 && !s.bad; used-- {
		from := at
		for !s.reading && t.slots[at].n == 0 {
			at++
		}
		at = from + int(s.number(uint64(at-from), uint64(len(t.slots)-used-from)))
		s.slot(&t.slots[at])
		at++
	}
}

func (s *snapshot) slot(x *slot) {
	if !s.reading {
		s.b = append(s.b, byte(x.p), byte(x.p>>8), x.n, x.check)
		return
	}
	if len(s.b) < 4 || s.b[2] == 0 || s.b[2] > slotSlow {
		s.bad = true
		return
	}
	*x = slot{uint16(s.b[0]) | uint16(s.b[1])<<8, s.b[2], s.b[3]}
	s.b = s.b[4:]
}

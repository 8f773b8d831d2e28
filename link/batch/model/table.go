package model

import (
	"encoding/binary"
	"errors"
)

// Kind says what the raw bits of a column mean.
type Kind uint8

// The kinds of columns.
const (
	Unsigned Kind = iota
	Signed        // two's complement
	Float         // IEEE 754 binary32 or binary64
)

// Column is the type of a column. The raw bits of a cell are the low Width bits
// of an uint64; the others are 0.
type Column struct {
	Kind  Kind
	Width uint8 // bits: 1, 8, 16, 32 or 64; floats 32 or 64
}

// Options are the sizes of a model. They are the same at both ends.
type Options struct {
	Slots uint8 // log2 of the counter slots of a column at most, 6 to 16; 0 is the default
}

// Table is the model of the rows of a table: what it has learnt from the rows so
// far makes the next ones short. Both ends have one, in the same state. A Table
// is for one goroutine.
type Table struct {
	columns []column
}

type column struct {
	kind  Kind
	width uint8
	last  uint64
	same  [2]Bit
	was   uint8
	num   *Number
	sign  Bit
}

// NewTable returns the model of rows that have the given columns.
func NewTable(columns []Column, o Options) *Table {
	t := &Table{columns: make([]column, len(columns))}
	for i, c := range columns {
		t.columns[i] = column{kind: c.Kind, width: c.Width}
	}
	return t
}

// Row codes one row; when reading it fills cells, of which there are as many as
// columns. Cells whose skip is set, which both ends know, are not coded and
// teach nothing; when reading they become 0. No skip at all is as if none were
// set.
func (t *Table) Row(c *Coder, cells []uint64, skip []bool) {
	for i := range t.columns {
		if skip != nil && skip[i] {
			if c.decoding {
				cells[i] = 0
			}
			continue
		}
		cells[i] = t.columns[i].code(c, cells[i])
	}
}

func (k *column) code(c *Coder, raw uint64) uint64 {
	if !c.Bit(&k.same[k.was], raw != k.last) {
		k.was = 0
		return k.last
	}
	k.was = 1
	if k.num == nil {
		k.num = new(Number)
	}
	mask := ^uint64(0) >> (64 - k.width)
	d := (raw - k.last) & mask
	neg := c.Bit(&k.sign, d>>(k.width-1) != 0)
	if neg {
		d = -d & mask
	}
	d = k.num.Code(c, d)
	if neg {
		d = -d
	}
	k.last = (k.last + d) & mask
	return k.last
}

// Clone returns a copy.
func (t *Table) Clone() *Table {
	n := &Table{columns: append([]column(nil), t.columns...)}
	for i := range n.columns {
		if k := &n.columns[i]; k.num != nil {
			num := *k.num
			k.num = &num
		}
	}
	return n
}

// Size returns the bytes of memory that a clone takes.
func (t *Table) Size() (n int) {
	for i := range t.columns {
		n += 48
		if t.columns[i].num != nil {
			n += 512
		}
	}
	return n
}

// Append appends a snapshot to dst, from which [ParseTable] makes the same table.
func (t *Table) Append(dst []byte) []byte {
	for i := range t.columns {
		k := &t.columns[i]
		dst = binary.AppendUvarint(dst, k.last)
		for _, b := range []Bit{k.same[0], k.same[1], k.sign} {
			dst = append(dst, byte(b.p), byte(b.p>>8), b.n)
		}
		dst = append(dst, k.was)
		if k.num == nil {
			dst = append(dst, 0)
			continue
		}
		dst = append(dst, 1)
		for _, b := range append(k.num.longer[:], k.num.second[:]...) {
			dst = append(dst, byte(b.p), byte(b.p>>8), b.n)
		}
	}
	return dst
}

var errSnapshot = errors.New("not a snapshot of these columns")

// ParseTable makes a table of the snapshot that b begins with, and returns what
// follows it.
func ParseTable(columns []Column, o Options, b []byte) (*Table, []byte, error) {
	t := NewTable(columns, o)
	for i := range t.columns {
		k := &t.columns[i]
		v, n := binary.Uvarint(b)
		if n <= 0 || len(b) < n+11 || v&^(^uint64(0)>>(64-k.width)) != 0 {
			return nil, nil, errSnapshot
		}
		k.last = v
		b = b[n:]
		for j, p := range []*Bit{&k.same[0], &k.same[1], &k.sign} {
			*p = Bit{uint16(b[3*j]) | uint16(b[3*j+1])<<8, min(b[3*j+2], bitSlow)}
		}
		k.was = b[9] & 1
		has := b[10] != 0
		b = b[11:]
		if !has {
			continue
		}
		if len(b) < 3*128 {
			return nil, nil, errSnapshot
		}
		k.num = new(Number)
		for j := range 128 {
			p := &k.num.second[j%64]
			if j < 64 {
				p = &k.num.longer[j]
			}
			*p = Bit{uint16(b[3*j]) | uint16(b[3*j+1])<<8, min(b[3*j+2], bitSlow)}
		}
		b = b[3*128:]
	}
	return t, b, nil
}

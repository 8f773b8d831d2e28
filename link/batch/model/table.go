package model

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
	Slots uint8 // log2 of the counter slots that each column that changes adds at most, 6 to 16; 0 is 12
}

// Table is the model of the rows of a table: what it has learnt from the rows so
// far makes the next ones short. Both ends have one, in the same state. A Table
// is for one goroutine.
type Table struct {
	decision
	columns   []column
	first     Number // values of columns
	slots     []slot
	slotBits  uint8
	evicted   int // slots in use that were lost since the last growth
	modelled  int // columns with a model
	weights   weights
	neighbour uint32 // what the column before did in this row
}

// column is little until it changes.
type column struct {
	Column
	seen  bool
	wakes Bit // while there is no model, or nothing changes
	last  uint64
	model *columnModel
}

// NewTable returns the model of rows that have the given columns.
func NewTable(columns []Column, o Options) *Table {
	t := &Table{columns: make([]column, len(columns)), slotBits: o.Slots}
	if o.Slots == 0 {
		t.slotBits = 12
	}
	t.slotBits = min(max(t.slotBits, 6), 16)
	for i, c := range columns {
		t.columns[i].Column = c
	}
	for i := range t.weights {
		for j := range t.weights[i] {
			t.weights[i][j] = startOf
		}
	}
	return t
}

// Row codes one row; when reading it fills cells, of which there are as many as
// columns. Cells whose skip is set, which both ends know, are not coded and
// teach nothing; when reading they become 0. No skip at all is as if none were
// set.
func (t *Table) Row(c *Coder, cells []uint64, skip []bool) {
	t.neighbour = 0
	t.grow()
	for i := range t.columns {
		k := &t.columns[i]
		switch {
		case skip != nil && skip[i]:
			if c.decoding {
				cells[i] = 0
			}
		case k.model != nil && k.model.same < asleep:
			cells[i] = t.cell(c, k, cells[i])
		case !k.seen:
			k.last = t.first.Code(c, cells[i]) & (1<<k.Width - 1)
			k.seen = true
			cells[i] = k.last
		case c.Bit(&k.wakes, cells[i] != k.last):
			cells[i] = t.wake(c, k, cells[i])
		default:
			t.neighbour = 1
			cells[i] = k.last
		}
	}
}

// wake codes a cell that is known to have changed.
func (t *Table) wake(c *Coder, k *column, raw uint64) uint64 {
	if k.model == nil {
		if t.slots == nil {
			t.slots = make([]slot, t.firstSlots())
		}
		t.modelled++
		k.model = &columnModel{salt: uint32(t.modelled) * 0x85EBCA6B, learnAt: firstLearn}
		k.model.begin(k.Column, []uint64{k.last})
		k.model.usual = 1 << 8
	}
	m := k.model
	t.model = m
	m.same = min(m.same, 3)
	centres := m.centres()
	centre := centres[m.centre()]
	t.between(m, centre)
	m.same = 0
	k.last = t.changed(c, k, raw, centre, &centres)
	k.learn(k.last)
	return k.last
}

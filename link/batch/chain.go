package batch

import (
	"encoding/binary"
	"fmt"
	"slices"

	"skyhaul/bufferstore"
	"skyhaul/edge/point"
	"skyhaul/link/batch/model"
)

// Chain is what both ends of a lane have learnt from a run of batches of level
// B, each built on the one before: the state of the coder. It stands after one
// batch and makes the next one short. Encoder and Decoder each have their own,
// and the two are equal as long as both have seen the same batches; the
// checksum of every batch proves it. A Chain is for one goroutine.
type Chain struct {
	// name is the checksum of the batch that it stands after. As that covers the
	// name before, it names all that was learnt. 0 before the first.
	name  uint32
	lane  point.Lane
	epoch bufferstore.Epoch // of that batch
	last  bufferstore.Seq   // in it

	slots  uint8        // see model.Options
	behind *model.Table // how far the acked mark is behind
	order  *model.Table // what comes next
	gaps   *model.Table
	bytes  *model.Bytes // of opaque records
	tables []*table     // in the order in which they were met
}

// table is what a chain knows of the scans of one schema.
type table struct {
	id      point.SchemaID
	schema  *point.Schema // types of the columns are all that counts
	rows    *model.Table  // of stampColumns and the values
	slots   int           // that rows may take
	quality *model.Table  // nil until some value is not good
	last    []point.Quality
}

// The bounds of a chain, for the memory of both ends.
const (
	maxTables       = 64
	maxChainColumns = 8192 // of all tables
	// maxChainSlots are the counter slots of all tables, and maxTableSlots those
	// of one: a table that would have more has fewer a column.
	maxChainSlots = 4 << 20
	maxTableSlots = 1 << 20
	minSlots      = 6
	maxSlots      = 16
)

// DefaultSlots is the usual size of a chain: log2 of the counter slots of a column.
const DefaultSlots = 11

var (
	oneNumber  = []model.Column{{Kind: model.Unsigned, Width: 64}}
	oneSymbol  = []model.Column{{Kind: model.Unsigned, Width: 16}}
	gapNumbers = []model.Column{{Kind: model.Unsigned, Width: 64}, {Kind: model.Unsigned, Width: 8}}
)

func newChain(slots uint8) *Chain {
	o := model.Options{Slots: minSlots}
	return &Chain{
		slots: slots, bytes: model.NewBytes(),
		behind: model.NewTable(oneNumber, o), order: model.NewTable(oneSymbol, o), gaps: model.NewTable(gapNumbers, o),
	}
}

// takes reports whether there is room for a table of the schema.
func (c *Chain) takes(s *point.Schema) bool {
	columns := len(s.Columns)
	for _, t := range c.tables {
		columns += len(t.last)
	}
	return len(c.tables) < maxTables && columns <= maxChainColumns
}

// meet begins the table of a schema.
func (c *Chain) meet(id point.SchemaID, s *point.Schema) {
	t := &table{id: id, schema: s, last: make([]point.Quality, len(s.Columns))}
	shape, o := c.shape(t)
	t.rows = model.NewTable(shape, o)
	c.tables = append(c.tables, t)
}

// shape returns what the rows of the next table look like to the model.
func (c *Chain) shape(t *table) ([]model.Column, model.Options) {
	columns := slices.Repeat(oneNumber, stampColumns)
	for _, typ := range typesOf(t.schema) {
		columns = append(columns, modelColumn(typ))
	}
	left := maxChainSlots
	for _, t := range c.tables {
		left -= t.slots
	}
	slots := c.slots
	for slots > minSlots && len(columns)<<slots > min(maxTableSlots, left/2) {
		slots--
	}
	t.slots = len(columns) << slots
	return columns, model.Options{Slots: slots}
}

func modelColumn(t point.Type) model.Column {
	c := model.Column{Kind: model.Unsigned, Width: uint8(8 * t.Size())}
	switch t {
	case point.Bool:
		c.Width = 1
	case point.Int16, point.Int32, point.Int64:
		c.Kind = model.Signed
	case point.Float32, point.Float64:
		c.Kind = model.Float
	}
	return c
}

// qualityShape returns what the qualities of a row look like to the model.
func qualityShape(s *point.Schema) ([]model.Column, model.Options) {
	return slices.Repeat([]model.Column{{Kind: model.Unsigned, Width: 8}}, len(s.Columns)), model.Options{Slots: minSlots}
}

// find returns the place of the table of a schema, -1 for none.
func (c *Chain) find(id point.SchemaID) int {
	return slices.IndexFunc(c.tables, func(t *table) bool { return t.id == id })
}

// stands notes the batch that the chain stands after.
func (c *Chain) stands(name uint32, h *Header, last bufferstore.Seq) {
	c.name, c.lane, c.epoch, c.last = name, h.Lane, h.Epoch, last
}

// Name returns the checksum of the batch that the chain stands after.
func (c *Chain) Name() uint32 { return c.name }

// tag is as much of a name as the next batch gives.
func (c *Chain) tag() uint16 { return uint16(c.name) }

// Size returns about the bytes of memory that the chain takes.
func (c *Chain) Size() int {
	n := c.behind.Size() + c.order.Size() + c.gaps.Size() + c.bytes.Size()
	for _, t := range c.tables {
		n += t.rows.Size()
		if t.quality != nil {
			n += t.quality.Size()
		}
	}
	return n
}

// Clone returns a chain of its own that has learnt the same.
func (c *Chain) Clone() *Chain {
	d := *c
	d.behind, d.order, d.gaps, d.bytes = c.behind.Clone(), c.order.Clone(), c.gaps.Clone(), c.bytes.Clone()
	d.tables = make([]*table, len(c.tables))
	for i, t := range c.tables {
		u := *t
		u.rows, u.last = t.rows.Clone(), slices.Clone(t.last)
		if t.quality != nil {
			u.quality = t.quality.Clone()
		}
		d.tables[i] = &u
	}
	return &d
}

// chainVersion begins a snapshot. It rises with every change of what model
// learns or keeps, so that an old snapshot is never continued by other rules.
const chainVersion = 1

// Append appends a snapshot, from which [ParseChain] makes the chain again:
//
//	version u8 | name u32 | lane u8 | epoch 8 | last uvarint | slots u8 | behind | order | gaps | bytes
//	tables uvarint | { schema id 8 | types uvarint | type u8 * | qualities u8 * | rows | quality u8: 0, or 1 and its table }*
func (c *Chain) Append(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint32(append(dst, chainVersion), c.name)
	dst = append(append(dst, byte(c.lane)), c.epoch[:]...)
	dst = append(binary.AppendUvarint(dst, uint64(c.last)), c.slots)
	dst = c.bytes.Append(c.gaps.Append(c.order.Append(c.behind.Append(dst))))
	dst = binary.AppendUvarint(dst, uint64(len(c.tables)))
	for _, t := range c.tables {
		dst = t.append(dst)
	}
	return dst
}

func (t *table) append(dst []byte) []byte {
	dst = binary.AppendUvarint(append(dst, t.id[:]...), uint64(len(t.schema.Columns)))
	for i := range t.schema.Columns {
		dst = append(dst, byte(t.schema.Columns[i].Type))
	}
	for _, q := range t.last {
		dst = append(dst, byte(q))
	}
	dst = t.rows.Append(dst)
	if t.quality == nil {
		return append(dst, 0)
	}
	return t.quality.Append(append(dst, 1))
}

// ParseChain reads a snapshot. The error wraps [ErrCorrupt] or [ErrVersion]:
// then a chain has to begin anew.
func ParseChain(b []byte) (*Chain, error) {
	src := source{b: b}
	if v := src.byte(); !src.bad && v != chainVersion {
		return nil, fmt.Errorf("chain of version %d, want %d: %w", v, chainVersion, ErrVersion)
	}
	c := newChain(DefaultSlots)
	c.name, c.lane, c.epoch, c.last, c.slots = src.uint32(), point.Lane(src.byte()), src.epoch(), bufferstore.Seq(src.uvarint()), src.byte()
	src.bad = src.bad || !c.lane.Valid() || c.slots < minSlots || c.slots > maxSlots
	small := model.Options{Slots: minSlots}
	c.behind, c.order, c.gaps = src.table(oneNumber, small), src.table(oneSymbol, small), src.table(gapNumbers, small)
	c.bytes = parsed(&src, model.ParseBytes)
	for range src.count(maxTables) {
		if t := c.readTable(&src); !src.bad && c.takes(t.schema) {
			c.tables = append(c.tables, t)
		} else {
			src.bad = true
			break
		}
	}
	if src.bad || len(src.b) > 0 {
		return nil, fmt.Errorf("chain in %d bytes: %w", len(b), ErrCorrupt)
	}
	return c, nil
}

// parsed takes off src what parse makes of its beginning.
func parsed[T any](src *source, parse func([]byte) (T, []byte, error)) (v T) {
	if src.bad {
		return v
	}
	v, rest, err := parse(src.b)
	src.b, src.bad = rest, err != nil
	return v
}

func (s *source) table(columns []model.Column, o model.Options) *model.Table {
	return parsed(s, func(b []byte) (*model.Table, []byte, error) { return model.ParseTable(columns, o, b) })
}

func (c *Chain) readTable(s *source) *table {
	t := &table{schema: new(point.Schema)}
	copy(t.id[:], s.take(uint64(len(t.id))))
	for _, b := range s.take(uint64(s.count(point.MaxColumns))) {
		c := point.Column{Type: point.Type(b)}
		s.bad = s.bad || !c.Type.Valid()
		t.schema.Columns = append(t.schema.Columns, c)
	}
	for _, b := range s.take(uint64(len(t.schema.Columns))) {
		t.last = append(t.last, point.Quality(b))
	}
	t.rows = s.table(c.shape(t))
	if s.byte() == 1 {
		t.quality = s.table(qualityShape(t.schema))
	}
	return t
}

package batch

import (
	"encoding/binary"
	"slices"

	"skyhaul/bufferstore"
	"skyhaul/edge/point"
	"skyhaul/link/batch/model"
)

// The symbols of the order in level B: what comes next. The values are part of
// the format. A table has two, from walkTable on: the second says that the
// qualities of the row follow.
const (
	walkEnd = iota
	walkGap
	walkOpaque
	walkNew // the next is a scan of a schema that the chain hasn't met
	walkTable
)

// walker goes through the records of a batch of level B, one way for both ends:
// it writes what it is given, or gives what it reads.
type walker struct {
	*Chain
	coder model.Coder

	scan  point.Scan
	cells []uint64
	skip  []bool
}

// symbol codes what comes next.
func (w *walker) symbol(s int) int {
	cell := [1]uint64{uint64(s)}
	w.order.Row(&w.coder, cell[:], nil)
	return int(cell[0])
}

// mark codes the acked mark of a batch that begins with first.
func (w *walker) mark(acked, first bufferstore.Seq) bufferstore.Seq {
	cell := [1]uint64{uint64(first - 1 - acked)}
	w.behind.Row(&w.coder, cell[:], nil)
	return first - 1 - bufferstore.Seq(cell[0])
}

// gap codes how many numbers are lost, and why.
func (w *walker) gap(n uint64, lost bufferstore.Reason) (uint64, bufferstore.Reason) {
	cells := [2]uint64{n - 1, uint64(lost)}
	w.gaps.Row(&w.coder, cells[:], nil)
	return cells[0] + 1, bufferstore.Reason(cells[1])
}

// schema codes which schema a new table is of: the place, from 1, among those
// that the batch carries, or 0 and the id.
func (w *walker) schema(place int, id point.SchemaID) (int, point.SchemaID) {
	place = int(w.coder.Bits(uint64(place), 7))
	if place == 0 {
		binary.BigEndian.PutUint64(id[:], w.coder.Bits(binary.BigEndian.Uint64(id[:]), 64))
	}
	return place, id
}

// row codes a scan of the table, in w.scan, whose qualities are in t.last.
func (w *walker) row(t *table) {
	n := stampColumns + len(t.last)
	w.cells = resize(w.cells, n)
	for part := range stampColumns {
		w.cells[part] = stampColumn(w.scan.Stamp, part)
	}
	copy(w.cells[stampColumns:], w.scan.Values)
	t.rows.Row(&w.coder, w.cells, w.omitted(t))
	w.scan.Schema, w.scan.Stamp = t.id, point.Stamp{}
	w.scan.Quality = append(w.scan.Quality[:0], t.last...)
	for part := range stampColumns {
		setStampColumn(&w.scan.Stamp, part, w.cells[part])
	}
	w.scan.Values = append(w.scan.Values[:0], w.cells[stampColumns:]...)
}

// qualities codes those of a row, in w.scan, into t.last.
func (w *walker) qualities(t *table) {
	if t.quality == nil {
		t.quality = model.NewTable(qualityShape(t.schema))
	}
	w.cells = resize(w.cells, len(t.last))
	w.scan.Quality = resize(w.scan.Quality, len(t.last)) // a reader's is of another table
	for i, q := range w.scan.Quality {
		w.cells[i] = uint64(q)
	}
	t.quality.Row(&w.coder, w.cells, nil)
	for i := range t.last {
		t.last[i] = point.Quality(w.cells[i])
	}
}

// omitted returns which cells of a row have no value, nil for none.
func (w *walker) omitted(t *table) []bool {
	if !slices.ContainsFunc(t.last, empty) {
		return nil
	}
	w.skip = resize(w.skip, stampColumns+len(t.last))
	clear(w.skip)
	for i, q := range t.last {
		w.skip[stampColumns+i] = empty(q)
	}
	return w.skip
}

func empty(q point.Quality) bool { return !q.HasValue() }

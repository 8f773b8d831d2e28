package batch

import (
	"encoding/binary"
	"slices"

	"skyhaul/edge/point"
)

// pageReader turns pages of columns into scan records, one after the other in b.
type pageReader struct {
	columns columnReader
	b       []byte
	tails   []int // of each record of the page: where in b its values begin

	scan          point.Scan
	stamps        []point.Stamp
	raws          []uint64
	valued, empty []int // those tails whose cell of a column has a value, and has none
}

// room makes space for n bytes in b; records that were read stay where they are.
func (r *pageReader) room(n int) {
	if cap(r.b)-len(r.b) < n {
		r.b = make([]byte, 0, max(n, 2*cap(r.b)))
	}
}

// noColumns makes a scan append all but its values.
var noColumns point.Schema

// heads reads the stamps of a page and appends its records, with nothing where
// their values will be; rows are their qualities.
func (r *pageReader) heads(g *group, rows [][]point.Quality) {
	r.readStamps(len(rows))
	r.tails = r.tails[:0]
	for i := range rows {
		r.scan.Schema, r.scan.Stamp, r.scan.Quality = g.id, r.stamps[i], rows[i]
		r.b = r.scan.Append(r.b, &noColumns)
		tail := len(r.b)
		r.tails = append(r.tails, tail)
		r.b = slices.Grow(r.b, g.tail)[:tail+g.tail]
	}
}

func (r *pageReader) readStamps(n int) {
	r.stamps = resize(r.stamps, n)
	for part := range stampColumns {
		for i, v := range r.read(n, point.Uint64, r.columns.mode()) {
			setStampColumn(&r.stamps[i], part, v)
		}
	}
}

// read returns n cells of the next column.
func (r *pageReader) read(n int, t point.Type, mode byte) []uint64 {
	r.raws = resize(r.raws, n)
	if r.columns.read(r.raws, t, mode) {
		for i := range r.raws {
			r.raws[i] = r.raws[0]
		}
	}
	return r.raws
}

// values reads the columns of a page into its records.
func (r *pageReader) values(g *group, rows [][]point.Quality) {
	missing := slices.ContainsFunc(rows, func(row []point.Quality) bool {
		return slices.ContainsFunc(row, func(q point.Quality) bool { return !q.HasValue() })
	})
	at := 0
	for i, t := range g.types {
		mode, tails := r.columns.mode(), r.tails
		if missing && mode&flagWhole == 0 {
			tails = r.part(rows, i)
			r.raws = resize(r.raws, len(r.empty))
			clear(r.raws)
			put(r.b[at:], r.empty, r.raws, t.Size())
		}
		put(r.b[at:], tails, r.read(len(tails), t, mode), t.Size())
		at += t.Size()
	}
}

// part sets r.empty and r.valued for column i, and returns the latter.
func (r *pageReader) part(rows [][]point.Quality, i int) (valued []int) {
	r.valued, r.empty = r.valued[:0], r.empty[:0]
	for k, tail := range r.tails {
		if rows[k] == nil || rows[k][i].HasValue() {
			r.valued = append(r.valued, tail)
		} else {
			r.empty = append(r.empty, tail)
		}
	}
	return r.valued
}

// put puts values of size bytes, big endian, to where the indices say.
func put(b []byte, indices []int, values []uint64, size int) {
	values = values[:len(indices)]
	switch size {
	case 1:
		for k, i := range indices {
			b[i] = byte(values[k])
		}
	case 2:
		for k, i := range indices {
			binary.BigEndian.PutUint16(b[i:], uint16(values[k]))
		}
	case 4:
		for k, i := range indices {
			binary.BigEndian.PutUint32(b[i:], uint32(values[k]))
		}
	case 8:
		for k, i := range indices {
			binary.BigEndian.PutUint64(b[i:], values[k])
		}
	}
}

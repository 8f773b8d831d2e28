package batch

import (
	"time"

	"skyhaul/edge/point"
)

// pageScans is how many scans of a group make a page. A column's mode holds
// for a page, so that it can follow what the instrument does.
const pageScans = 1024

// stampColumns come before the columns of the schema in every page.
const stampColumns = 5

// stampColumn returns a part of a stamp as a number. The wall time goes as its
// distance from the boot time, which hardly changes.
func stampColumn(s point.Stamp, part int) uint64 {
	switch part {
	case 0:
		return uint64(s.Quality)
	case 1:
		return uint64(s.BoundExp)
	case 2:
		return uint64(s.Boot)
	case 3:
		return uint64(s.Boottime / time.Millisecond)
	default:
		return uint64(s.Wall) - uint64(s.Boottime/time.Millisecond)
	}
}

// setStampColumn is the inverse of stampColumn; part 4 comes after part 3.
func setStampColumn(s *point.Stamp, part int, v uint64) {
	switch part {
	case 0:
		s.Quality = point.TimeQuality(v)
	case 1:
		s.BoundExp = uint8(v)
	case 2:
		s.Boot = uint32(v)
	case 3:
		s.Boottime = time.Duration(v) * time.Millisecond
	default:
		s.Wall = int64(v + uint64(s.Boottime/time.Millisecond))
	}
}

// scanWriter writes groups column by column.
type scanWriter struct {
	quality []byte
	columns columnWriter
	rows    [][]point.Quality
	raws    []uint64
}

func (w *scanWriter) reset() {
	w.quality = w.quality[:0]
	c := &w.columns
	c.modes, c.exponents, c.numbers = c.modes[:0], c.exponents[:0], c.numbers[:0]
	c.planes.b, c.planes.lens = c.planes.b[:0], c.planes.lens[:0]
	c.bits = bitWriter{b: c.bits.b[:0]}
}

// add writes the scans of a group, page by page.
func (w *scanWriter) add(g *group) {
	w.rows = w.rows[:0]
	for _, e := range g.scans {
		w.rows = append(w.rows, e.quality)
	}
	w.quality = appendQuality(w.quality, w.rows, len(g.schema.Columns))
	for scans := g.scans; len(scans) > 0; scans = scans[min(pageScans, len(scans)):] {
		w.page(scans[:min(pageScans, len(scans))], g)
	}
}

func (w *scanWriter) page(scans []*entry, g *group) {
	for part := range stampColumns {
		w.raws = w.raws[:0]
		for _, e := range scans {
			w.raws = append(w.raws, stampColumn(e.stamp, part))
		}
		w.columns.add(point.Uint64, w.raws, 0)
	}
	left := g.tail
	for i := range g.schema.Columns {
		t := g.schema.Columns[i].Type
		w.column(scans, i, t, left)
		left -= t.Size()
	}
}

// column writes column i, whose values begin left bytes before the end of the
// records. Cells without a value are left out as long as they are zero.
func (w *scanWriter) column(scans []*entry, i int, t point.Type, left int) {
	var mode byte
	w.raws = w.raws[:0]
	for k, e := range scans {
		v := bigEndian(e.Data[len(e.Data)-left:], t.Size())
		switch {
		case mode == flagWhole || e.quality == nil || e.quality[i].HasValue():
			w.raws = append(w.raws, v)
		case v != 0:
			mode = flagWhole
			w.raws = w.raws[:0]
			for _, e := range scans[:k+1] {
				w.raws = append(w.raws, bigEndian(e.Data[len(e.Data)-left:], t.Size()))
			}
		}
	}
	w.columns.add(t, w.raws, mode)
}

func bigEndian(b []byte, size int) (v uint64) {
	for _, c := range b[:size] {
		v = v<<8 | uint64(c)
	}
	return v
}

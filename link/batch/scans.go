package batch

import (
	"encoding/binary"
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
	tails   [][]byte // values of each scan of the page
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
	w.quality = appendQuality(w.quality, w.rows, len(g.types))
	for scans := g.scans; len(scans) > 0; scans = scans[min(pageScans, len(scans)):] {
		w.page(scans[:min(pageScans, len(scans))], g)
	}
}

func (w *scanWriter) page(scans []*entry, g *group) {
	w.raws = resize(w.raws, len(scans))
	for part := range stampColumns {
		for i, e := range scans {
			w.raws[i] = stampColumn(e.stamp, part)
		}
		w.columns.add(point.Uint64, w.raws, 0)
	}
	w.tails = w.tails[:0]
	whole := true
	for _, e := range scans {
		w.tails = append(w.tails, e.Data[len(e.Data)-g.tail:])
		whole = whole && e.quality == nil
	}
	at := 0
	for i, t := range g.types {
		w.raws = resize(w.raws, len(scans))
		gather(w.raws, w.tails, at, t.Size())
		var mode byte
		if !whole {
			mode = w.omit(scans, i)
		}
		w.columns.add(t, w.raws, mode)
		at += t.Size()
	}
}

// omit leaves the cells of column i out that have no value, as long as they are zero.
func (w *scanWriter) omit(scans []*entry, i int) (mode byte) {
	empty := func(k int) bool { return scans[k].quality != nil && !scans[k].quality[i].HasValue() }
	for k, v := range w.raws {
		if v != 0 && empty(k) {
			return flagWhole
		}
	}
	valued := w.raws[:0]
	for k, v := range w.raws {
		if !empty(k) {
			valued = append(valued, v)
		}
	}
	w.raws = valued
	return 0
}

// gather takes the numbers of size bytes, big endian, at the same place of all tails.
func gather(dst []uint64, tails [][]byte, at, size int) {
	dst = dst[:len(tails)]
	switch size {
	case 1:
		for k, b := range tails {
			dst[k] = uint64(b[at])
		}
	case 2:
		for k, b := range tails {
			dst[k] = uint64(binary.BigEndian.Uint16(b[at:]))
		}
	case 4:
		for k, b := range tails {
			dst[k] = uint64(binary.BigEndian.Uint32(b[at:]))
		}
	case 8:
		for k, b := range tails {
			dst[k] = binary.BigEndian.Uint64(b[at:])
		}
	}
}

package sqlite

import (
	"math"
	"strings"

	"skyhaul/bufferstore"
	"skyhaul/edge/point"
	"skyhaul/link/batch"
)

// writer turns records of one epoch into rows.
type writer struct {
	*tx
	site, epoch                 int64 // ids of rows
	records, readings, repeated int64
	scan                        point.Scan
	pending                     []any // arguments of readings still to be written
}

// readingColumns and readingRows: one statement writes many readings, which is
// nearly twice as fast as one at a time.
const (
	readingColumns = 6
	readingRows    = 32
)

var (
	insertReading  = "INSERT INTO reading VALUES (?, ?, ?, ?, ?, ?)"
	insertReadings = insertReading + strings.Repeat(", (?, ?, ?, ?, ?, ?)", readingRows-1)
)

// content writes a record by its kind. What can't be read is kept as it is.
func (w *writer) content(seq int64, rec []byte) error {
	switch point.KindOf(rec) {
	case point.KindScan:
		id, _ := point.ScanSchema(rec)
		sc, found, err := w.schema(w.site, id)
		if err != nil {
			return err
		}
		if found && w.scan.Decode(rec, sc.Schema) == nil {
			return w.readingsOf(seq, sc)
		}
	case point.KindEvent:
		var e point.Event
		if e.Decode(rec) == nil {
			return w.event(seq, &e)
		}
	case point.KindArchive:
		var a point.Archive
		if a.Decode(rec) == nil {
			return w.archive(seq, &a)
		}
	case point.KindNote:
		var n point.Note
		if n.Decode(rec) == nil {
			return w.note(seq, &n)
		}
	}
	_, err := w.exec("INSERT INTO opaque VALUES (?, ?, ?, ?, ?)", w.epoch, seq, int64(point.KindOf(rec)), nonNil(rec), w.now)
	return err
}

// nonNil keeps an empty record from becoming null.
func nonNil(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

func (w *writer) readingsOf(seq int64, sc schema) error {
	s := &w.scan.Stamp
	_, err := w.exec("INSERT INTO scan VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
		w.epoch, seq, sc.row, int64(s.Boot), s.Boottime.Milliseconds(), s.Wall, int64(s.Quality), bound(s), w.now)
	if err != nil {
		return err
	}
	for i := range sc.Columns {
		raw, q := w.scan.Values[i], w.scan.Quality[i]
		if q == point.Unrecorded {
			continue
		}
		w.pending = append(w.pending, w.epoch, seq, int64(i), int64(raw), value(&sc.Columns[i], raw, q), int64(q))
		if sc.Interval == 0 {
			w.readings++
		}
		if len(w.pending) == readingRows*readingColumns {
			if _, err := w.exec(insertReadings, w.pending...); err != nil {
				return err
			}
			w.pending = w.pending[:0]
		}
	}
	return nil
}

// flush writes the readings that are still pending.
func (w *writer) flush() error {
	for len(w.pending) > 0 {
		if _, err := w.exec(insertReading, w.pending[:readingColumns]...); err != nil {
			return err
		}
		w.pending = w.pending[readingColumns:]
	}
	return nil
}

// value returns the scaled value; nil, which is null, where there is none.
func value(c *point.Column, raw uint64, q point.Quality) any {
	if !q.HasValue() {
		return nil
	}
	return number(c.Value(raw))
}

// number returns v, or nil where v is no number.
func number(v float64) any {
	if math.IsNaN(v) {
		return nil
	}
	return v
}

func bound(s *point.Stamp) any {
	if s.BoundExp == point.UnknownBound {
		return nil
	}
	return int64(s.BoundExp)
}

func (w *writer) event(seq int64, e *point.Event) error {
	s := &e.Stamp
	_, err := w.exec("INSERT INTO event VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
		w.epoch, seq, int64(s.Boot), s.Boottime.Milliseconds(), s.Wall, int64(s.Quality), bound(s),
		int64(e.Point), e.Tag, e.Condition, e.Active, e.Type.String(), int64(e.Raw), int64(e.Quality), number(e.Value), number(e.Limit), w.now)
	return err
}

func (w *writer) note(seq int64, n *point.Note) error {
	s := &n.Stamp
	_, err := w.exec("INSERT INTO note VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
		w.epoch, seq, int64(s.Boot), s.Boottime.Milliseconds(), s.Wall, int64(s.Quality), bound(s), n.Topic, n.Text, w.now)
	return err
}

func (w *writer) gap(r batch.Range, why bufferstore.Reason) error {
	_, err := w.exec("INSERT INTO gap VALUES (?, ?, ?, ?, ?)", w.epoch, int64(r.First), int64(r.Last), why.String(), w.now)
	return err
}

package point

import (
	"encoding/binary"
	"fmt"
	"math"
	"time"
)

// Kind is the first byte of a record.
type Kind uint8

// The kinds of records. The values are part of the record format.
const (
	KindScan    Kind = iota + 1 // one pass of a group, see Scan
	KindEvent                   // an alarm transition, see Event
	KindMessage                 // a bridged MQTT message
	KindResult                  // what became of a command
	KindArchive                 // a record that an instrument keeps, see Archive
	KindNote                    // configuration, clock, audit; see Note
)

// KindOf returns the kind of a record; 0 for an empty one.
func KindOf(rec []byte) Kind {
	if len(rec) == 0 {
		return 0
	}
	return Kind(rec[0])
}

// Scan is one pass of a group in one lane.
type Scan struct {
	Schema  SchemaID
	Stamp   Stamp
	Values  []uint64  // raw bits as the instrument gave them, one a column
	Quality []Quality // one a column
}

// Append appends the record of a scan to dst; s is the schema that sc.Schema
// names and gives the widths.
//
//	kind u8 = 1 | schema 8 | stamp | quality runs uvarint { length uvarint, quality u8 }* | values
//	stamp: time quality u8 | bound u8 | boot uvarint | boottime ms uvarint | wall ms varint
//
// Values are big endian in the width of their type. No quality run at all says
// that every value is good. The form is canonical: one scan, one byte string.
func (sc *Scan) Append(dst []byte, s *Schema) []byte {
	dst = append(dst, byte(KindScan))
	dst = append(dst, sc.Schema[:]...)
	dst = sc.Stamp.append(dst)
	dst = appendQuality(dst, sc.Quality)
	for i := range s.Columns {
		v := sc.Values[i]
		switch s.Columns[i].Type.Size() {
		case 1:
			dst = append(dst, byte(v))
		case 2:
			dst = binary.BigEndian.AppendUint16(dst, uint16(v))
		case 4:
			dst = binary.BigEndian.AppendUint32(dst, uint32(v))
		default:
			dst = binary.BigEndian.AppendUint64(dst, v)
		}
	}
	return dst
}

// ScanSchema returns the schema id that a scan record names; ok is false for
// any other record.
func ScanSchema(rec []byte) (id SchemaID, ok bool) {
	if KindOf(rec) != KindScan || len(rec) < 9 {
		return id, false
	}
	return SchemaID(rec[1:9]), true
}

// Decode reads a record made by Append under the schema s, reusing the slices
// of sc. The record must be whole and canonical: whatever Decode accepts,
// Append gives back byte for byte.
func (sc *Scan) Decode(rec []byte, s *Schema) error {
	if KindOf(rec) != KindScan || len(rec) < 9 {
		return fmt.Errorf("not a scan record: %w", ErrMalformed)
	}
	sc.Schema = SchemaID(rec[1:9])
	r := reader{b: rec[9:]}
	sc.Stamp = r.stamp()
	n := len(s.Columns)
	sc.Quality = resize(sc.Quality, n)
	sc.Values = resize(sc.Values, n)
	r.quality(sc.Quality)
	for i := range s.Columns {
		t := s.Columns[i].Type
		v := r.uint(t.Size())
		if v&^t.mask() != 0 {
			r.bad = true
		}
		sc.Values[i] = v
	}
	if r.bad || len(r.b) != 0 {
		return fmt.Errorf("scan record of %d bytes under schema %s: %w", len(rec), sc.Schema, ErrMalformed)
	}
	return nil
}

// StampOf returns when a record was made; ok is false for a kind that carries
// no stamp.
func StampOf(rec []byte) (s Stamp, ok bool) {
	at := map[Kind]int{KindScan: 9, KindEvent: 1, KindArchive: 1, KindNote: 1}[KindOf(rec)]
	if at == 0 || len(rec) < at {
		return s, false
	}
	r := reader{b: rec[at:]}
	s = r.stamp()
	return s, !r.bad
}

// Event is a transition of one alarm condition of one point.
type Event struct {
	Stamp     Stamp
	Point     ID
	Tag       string
	Condition string // such as "hihi", "lo", "bad"
	Active    bool   // true when the condition begins, false when it ends
	Type      Type
	Raw       uint64 // the value that made it
	Quality   Quality
	Value     float64 // the same, scaled
	Limit     float64 // the limit passed, scaled; NaN where there is none
}

// Append appends the record of an event to dst:
//
//	kind u8 = 2 | stamp | point uvarint | active u8 | type u8 | quality u8 | raw u64 | value f64 | limit f64 | tag text | condition text
func (e *Event) Append(dst []byte) []byte {
	dst = append(dst, byte(KindEvent))
	dst = e.Stamp.append(dst)
	dst = binary.AppendUvarint(dst, uint64(e.Point))
	var active byte
	if e.Active {
		active = 1
	}
	dst = append(dst, active, byte(e.Type), byte(e.Quality))
	dst = binary.BigEndian.AppendUint64(dst, e.Raw)
	dst = binary.BigEndian.AppendUint64(dst, math.Float64bits(e.Value))
	dst = binary.BigEndian.AppendUint64(dst, math.Float64bits(e.Limit))
	dst = appendText(dst, e.Tag)
	return appendText(dst, e.Condition)
}

// Decode reads a record made by Append.
func (e *Event) Decode(rec []byte) error {
	r := reader{b: rec}
	kind := Kind(r.byte())
	e.Stamp = r.stamp()
	id := r.uvarint()
	e.Point = ID(id)
	active := r.byte()
	e.Active = active == 1
	e.Type = Type(r.byte())
	e.Quality = Quality(r.byte())
	e.Raw = r.uint(8)
	e.Value = math.Float64frombits(r.uint(8))
	e.Limit = math.Float64frombits(r.uint(8))
	e.Tag = r.text()
	e.Condition = r.text()
	if r.bad || len(r.b) != 0 || kind != KindEvent || id > math.MaxUint32 || active > 1 || !e.Type.Valid() || !e.Quality.Valid() {
		return fmt.Errorf("event record of %d bytes: %w", len(rec), ErrMalformed)
	}
	return nil
}

// Note is what an auditor wants to find beside the readings: a configuration
// taken over, a clock that stepped, a start.
type Note struct {
	Stamp Stamp
	Topic string // "configuration", "clock", "start"; at most 255 bytes
	Text  string // at most MaxNote bytes
}

// MaxNote is the greatest length of a note's text.
const MaxNote = 4096

// Append appends the record of a note to dst:
//
//	kind u8 = 6 | stamp | topic text | text: the rest
func (n *Note) Append(dst []byte) []byte {
	dst = append(dst, byte(KindNote))
	dst = n.Stamp.append(dst)
	dst = appendText(dst, n.Topic)
	return append(dst, n.Text[:min(len(n.Text), MaxNote)]...)
}

// Decode reads a record made by Append.
func (n *Note) Decode(rec []byte) error {
	r := reader{b: rec}
	kind := Kind(r.byte())
	n.Stamp = r.stamp()
	n.Topic = r.text()
	if r.bad || kind != KindNote || len(r.b) > MaxNote {
		return fmt.Errorf("note record of %d bytes: %w", len(rec), ErrMalformed)
	}
	n.Text = string(r.b)
	return nil
}

func (s Stamp) append(dst []byte) []byte {
	dst = append(dst, byte(s.Quality), s.BoundExp)
	dst = binary.AppendUvarint(dst, uint64(s.Boot))
	dst = binary.AppendUvarint(dst, uint64(s.Boottime/time.Millisecond))
	return binary.AppendVarint(dst, s.Wall)
}

func appendQuality(dst []byte, qs []Quality) []byte {
	runs := 0
	good := true
	for i, q := range qs {
		if i == 0 || q != qs[i-1] {
			runs++
		}
		good = good && q == 0
	}
	if good {
		return append(dst, 0)
	}
	dst = binary.AppendUvarint(dst, uint64(runs))
	for i := 0; i < len(qs); {
		j := i + 1
		for j < len(qs) && qs[j] == qs[i] {
			j++
		}
		dst = binary.AppendUvarint(dst, uint64(j-i))
		dst = append(dst, byte(qs[i]))
		i = j
	}
	return dst
}

// reader takes values off the front of b; bad is set, and stays set, by the
// first that is not there or not canonical, so that a decoder checks once.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) byte() byte {
	if len(r.b) == 0 {
		r.bad = true
		return 0
	}
	v := r.b[0]
	r.b = r.b[1:]
	return v
}

func (r *reader) uint(size int) (v uint64) {
	if len(r.b) < size {
		r.bad = true
		r.b = nil
		return 0
	}
	for _, c := range r.b[:size] {
		v = v<<8 | uint64(c)
	}
	r.b = r.b[size:]
	return v
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	// A last byte of zero is a longer form of a shorter number.
	if n <= 0 || (n > 1 && r.b[n-1] == 0) {
		r.bad = true
		r.b = nil
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) varint() int64 {
	u := r.uvarint()
	return int64(u>>1) ^ -int64(u&1)
}

func (r *reader) text() string {
	n := int(r.byte())
	if len(r.b) < n {
		r.bad = true
		r.b = nil
		return ""
	}
	s := string(r.b[:n])
	r.b = r.b[n:]
	return s
}

func (r *reader) stamp() (s Stamp) {
	s.Quality = TimeQuality(r.byte())
	s.BoundExp = r.byte()
	boot := r.uvarint()
	s.Boottime = r.milliseconds()
	s.Wall = r.varint()
	if s.Quality > Repaired || boot > math.MaxUint32 {
		r.bad = true
		return s
	}
	s.Boot = uint32(boot)
	return s
}

func (r *reader) milliseconds() time.Duration {
	ms := r.uvarint()
	if ms > math.MaxInt64/uint64(time.Millisecond) {
		r.bad = true
		return 0
	}
	return time.Duration(ms) * time.Millisecond
}

// quality fills dst from its runs.
func (r *reader) quality(dst []Quality) {
	runs := r.uvarint()
	clear(dst)
	if runs == 0 {
		return
	}
	if runs > uint64(len(dst)) {
		r.bad = true
		return
	}
	good := true
	for k := range runs {
		n := r.uvarint()
		q := Quality(r.byte())
		if r.bad || n == 0 || n > uint64(len(dst)) || !q.Valid() || (k == runs-1) != (n == uint64(len(dst))) {
			r.bad = true
			return
		}
		for i := range dst[:n] {
			dst[i] = q
		}
		good = good && q == 0
		dst = dst[n:]
		if len(dst) > 0 && len(r.b) > 1 {
			// The next run must differ, else this was not the canonical form.
			if next, m := binary.Uvarint(r.b); m > 0 && m < len(r.b) && next > 0 && Quality(r.b[m]) == q {
				r.bad = true
				return
			}
		}
	}
	if good {
		r.bad = true
	}
}

func resize[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}

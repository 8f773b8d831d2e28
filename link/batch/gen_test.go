package batch_test

import (
	"bytes"
	"fmt"
	"iter"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"skyhaul/bufferstore"
	"skyhaul/edge/point"
	"skyhaul/link/batch"
)

var epoch = bufferstore.Epoch{0xe9, 0x0c}

// site makes records as a site might, and knows its schemas.
type site struct {
	rng     *rand.Rand
	schemas map[point.SchemaID]*point.Schema
	groups  []*wave
	stamp   point.Stamp
	next    bufferstore.Seq
}

// wave makes the scans of one group.
type wave struct {
	id     point.SchemaID
	schema *point.Schema
	scan   point.Scan
	kinds  []int // how each column moves
}

func newSite(seed uint64) *site {
	s := &site{
		rng: rand.New(rand.NewPCG(seed, 0x5eed)), schemas: make(map[point.SchemaID]*point.Schema), next: 1,
		stamp: point.Stamp{Boot: 3, Boottime: 90061 * time.Millisecond, Wall: 1763820000000, BoundExp: 4},
	}
	return s
}

// group adds a group of n columns of random types.
func (s *site) group(n int) *wave {
	types := make([]point.Type, n)
	for i := range types {
		types[i] = point.Type(1 + s.rng.IntN(int(point.Float64)))
	}
	return s.groupOf(types...)
}

// groupOf adds a group of a column of each type.
func (s *site) groupOf(types ...point.Type) *wave {
	sc := &point.Schema{Group: fmt.Sprintf("group %d", len(s.groups))}
	w := &wave{schema: sc}
	for i, t := range types {
		sc.Columns = append(sc.Columns, point.Column{
			ID: point.ID(100*len(s.groups) + i + 1), Tag: fmt.Sprintf("PT-%d", i), Unit: "bar",
			Type: t, Scale: point.NoScale, Decimals: -1,
		})
		w.kinds = append(w.kinds, s.rng.IntN(kinds))
	}
	w.id = sc.ID()
	w.scan = point.Scan{Schema: w.id, Values: make([]uint64, len(types)), Quality: make([]point.Quality, len(types))}
	s.schemas[w.id] = sc
	s.groups = append(s.groups, w)
	return w
}

func (s *site) lookup(id point.SchemaID) (*point.Schema, bool) {
	sc, ok := s.schemas[id]
	return sc, ok
}

// The ways in which a column moves.
const (
	frozen = iota
	noise
	drift
	decimal
	ramp
	few
	bits
	strange
	kinds
)

// value returns a raw value of type t that follows last.
func (s *site) value(t point.Type, kind int, last uint64) uint64 {
	float := func(v float64) uint64 {
		if t == point.Float32 {
			return uint64(math.Float32bits(float32(v)))
		}
		return math.Float64bits(v)
	}
	isFloat := t == point.Float32 || t == point.Float64
	switch {
	case kind == frozen:
		return last
	case kind == bits, kind == strange && !isFloat:
		return s.rng.Uint64() & mask(t)
	case kind == strange:
		return []uint64{
			float(math.NaN()), float(math.Inf(-1)), float(math.Copysign(0, -1)), float(math.SmallestNonzeroFloat64), float(math.MaxFloat32),
			s.rng.Uint64() & mask(t), float(1) | 1, 0x7fc00001 | s.rng.Uint64()&mask(t)&^0xff,
		}[s.rng.IntN(8)] & mask(t)
	case isFloat && kind == decimal && s.rng.IntN(20) == 0:
		return float(math.NaN())
	case isFloat && kind == decimal:
		return float(math.Round(s.rng.NormFloat64()*1000) / 100)
	case isFloat && kind == few:
		return float([]float64{0, 1.5, 78.9, math.NaN()}[s.rng.IntN(4)])
	case isFloat:
		return float(t.Float(last) + s.rng.NormFloat64())
	case kind == ramp:
		return (last + 7) & mask(t)
	case kind == few:
		return uint64(s.rng.IntN(3)) * 5000 & mask(t)
	}
	return (last + uint64(s.rng.IntN(9)) - 4) & mask(t)
}

func mask(t point.Type) uint64 {
	if t == point.Bool {
		return 1
	}
	return ^uint64(0) >> (64 - 8*t.Size())
}

// record returns the next record of the lane: most are scans, the rest is
// whatever a lane may hold.
func (s *site) record() bufferstore.Record {
	r := bufferstore.Record{Epoch: epoch, First: s.next, Last: s.next}
	switch dice := s.rng.IntN(100); {
	case dice == 0:
		r.Last += bufferstore.Seq(s.rng.IntN(5000))
		r.Lost = bufferstore.Reason(1 + s.rng.IntN(int(bufferstore.TooLarge)))
	case dice == 1:
		r.Data = make([]byte, s.rng.IntN(300))
		for i := range r.Data {
			r.Data[i] = byte(s.rng.Uint32())
		}
	case dice == 2: // the clock jumps, or the appliance starts anew
		s.stamp.Wall += s.rng.Int64() >> s.rng.IntN(64)
		s.stamp.Quality = point.TimeQuality(s.rng.IntN(5))
		s.stamp.BoundExp = uint8(s.rng.Uint32())
		if s.rng.IntN(2) == 0 {
			s.stamp.Boot++
			s.stamp.Boottime = 0
		}
		fallthrough
	default:
		r.Data = s.scan(s.groups[s.rng.IntN(len(s.groups))])
	}
	s.next = r.Last + 1
	return r
}

func (s *site) scan(w *wave) []byte {
	ms := time.Duration(1000+s.rng.IntN(3)) * time.Millisecond
	s.stamp.Boottime += ms
	s.stamp.Wall += ms.Milliseconds()
	w.scan.Stamp = s.stamp
	for i := range w.schema.Columns {
		c := &w.schema.Columns[i]
		if s.rng.IntN(40) == 0 {
			w.scan.Quality[i] = point.MakeQuality(point.Status(s.rng.IntN(3)), point.Reason(s.rng.IntN(12)))
		}
		if s.rng.IntN(20) == 0 {
			w.scan.Quality[i] = 0
		}
		w.scan.Values[i] = s.value(c.Type, w.kinds[i], w.scan.Values[i])
		if !w.scan.Quality[i].HasValue() && s.rng.IntN(50) > 0 {
			w.scan.Values[i] = 0
		}
	}
	return w.scan.Append(nil, w.schema)
}

func (s *site) records(n int) []bufferstore.Record {
	recs := make([]bufferstore.Record, n)
	for i := range recs {
		recs[i] = s.record()
	}
	return recs
}

// reused gives records whose data are valid until the next step only, as those
// of a lane are.
func reused(recs []bufferstore.Record) iter.Seq2[bufferstore.Record, error] {
	return func(yield func(bufferstore.Record, error) bool) {
		var room []byte
		for _, r := range recs {
			if r.Data != nil {
				clear(room)
				room = append(room[:0], r.Data...)
				r.Data = room
			}
			if !yield(r, nil) {
				return
			}
		}
	}
}

// same fails the test unless both hold the same records.
func same(t testing.TB, got, want []bufferstore.Record) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d records, want %d", len(got), len(want))
	}
	for i := range want {
		g, w := got[i], want[i]
		if g.Epoch != w.Epoch || g.First != w.First || g.Last != w.Last || g.Lost != w.Lost || !bytes.Equal(g.Data, w.Data) {
			t.Fatalf("record %d:\n got %v\nwant %v", i, g, w)
		}
	}
}

// encode makes one batch of all records.
func encode(t testing.TB, e *batch.Encoder, h batch.Header, recs []bufferstore.Record) []byte {
	t.Helper()
	p, last, err := e.Encode(nil, h, reused(recs), math.MaxInt)
	if err != nil {
		t.Fatal(err)
	}
	if want := recs[len(recs)-1].Last; last != want {
		t.Fatalf("batch ends at %d, want %d", last, want)
	}
	return p
}

func none(point.SchemaID) (*point.Schema, bool) { return nil, false }

package sqlite_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"skyhaul/bufferstore"
	"skyhaul/edge/point"
	"skyhaul/link/batch"
	"skyhaul/link/hub"
)

// BenchmarkStore stores batches of one minute of 100 points at 1 Hz.
func BenchmarkStore(b *testing.B) {
	s := open(b, filepath.Join(b.TempDir(), "hub.db"))
	sc := &point.Schema{Group: "all"}
	for i := range point.ID(100) {
		sc.Columns = append(sc.Columns, point.Column{ID: i + 1, Tag: fmt.Sprintf("PT-%d", i), Type: point.Float32, Scale: point.NoScale})
	}
	const scans = 60
	next := bufferstore.Seq(1)
	bt := &batch.Batch{Header: batch.Header{Lane: point.History, Epoch: epoch(1), Opening: &batch.Opening{First: 1}}, Schemas: []*point.Schema{sc}}
	for b.Loop() {
		bt.First, bt.Records = next, bt.Records[:0]
		for range scans {
			bt.Records = append(bt.Records, bufferstore.Record{First: next, Last: next, Data: scan(sc, uint64(next))})
			next++
		}
		bt.Last = next - 1
		store(b, s, bt)
	}
	b.ReportMetric(float64(b.N*scans*len(sc.Columns))/b.Elapsed().Seconds(), "readings/s")
}

// recorded is a schema of n points as a site has them: most are analog.
func recorded(n int) *point.Schema {
	s := &point.Schema{Group: "all"}
	for i := range n {
		c := point.Column{ID: point.ID(i + 1), Tag: fmt.Sprintf("PT-%d", i), Type: []point.Type{point.Float32, point.Uint16, point.Float32, point.Int16}[i%4], Scale: point.NoScale}
		s.Columns = append(s.Columns, c)
	}
	return s
}

// drift is a random walk of each point, which the next scan goes on with.
func drift(rng *rand.Rand, s *point.Schema, at []float64, n bufferstore.Seq) []byte {
	sc := point.Scan{
		Schema: s.ID(), Stamp: point.Stamp{Boot: 1, Boottime: time.Duration(n) * time.Second, Wall: 1_700_000_000_000 + int64(n)*1000, BoundExp: 3},
		Values: make([]uint64, len(s.Columns)), Quality: make([]point.Quality, len(s.Columns)),
	}
	for i := range at {
		if rng.IntN(3) > 0 {
			at[i] += math.Round(rng.NormFloat64() * 3)
		}
		switch s.Columns[i].Type {
		case point.Float32:
			sc.Values[i] = uint64(math.Float32bits(float32(at[i] / 100)))
		case point.Int16:
			sc.Values[i] = uint64(uint16(int16(at[i])))
		default:
			sc.Values[i] = uint64(uint16(int(at[i]) + 5000))
		}
	}
	return sc.Append(nil, s)
}

// BenchmarkChain receives batches of 15 scans of 30 points, from payload to
// disk, on a chain and not.
func BenchmarkChain(b *testing.B) {
	for _, c := range []struct {
		name   string
		chain  bool
		memory int
	}{{"plain", false, 0}, {"chain", true, 0}, {"rebuilt", true, -1}} {
		b.Run(c.name, func(b *testing.B) {
			path := filepath.Join(b.TempDir(), "hub.db")
			s, w := open(b, path), newSite(recorded(30))
			w.Carry(c.chain)
			w.walk()
			var payloads [][]byte
			bytes := 0
			for range b.N {
				p := w.batch(b, 15)
				w.Acked(w.next - 1)
				bytes += len(p)
				payloads = append(payloads, p)
			}
			b.ResetTimer()
			if st := receiveWith(b, s, hub.Options{Name: "one", ChainMemory: c.memory}, payloads...); st.Batches != int64(b.N) {
				b.Fatalf("status %+v", st)
			}
			b.StopTimer()
			b.ReportMetric(float64(bytes)/float64(b.N), "payload-B/op")
			b.ReportMetric(number(b, path, "SELECT total(page_count * page_size) FROM pragma_page_count, pragma_page_size")/float64(b.N), "disk-B/op")
			b.ReportMetric(number(b, path, "SELECT total(length(payload)) + total(length(snapshot)) FROM link"), "chain-B")
		})
	}
}

// BenchmarkSnapshot makes the chain again that 10,000 scans of 50 points have taught.
func BenchmarkSnapshot(b *testing.B) {
	const scans, each = 10_000, 15
	w := newSite(recorded(50))
	w.walk()
	d := batch.NewDecoder(func(point.SchemaID) (*point.Schema, bool) { return w.schema, true })
	var c *batch.Chain
	var tail [][]byte
	var snapshot []byte
	for n := range scans / each {
		p := w.batch(b, each)
		got, err := d.DecodeOn(c, p)
		if err != nil {
			b.Fatal(err)
		}
		c = got.Chain
		if tail = append(tail, p); n == scans/each-65 {
			snapshot, tail = c.Append(nil), nil
		}
	}
	b.Run("append", func(b *testing.B) {
		for b.Loop() {
			c.Append(nil)
		}
		b.ReportMetric(float64(len(c.Append(nil)))/50, "snapshot-B/point")
		b.ReportMetric(float64(c.Size())/50, "memory-B/point")
	})
	b.Run("rebuild", func(b *testing.B) {
		for b.Loop() {
			c, err := batch.ParseChain(snapshot)
			for _, p := range tail {
				if err != nil {
					b.Fatal(err)
				}
				var got *batch.Batch
				if got, err = d.DecodeOn(c, p); err == nil {
					c = got.Chain
				}
			}
		}
		b.ReportMetric(float64(len(tail)), "links")
	})
}

func number(t testing.TB, path, query string) (n float64) {
	t.Helper()
	if _, err := fmt.Sscan(table(t, path, query)[0][0], &n); err != nil {
		t.Fatal(err)
	}
	return n
}

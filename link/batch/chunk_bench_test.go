package batch_test

import (
	"encoding/csv"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"skyhaul/bufferstore"
	"skyhaul/edge/point"
	"skyhaul/link/batch"
)

var recordings = flag.String("recordings", "bench/testdata", "`DIR` of the recordings that benchmarks replay")

// plant is records of 10 groups of 100 points each second: recordings that were
// taken every 10 s or faster side by side, a row a second, each group from
// elsewhere in them.
type plant struct {
	schemas map[point.SchemaID]*point.Schema
	records []bufferstore.Record
}

const (
	plantGroups = 10
	plantPoints = 100
)

// recorded is a column of a recording; NaN where there was no good value.
type recorded struct {
	typ   point.Type
	cells []float64
}

// played is a column and the row of second 0.
type played struct {
	*recorded
	phase int
}

func newPlant(tb testing.TB, seconds int) *plant {
	tb.Helper()
	names, err := filepath.Glob(filepath.Join(*recordings, "*.csv.zst"))
	if err != nil {
		tb.Fatal(err)
	}
	var all [][]recorded
	for _, name := range names {
		if columns := readColumns(tb, name); columns != nil {
			all = append(all, columns)
		}
	}
	p := &plant{schemas: make(map[point.SchemaID]*point.Schema)}
	var groups [plantGroups][]played
	var ids [plantGroups]point.SchemaID
	for g := range groups {
		s := &point.Schema{Group: fmt.Sprintf("group %d", g)}
		for k := g; len(groups[g]) < plantPoints; k++ {
			for i := range all[k%len(all)] {
				c := &all[k%len(all)][i]
				groups[g] = append(groups[g], played{c, (g*7919 + k*104729) % len(c.cells)})
			}
		}
		groups[g] = groups[g][:plantPoints]
		for i, c := range groups[g] {
			s.Columns = append(s.Columns, point.Column{
				ID: point.ID(g*plantPoints + i + 1), Tag: fmt.Sprintf("PT-%d-%d", g, i), Type: c.typ, Scale: point.NoScale, Decimals: -1,
			})
		}
		ids[g] = s.ID()
		p.schemas[ids[g]] = s
	}
	var sc point.Scan
	for n := range seconds * plantGroups {
		second, g := n/plantGroups, n%plantGroups
		sc.Schema, sc.Values, sc.Quality = ids[g], sc.Values[:0], sc.Quality[:0]
		sc.Stamp = point.Stamp{Boot: 1, Boottime: time.Duration(second) * time.Second, Wall: 1_760_000_000_000 + 1000*int64(second), BoundExp: 4}
		for _, c := range groups[g] {
			v, q := c.value((second + c.phase) % len(c.cells))
			sc.Values, sc.Quality = append(sc.Values, v), append(sc.Quality, q)
		}
		seq := bufferstore.Seq(n + 1)
		p.records = append(p.records, bufferstore.Record{Epoch: epoch, First: seq, Last: seq, Data: sc.Append(nil, p.schemas[ids[g]])})
	}
	return p
}

func (c *recorded) value(row int) (raw uint64, q point.Quality) {
	switch v := c.cells[row]; {
	case math.IsNaN(v):
		return 0, point.MakeQuality(point.Bad, point.Comm)
	case c.typ == point.Float32:
		return uint64(math.Float32bits(float32(v))), 0
	default:
		return uint64(uint16(int32(v))), 0
	}
}

// readColumns returns nil for a recording that is too slow.
func readColumns(tb testing.TB, path string) []recorded {
	tb.Helper()
	f, err := os.Open(path)
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close()
	z, err := zstd.NewReader(f)
	if err != nil {
		tb.Fatal(err)
	}
	defer z.Close()
	rows, err := csv.NewReader(z).ReadAll()
	if err != nil {
		tb.Fatal(err)
	}
	t0, err0 := strconv.Atoi(rows[1][0])
	t1, err1 := strconv.Atoi(rows[2][0])
	if err0 != nil || err1 != nil || t1-t0 > 10_000 {
		return nil
	}
	columns := make([]recorded, len(rows[0])-1)
	for i := range columns {
		c := &columns[i]
		c.typ = point.Uint16
		for _, row := range rows[1:] {
			v := math.NaN()
			if cell := row[i+1]; cell != "" {
				if v, err = strconv.ParseFloat(cell, 64); err != nil {
					tb.Fatal(err)
				}
				if strings.Contains(cell, ".") || v < 0 || v > math.MaxUint16 {
					c.typ = point.Float32
				}
			}
			c.cells = append(c.cells, v)
		}
	}
	return columns
}

func (p *plant) lookup(id point.SchemaID) (*point.Schema, bool) {
	s, ok := p.schemas[id]
	return s, ok
}

// chunks cuts records into chunks of at most size bytes.
func (p *plant) chunks(size int) (all [][]bufferstore.Record) {
	from, bytes := 0, 0
	for i, r := range p.records {
		if bytes += len(r.Data); bytes > size {
			all = append(all, p.records[from:i])
			from, bytes = i, len(r.Data)
		}
	}
	return all
}

var chunkSizes = []int{64 << 10, 256 << 10, 1 << 20}

// fastest is the shortest time that each chunk took in any round: a figure that
// a busy machine leaves alone.
type fastest []time.Duration

func (f fastest) time(i int, do func()) {
	begin := time.Now()
	do()
	if d := time.Since(begin); f[i] == 0 || d < f[i] {
		f[i] = d
	}
}

// report gives what chunks of so many bytes in all cost a reading.
func (f fastest) report(b *testing.B, all [][]bufferstore.Record, bytes int) {
	var sum time.Duration
	readings := 0.0
	for i, recs := range all {
		sum += f[i]
		readings += float64(len(recs) * plantPoints)
	}
	b.ReportMetric(float64(sum)/readings, "ns/reading")
	b.ReportMetric(float64(bytes)/readings, "B/reading")
}

func BenchmarkChunkSeal(b *testing.B) {
	p := newPlant(b, 700)
	for _, size := range chunkSizes {
		b.Run(fmt.Sprintf("%dK", size>>10), func(b *testing.B) {
			c, all := batch.NewChunkCodec(p.lookup), p.chunks(size)
			times, bytes := make(fastest, len(all)), 0
			var chunk []byte
			b.ReportAllocs()
			for b.Loop() {
				bytes = 0
				for i, recs := range all {
					times.time(i, func() { chunk, _ = c.Seal(chunk[:0], recs) })
					bytes += len(chunk)
				}
			}
			times.report(b, all, bytes)
		})
	}
}

func BenchmarkChunkOpen(b *testing.B) {
	p := newPlant(b, 700)
	for _, size := range chunkSizes {
		b.Run(fmt.Sprintf("%dK", size>>10), func(b *testing.B) {
			c, all := batch.NewChunkCodec(p.lookup), p.chunks(size)
			times, bytes := make(fastest, len(all)), 0
			chunks := make([][]byte, len(all))
			for i, recs := range all {
				chunks[i], _ = c.Seal(nil, recs)
				bytes += len(chunks[i])
			}
			b.ReportAllocs()
			for b.Loop() {
				for i, chunk := range chunks {
					n := 0
					times.time(i, func() { _ = c.Open(chunk, func(bufferstore.Record) bool { n++; return true }) })
					if n != len(all[i]) {
						b.Fatalf("%d records of %d", n, len(all[i]))
					}
				}
			}
			times.report(b, all, bytes)
		})
	}
}

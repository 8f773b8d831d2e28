package bufferstore

import (
	"encoding/binary"
	"math/rand/v2"
	"os"
	"regexp"
	"strconv"
	"testing"
	"time"
)

const (
	benchDevices = 10
	benchTags    = 100
)

// plant makes one record a second for each of ten devices of a hundred
// 16-bit registers: 1,000 readings a second, of which a third stand still, half
// wander and the rest is noise.
type plant struct {
	rng       *rand.Rand
	registers [benchDevices][benchTags]uint16
}

func (p *plant) scan() [][]byte {
	recs := make([][]byte, benchDevices)
	for d := range p.registers {
		rec := make([]byte, 24, 24+2*benchTags) // kind, schema, stamp
		for i := range p.registers[d] {
			switch {
			case i%10 < 3:
			case i%10 < 9:
				p.registers[d][i] += uint16(p.rng.IntN(5) - 2)
			default:
				p.registers[d][i] = uint16(p.rng.Uint32())
			}
			rec = binary.BigEndian.AppendUint16(rec, p.registers[d][i])
		}
		recs[d] = rec
	}
	return recs
}

// proc reads a number out of a file of /proc/self.
func proc(b *testing.B, file, name string) float64 {
	text, err := os.ReadFile("/proc/self/" + file)
	if err != nil {
		b.Skip(err)
	}
	m := regexp.MustCompile(name + `:\s*(\d+)`).FindSubmatch(text)
	if m == nil {
		b.Skipf("no %s in /proc/self/%s", name, file)
	}
	n, err := strconv.ParseFloat(string(m[1]), 64)
	if err != nil {
		b.Fatal(err)
	}
	return n
}

func benchStore(b *testing.B, codec Codec) *Store {
	s, err := Open(b.TempDir(), Options{Codec: codec, Lanes: []LaneOptions{{Name: "alarm"}, {Name: "history", Policy: DropOldest}}})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	return s
}

// BenchmarkSecond is one second of 1,000 readings and its Sync, at the speed of
// the disk, with what Run does in between. It reports the bytes of a reading as
// kept, as files, and as written to the disk, and the most anonymous memory.
func BenchmarkSecond(b *testing.B) {
	s := benchStore(b, squeeze{})
	p := &plant{rng: rand.New(rand.NewPCG(1, 1))}
	written, anon, seconds := proc(b, "io", "\nwrite_bytes"), 0.0, 0.0
	for b.Loop() {
		s.Lane("history").Append(p.scan()...)
		if err := s.Sync(b.Context()); err != nil {
			b.Fatal(err)
		}
		seconds++
		s.started = s.started.Add(-time.Second)
		if int(seconds)%10 == 0 {
			s.maintain()
			anon = max(anon, proc(b, "status", "RssAnon"))
		}
	}
	readings := seconds * benchDevices * benchTags
	st := s.Stats()
	b.ReportMetric(float64(st.Lanes[1].Bytes)/readings, "kept-B/reading")
	b.ReportMetric(float64(st.Disk)/readings, "disk-B/reading")
	b.ReportMetric((proc(b, "io", "\nwrite_bytes")-written)/readings, "written-B/reading")
	b.ReportMetric(anon/1000, "rss-anon-MB")
}

// BenchmarkRecords reads an hour of 1,000 readings a second, 36,000 records.
func BenchmarkRecords(b *testing.B) {
	for name, codec := range map[string]Codec{"raw": nil, "packed": squeeze{}} {
		b.Run(name, func(b *testing.B) {
			s := benchStore(b, codec)
			p := &plant{rng: rand.New(rand.NewPCG(1, 1))}
			for range 60 {
				for range 60 {
					s.Lane("history").Append(p.scan()...)
				}
				if err := s.Sync(b.Context()); err != nil {
					b.Fatal(err)
				}
				s.started = s.started.Add(-time.Minute)
				s.maintain()
			}
			n := 0
			for b.Loop() {
				for r, err := range s.Lane("history").Records(1) {
					if err != nil || r.Lost != Kept {
						b.Fatal(r, err)
					}
					n++
				}
			}
			b.ReportMetric(float64(n*benchTags)/b.Elapsed().Seconds()/1e6, "Mreadings/s")
		})
	}
}

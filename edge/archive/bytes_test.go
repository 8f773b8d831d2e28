package archive

import (
	"encoding/binary"
	"flag"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"skyhaul/bufferstore"
	"skyhaul/edge/point"
	"skyhaul/link/batch"
)

// full is the layout of a gas flow computer's hour: 64 bytes.
var full = layout("date float32 mmddyy", "time float32 hhmmss", "P float32 kPa", "T float32 degC", "DP float32 kPa", "gravity float32",
	"flow_time float32 s", "base_volume float32 m3", "flow_volume float32 m3", "mass float32 kg", "extension float32", "energy float32 MJ",
	"CO2 float32 %", "N2 float32 %", "spare1 float32", "spare2 float32")

var days = flag.Int("days", 4, "of records on the link; 31 for the figures")

// hourly makes records of an archive as they would be harvested. Bare ones don't
// say what they are: the least that a record with its layout elsewhere could be.
func hourly(bare bool) (recs []bufferstore.Record) {
	r := rand.New(rand.NewPCG(1, 2))
	start := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	boot := 24 * time.Hour
	for i := range *days * 24 {
		at := start.Add(time.Duration(i) * time.Hour)
		q := float32(120 + 4*r.NormFloat64())
		raw := record(at, 0)[:8]
		for _, v := range []float32{
			4000 + float32(10*r.NormFloat64()), 23 + float32(.2*r.NormFloat64()), 12 + float32(.3*r.NormFloat64()), .612, 3600,
			q, q / 40, q * .7, 214 + float32(r.NormFloat64()), q * 37, 1.21, .87, 0, 0,
		} {
			raw = binary.BigEndian.AppendUint32(raw, math.Float32bits(v))
		}
		boot += time.Hour + time.Duration(r.IntN(300_000)-150_000)*time.Millisecond
		a := point.Archive{
			Stamp: point.Stamp{Boot: 17, Boottime: boot, Wall: start.UnixMilli() + boot.Milliseconds(), BoundExp: 6},
			ID:    900, Index: uint32(i%840 + 1), Time: at.UnixMilli(), Raw: raw,
		}
		if !bare {
			a.Source, a.Name, a.Zone, a.Layout, a.DayStart = "meter 1", "hourly", "America/Edmonton", full, 9*time.Hour
		}
		recs = append(recs, bufferstore.Record{Epoch: bufferstore.Epoch{1}, First: bufferstore.Seq(i + 1), Last: bufferstore.Seq(i + 1), Data: a.Append(nil)})
	}
	return recs
}

// linkBytes returns the bytes of all batches of n records each, and of the first.
func linkBytes(t *testing.T, recs []bufferstore.Record, n int, leaning bool) (all, first int) {
	e := batch.NewEncoder(func(point.SchemaID) (*point.Schema, bool) { return nil, false })
	e.Carry(leaning)
	h := batch.Header{Lane: point.Custody, Epoch: bufferstore.Epoch{1}, Opening: &batch.Opening{First: 1}}
	for i := 0; i < len(recs); i += n {
		p, last, err := e.Encode(nil, h, func(yield func(bufferstore.Record, error) bool) {
			for _, rec := range recs[i:min(i+n, len(recs))] {
				if !yield(rec, nil) {
					return
				}
			}
		}, math.MaxInt)
		if err != nil {
			t.Fatal(err)
		}
		e.Acked(last)
		h.Acked = last
		all += len(p)
		if i == 0 {
			first = len(p)
		}
	}
	return all, first
}

// TestBytesOnTheLink prints what a record costs: with all that it says of
// itself, and bare.
func TestBytesOnTheLink(t *testing.T) {
	recs, bare := hourly(false), hourly(true)
	t.Logf("64 bytes of the instrument; a record of %d bytes, bare %d", len(recs[0].Data), len(bare[0].Data))
	for _, c := range []struct {
		n       int
		leaning bool
		most    float64 // figure reached in 4 days, and 2 %
	}{{1, true, 42}, {24, true, 34.8}, {1, false, 322}, {24, false, 68.9}} {
		all, first := linkBytes(t, recs, c.n, c.leaning)
		allBare, firstBare := linkBytes(t, bare, c.n, c.leaning)
		per := float64(all) / float64(len(recs))
		t.Logf("%2d a batch, leaning %-5v: %6.2f bytes a record, bare %6.2f; the first batch %d, bare %d",
			c.n, c.leaning, per, float64(allBare)/float64(len(recs)), first, firstBare)
		if per > c.most {
			t.Errorf("%d a batch, leaning %v: %.2f bytes a record, at most %.2f", c.n, c.leaning, per, c.most)
		}
	}
}

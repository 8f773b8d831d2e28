package batch_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"skyhaul/bufferstore"
	"skyhaul/edge/point"
	"skyhaul/link/batch"
)

// The batch before tells how many records go into the next: here it is wrong,
// by far and both ways.
func TestBatchesAreFilledWhereRecordsChange(t *testing.T) {
	s := newSite(31)
	w := s.groupOf(point.Uint32, point.Uint32)
	rng := rand.New(rand.NewPCG(31, 31))
	var recs []bufferstore.Record
	for n := range bufferstore.Seq(9000) {
		w.kinds[0], w.kinds[1] = frozen, frozen
		if n/1500%2 == 1 {
			w.kinds[0], w.kinds[1] = bits, bits
		}
		data := s.scan(w)
		if n >= 6000 {
			data = make([]byte, rng.IntN(1+rng.IntN(3000)))
			for i := range data {
				data[i] = byte(rng.Uint32())
			}
		}
		recs = append(recs, bufferstore.Record{Epoch: epoch, First: n + 1, Last: n + 1, Data: data})
	}
	for _, limit := range []int{4000, 20_000} {
		e, d := batch.NewEncoder(s.lookup), batch.NewDecoder(s.lookup)
		var got []bufferstore.Record
		for at := 0; at < len(recs); at = len(got) {
			p, _, err := e.Encode(nil, history, reused(recs[at:]), limit)
			if err != nil {
				t.Fatal(err)
			}
			b, err := d.Decode(p)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, b.Records...)
			room := 1 // for what comes next
			if len(got) < len(recs) {
				room = len(recs[len(got)].Data) + 20
			}
			if len(p) > limit || len(p)+room <= limit*15/16 && len(got) < len(recs) {
				t.Errorf("limit %d: batch of %d bytes, to %d; next is one of %d", limit, len(p), len(got), room)
			}
		}
		same(t, got, recs)
	}
}

// What a backlog costs, cut to batches: hardly more than batches of that length.
func BenchmarkBacklog(b *testing.B) {
	p := newPlant(b, 700)
	for _, limit := range []int{4 << 10, 64 << 10} {
		b.Run(fmt.Sprintf("%dK", limit>>10), func(b *testing.B) {
			e := batch.NewEncoder(p.lookup)
			n := 0
			for b.Loop() {
				n = 0
				for at := 0; at < len(p.records); {
					payload, last, err := e.Encode(nil, history, reused(p.records[at:]), limit)
					if err != nil {
						b.Fatal(err)
					}
					e.Acked(last)
					at, n = int(last), n+len(payload)
				}
			}
			readings := float64(len(p.records) * plantPoints)
			b.ReportMetric(float64(b.Elapsed())/float64(b.N)/readings, "ns/reading")
			b.ReportMetric(float64(n)/readings, "B/reading")
		})
	}
}

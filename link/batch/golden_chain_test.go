package batch_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"skyhaul/bufferstore"
	"skyhaul/edge/point"
	"skyhaul/link/batch"
)

// goldenChain makes three batches along a chain: the second has an opaque
// record and a gap, and a schema joins; the third is of a new epoch.
func goldenChain(t *testing.T) (payloads [][]byte, records [][]bufferstore.Record) {
	s := newSite(4)
	w := s.groupOf(point.Int16, point.Float32, point.Bool, point.Uint64)
	w.kinds = []int{noise, decimal, few, ramp}
	h := batch.Header{Lane: point.History, Epoch: epoch, Opening: &batch.Opening{Parent: bufferstore.Epoch{1, 2, 3}, First: 1}}
	e := chained(s.lookup)
	for n := range 3 {
		if n == 1 {
			w := s.groupOf(point.Float64)
			w.kinds[0] = few
		}
		recs := s.records(12)
		if n == 1 {
			text := []byte("\x1fopaque")
			recs = append(recs,
				bufferstore.Record{Epoch: epoch, First: s.next, Last: s.next, Data: text},
				bufferstore.Record{Epoch: epoch, First: s.next + 1, Last: s.next + 9, Lost: bufferstore.Evicted})
			s.next += 10
		}
		if n == 2 {
			h.Epoch[7]++
			h.Opening = &batch.Opening{Parent: epoch, First: recs[0].First}
		}
		for i := range recs {
			recs[i].Epoch = h.Epoch
		}
		payloads = append(payloads, encode(t, e, h, recs))
		records = append(records, recs)
		h.Acked = recs[len(recs)-1].Last
	}
	return payloads, records
}

// What was once written along a chain is read for ever, on every architecture,
// and what the encoder makes today is no longer.
func TestGoldenChain(t *testing.T) {
	payloads, records := goldenChain(t)
	d := batch.NewDecoder(none)
	var chain *batch.Chain
	for i, p := range payloads {
		name := fmt.Sprintf("chain-%d", i+1)
		b, err := d.DecodeOn(chain, kept(t, name+".batch", p))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		golden(t, name+".txt", []byte(content(b)))
		same(t, b.Records, records[i])
		chain = b.Chain
	}
}

func TestExplainedBytesBeginAChain(t *testing.T) {
	p, err := os.ReadFile(filepath.Join("testdata", "golden", "chain-1.batch"))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(explained(t, "explained-chain.hex"), p) {
		t.Error("explained-chain.hex is another batch than chain-1.batch")
	}
}

package batch_test

import (
	"testing"

	"skyhaul/bufferstore"
	"skyhaul/link/batch"
)

// FuzzDecode: whatever decodes, encodes to a batch of the same records.
func FuzzDecode(f *testing.F) {
	s := newSite(200)
	s.group(7)
	// Short seeds: the fuzzer spends its time on making long ones shorter.
	for n := range 6 {
		recs := s.records(2 + 2*n)
		e := batch.NewEncoder(s.lookup)
		f.Add(encode(f, e, history, recs[:1]))
		e.Acked(recs[0].Last)
		f.Add(encode(f, e, history, recs[1:]))
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		d := batch.NewDecoder(s.lookup)
		b, err := d.Decode(p)
		if err != nil {
			return
		}
		again, err := d.Decode(encode(t, batch.NewEncoder(s.lookup), b.Header, b.Records))
		if err != nil {
			t.Fatal(err)
		}
		same(t, again.Records, b.Records)
	})
}

// FuzzOpen: whatever opens, seals to a chunk of the same records.
func FuzzOpen(f *testing.F) {
	s := newSite(202)
	s.group(2)
	c := batch.NewChunkCodec(s.lookup)
	for n := range 6 {
		chunk, err := c.Seal(nil, s.records(3*n))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(chunk)
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		var recs []bufferstore.Record
		if c.Open(p, func(r bufferstore.Record) bool { recs = append(recs, r); return true }) != nil {
			return
		}
		chunk, err := c.Seal(nil, recs)
		if err != nil {
			t.Fatal(err)
		}
		same(t, open(t, c, chunk), recs)
	})
}

// FuzzSeal: records come back byte for byte, be they scans or anything like them.
func FuzzSeal(f *testing.F) {
	s := newSite(201)
	w := s.group(6)
	for range 20 {
		f.Add(s.scan(w), s.scan(w))
	}
	f.Add([]byte{}, []byte{1})
	c := batch.NewChunkCodec(s.lookup)
	f.Fuzz(func(t *testing.T, a, b []byte) {
		recs := []bufferstore.Record{
			{Epoch: epoch, First: 1, Last: 1, Data: a}, {Epoch: epoch, First: 2, Last: 2, Data: b}, {Epoch: epoch, First: 3, Last: 3, Data: a},
		}
		chunk, err := c.Seal(nil, recs)
		if err != nil {
			t.Fatal(err)
		}
		same(t, open(t, c, chunk), recs)
	})
}

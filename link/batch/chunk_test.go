package batch_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"skyhaul/bufferstore"
	"skyhaul/link/batch"
)

var _ bufferstore.Codec = (*batch.ChunkCodec)(nil)

func open(t testing.TB, c *batch.ChunkCodec, chunk []byte) []bufferstore.Record {
	t.Helper()
	var recs []bufferstore.Record
	if err := c.Open(chunk, func(r bufferstore.Record) bool { recs = append(recs, r); return true }); err != nil {
		t.Fatal(err)
	}
	return recs
}

func TestChunkOpensToWhatWasSealed(t *testing.T) {
	for seed := range uint64(12) {
		s := newSite(100 + seed)
		s.group(s.rng.IntN(20))
		recs := s.records(s.rng.IntN(600))
		for i := range recs { // epochs and holes, as after a salvage
			recs[i].Epoch[7] = byte(i / 100)
			recs[i].First += bufferstore.Seq(1000 * (i / 70))
			recs[i].Last += bufferstore.Seq(1000 * (i / 70))
		}
		chunk, err := batch.NewChunkCodec(s.lookup).Seal([]byte("head"), recs)
		if err != nil {
			t.Fatal(err)
		}
		same(t, open(t, batch.NewChunkCodec(none), bytes.TrimPrefix(chunk, []byte("head"))), recs)
	}
}

func TestRecordsOfNoKnownSchemaAreKeptAsTheyAre(t *testing.T) {
	s := newSite(120)
	s.group(5)
	recs := s.records(100)
	c := batch.NewChunkCodec(none)
	chunk, err := c.Seal(nil, recs)
	if err != nil {
		t.Fatal(err)
	}
	same(t, open(t, c, chunk), recs)
}

func TestChunkStopsWhereItIsTold(t *testing.T) {
	s := newSite(121)
	s.group(2)
	recs := s.records(10)
	c := batch.NewChunkCodec(s.lookup)
	chunk, err := c.Seal(nil, recs)
	if err != nil {
		t.Fatal(err)
	}
	var got []bufferstore.Record
	err = c.Open(chunk, func(r bufferstore.Record) bool { got = append(got, r); return len(got) < 3 })
	if err != nil {
		t.Fatal(err)
	}
	same(t, got, recs[:3])
}

func TestDamagedChunkYieldsNothing(t *testing.T) {
	s := newSite(122)
	s.group(3)
	recs := s.records(20)
	c := batch.NewChunkCodec(s.lookup)
	chunk, err := c.Seal(nil, recs)
	if err != nil {
		t.Fatal(err)
	}
	for bit := range 8 * len(chunk) {
		q := bytes.Clone(chunk)
		q[bit/8] ^= 1 << (bit % 8)
		var got []bufferstore.Record
		err := c.Open(q, func(r bufferstore.Record) bool { got = append(got, r); return true })
		switch {
		case err == nil:
			same(t, got, recs) // a bit that no one reads
		case len(got) > 0 || !errors.Is(err, batch.ErrCorrupt) && !errors.Is(err, batch.ErrVersion):
			t.Errorf("bit %d: %d records and %v", bit, len(got), err)
		}
	}
}

func TestTooLongAChunkIsRefused(t *testing.T) {
	c := batch.NewChunkCodec(none)
	long := slices.Repeat([]bufferstore.Record{{Epoch: epoch, First: 1, Last: 1, Data: make([]byte, 1<<20)}}, 17)
	if p, err := c.Seal([]byte("x"), long); err == nil || string(p) != "x" {
		t.Errorf("17 MiB: %d bytes, %v", len(p), err)
	}
	many := slices.Repeat([]bufferstore.Record{{Epoch: epoch, First: 1, Last: 1}}, 65537)
	if _, err := c.Seal(nil, many); err == nil {
		t.Error("65537 records were taken")
	}
}

func TestChunkCodecServesManyAtOnce(t *testing.T) {
	s := newSite(123)
	s.group(4)
	recs := s.records(200)
	c := batch.NewChunkCodec(s.lookup)
	want, err := c.Seal(nil, recs)
	if err != nil {
		t.Fatal(err)
	}
	errs := make(chan error, 8)
	var wg sync.WaitGroup
	for range cap(errs) {
		wg.Go(func() {
			chunk, err := c.Seal(nil, recs)
			n := 0
			if err == nil {
				err = c.Open(chunk, func(r bufferstore.Record) bool { n++; return true })
			}
			if err == nil && (n != len(recs) || !bytes.Equal(chunk, want)) {
				err = fmt.Errorf("%d records of %d", n, len(recs))
			}
			errs <- err
		})
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			t.Error(err)
		}
	}
}

package batch_test

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"skyhaul/bufferstore"
	"skyhaul/edge/point"
	"skyhaul/link/batch"
)

// chained returns an encoder whose destination takes part in chains.
func chained(lookup point.Lookup) *batch.Encoder {
	e := batch.NewEncoder(lookup)
	e.Carry(true)
	return e
}

// along makes a batch of recs and decodes it on base.
func along(t testing.TB, e *batch.Encoder, d *batch.Decoder, base *batch.Chain, h batch.Header, recs []bufferstore.Record) (*batch.Batch, []byte) {
	t.Helper()
	p := encode(t, e, h, recs)
	b, err := d.DecodeOn(base, p)
	if err != nil {
		t.Fatal(err)
	}
	same(t, b.Records, recs)
	if b.Lane != h.Lane || b.Acked != h.Acked || b.Epoch != recs[0].Epoch || b.First != recs[0].First || b.Last != recs[len(recs)-1].Last {
		t.Fatalf("header %+v, %d to %d", b.Header, b.First, b.Last)
	}
	return b, p
}

func TestRecordsComeBackAlongAChain(t *testing.T) {
	for seed := range uint64(24) {
		s := newSite(300 + seed)
		for range 1 + s.rng.IntN(3) {
			s.group(s.rng.IntN(12))
		}
		unknown := s.group(3)
		delete(s.schemas, unknown.id)
		e, d := chained(s.lookup), batch.NewDecoder(s.lookup)
		h := batch.Header{Lane: point.Lanes()[seed%6], Epoch: epoch, Opening: &batch.Opening{First: 1}}
		var chain *batch.Chain
		for n := range 12 {
			if n == 6 { // a schema changes in mid-stream
				s.groups = s.groups[:1]
				s.group(5)
			}
			recs := s.records(1 + s.rng.IntN(100))
			b, p := along(t, e, d, chain, h, recs)
			if (b.Opening != nil) != (n == 0) || chain != nil && len(b.Schemas) > 1 {
				t.Errorf("seed %d batch %d of %d bytes: opening %v, %d schemas", seed, n, len(p), b.Opening, len(b.Schemas))
			}
			chain = b.Chain
			if s.rng.IntN(3) == 0 {
				h.Acked = b.Last
				e.Acked(b.Last)
			}
		}
	}
}

func TestBatchInAChainHasAShortHeader(t *testing.T) {
	s := newSite(330)
	w := s.groupOf(point.Uint16)
	w.kinds = []int{frozen}
	e, d := chained(s.lookup), batch.NewDecoder(s.lookup)
	var chain *batch.Chain
	for n := range bufferstore.Seq(200) {
		h := history
		h.Acked = n
		s.stamp.Boottime += 1e9
		s.stamp.Wall += 1000
		w.scan.Stamp = s.stamp
		recs := []bufferstore.Record{{Epoch: epoch, First: n + 1, Last: n + 1, Data: w.scan.Append(nil, w.schema)}}
		b, p := along(t, e, d, chain, h, recs)
		chain = b.Chain
		if n > 100 && len(p) > 9 {
			t.Fatalf("batch %d of nothing new takes %d bytes", n, len(p))
		}
	}
}

func TestLimitCutsAChainWithoutBreakingIt(t *testing.T) {
	s := newSite(331)
	s.group(10)
	recs := s.records(3000)
	for _, limit := range []int{300, 1200, 4096, 65536} {
		e, d := chained(s.lookup), batch.NewDecoder(s.lookup)
		e.Carry(false)
		encode(t, e, history, recs[:1]) // the schema, which a small limit has no room for
		e.Acked(recs[0].Last)
		e.Carry(true)
		var got []bufferstore.Record
		var chain *batch.Chain
		for at := 0; at < len(recs); at = len(got) {
			p, last, err := e.Encode([]byte("before"), history, reused(recs[at:]), limit)
			if err != nil {
				t.Fatalf("limit %d: %v", limit, err)
			}
			p = bytes.TrimPrefix(p, []byte("before"))
			b, err := d.DecodeOn(chain, p)
			if err != nil {
				t.Fatalf("limit %d at %d: %v", limit, at, err)
			}
			if b.Chain != nil {
				chain = b.Chain
			}
			got = append(got, b.Records...)
			if full := len(p) > limit*3/4 || len(got) == len(recs); len(p) > limit || !full && limit > 4000 || b.Last != last {
				t.Errorf("limit %d: batch of %d bytes to %d", limit, len(p), last)
			}
		}
		same(t, got, recs)
	}
}

func TestChainGoesOnFromASnapshot(t *testing.T) {
	s := newSite(332)
	s.group(6)
	s.group(3)
	e, d := chained(s.lookup), batch.NewDecoder(s.lookup)
	b, _ := along(t, e, d, nil, history, s.records(300))
	e.Acked(b.Last)
	snapshot := b.Chain.Append(nil)
	if again := e.Chain().Append(nil); !bytes.Equal(snapshot, again) {
		t.Fatal("the two ends have learnt different things")
	}
	chain, err := batch.ParseChain(snapshot)
	if err != nil {
		t.Fatal(err)
	}
	if again := chain.Append(nil); !bytes.Equal(snapshot, again) {
		t.Error("the snapshot of a snapshot differs")
	}
	resumed, err := batch.ParseChain(snapshot)
	if err != nil {
		t.Fatal(err)
	}
	f := batch.NewEncoder(s.lookup)
	f.Resume(resumed)
	recs := s.records(200)
	for i := range recs { // a process later
		recs[i].Epoch[0]++
	}
	h := history
	h.Epoch = recs[0].Epoch
	h.Opening = &batch.Opening{Parent: epoch, First: recs[0].First}
	got, p := along(t, f, d, chain, h, recs)
	if got.Opening == nil || *got.Opening != *h.Opening {
		t.Errorf("opening %v", got.Opening)
	}
	fresh := chained(s.lookup)
	if q := encode(t, fresh, h, recs); len(p) >= len(q) {
		t.Errorf("%d bytes on the chain, %d on none", len(p), len(q))
	}
	for n := 0; n < len(snapshot); n += 1 + n/50 {
		if _, err := batch.ParseChain(snapshot[:n]); !errors.Is(err, batch.ErrCorrupt) {
			t.Fatalf("%d bytes of a snapshot: %v", n, err)
		}
	}
	if _, err := batch.ParseChain([]byte{99}); !errors.Is(err, batch.ErrVersion) {
		t.Errorf("version 99: %v", err)
	}
}

func TestRewoundEncoderLeansOnWhatIsAcked(t *testing.T) {
	s := newSite(333)
	s.group(6)
	e, d := chained(s.lookup), batch.NewDecoder(s.lookup)
	b, _ := along(t, e, d, nil, history, s.records(100))
	e.Acked(b.Last)
	acked := b.Chain.Append(nil)
	encode(t, e, history, s.records(50)) // never arrives
	e.Rewind()
	chain, err := batch.ParseChain(acked)
	if err != nil {
		t.Fatal(err)
	}
	recs := s.records(40)
	_, p := along(t, e, d, chain, history, recs)
	if !e.Leans() {
		t.Error("it stands on its own")
	}
	for _, base := range []*batch.Chain{nil, chain} { // chain has moved on
		if _, err := d.DecodeOn(base, p); !errors.Is(err, batch.ErrState) {
			t.Errorf("on another chain: %v, want ErrState", err)
		}
	}
	e.Reset()
	if _, err := d.Decode(encode(t, e, history, recs)); err != nil || e.Leans() {
		t.Errorf("after a reset: %v, leans %v", err, e.Leans())
	}
}

// A batch is lost, its records go once more by level A and are acked: that says
// nothing of the chain.
func TestRecordsThatGoAgainSayNothingOfTheChain(t *testing.T) {
	s := newSite(337)
	s.group(3)
	e, d := chained(s.lookup), batch.NewDecoder(s.lookup)
	b, _ := along(t, e, d, nil, history, s.records(10))
	e.Acked(b.Last)
	lost := s.records(10)
	encode(t, e, history, lost)
	e.Carry(false)
	encode(t, e, history, lost)
	e.Acked(lost[9].Last)
	e.Carry(true)
	along(t, e, d, b.Chain, history, s.records(10))
}

// A lane of more schemas than a chain takes.
func TestLaneOfManySchemasGoesOnByBothLevels(t *testing.T) {
	s := newSite(338)
	for range 100 {
		s.group(2)
	}
	e, d := chained(s.lookup), batch.NewDecoder(s.lookup)
	var chain *batch.Chain
	fresh, bytes := 0, 0
	recs := s.records(3000)
	for at := 0; at < len(recs); {
		h := history
		p, last, err := e.Encode(nil, h, reused(recs[at:min(at+200, len(recs))]), 65536)
		if err != nil {
			t.Fatal(err)
		}
		b, err := d.DecodeOn(chain, p)
		if err != nil {
			t.Fatal(err)
		}
		same(t, b.Records, recs[at:at+len(b.Records)])
		if _, _, leans := batch.Base(p); b.Chain != nil && !leans {
			fresh++
		}
		if b.Chain != nil {
			chain = b.Chain
		}
		at += len(b.Records)
		bytes += len(p)
		e.Acked(last)
	}
	if fresh != 1 {
		t.Errorf("%d chains begun in %d bytes, want one", fresh, bytes)
	}
}

func TestDivergedChainNeverYieldsARecord(t *testing.T) {
	s := newSite(334)
	w := s.groupOf(point.Float32, point.Float64, point.Int16, point.Uint64)
	w.kinds = []int{decimal, few, noise, drift}
	e, d := chained(s.lookup), batch.NewDecoder(s.lookup)
	b, _ := along(t, e, d, nil, history, s.records(200))
	good := b.Chain.Append(nil)
	recs := s.records(40)
	p := encode(t, e, history, recs)
	yielded := 0
	for i := 0; i < len(good); i += 1 + len(good)/300 {
		q := bytes.Clone(good)
		q[i] ^= 1 << (i % 8)
		chain, err := batch.ParseChain(q)
		if err != nil {
			continue
		}
		got, err := d.DecodeOn(chain, p)
		if err != nil {
			if _, asks := errors.AsType[batch.SchemaError](err); !asks && !errors.Is(err, batch.ErrState) {
				t.Fatalf("byte %d: %v", i, err)
			}
			continue
		}
		same(t, got.Records, recs) // what was damaged didn't matter
		yielded++
	}
	if yielded == 0 {
		t.Error("no damage was harmless: the test tests nothing")
	}
	for bit := 0; bit < 8*len(p); bit += 1 + bit/128 {
		q := bytes.Clone(p)
		q[bit/8] ^= 1 << (bit % 8)
		chain, err := batch.ParseChain(good)
		if err != nil {
			t.Fatal(err)
		}
		if b, err := d.DecodeOn(chain, q); err == nil {
			same(t, b.Records, recs) // a bit that no one reads
		}
	}
	for n := range p {
		chain, err := batch.ParseChain(good)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := d.DecodeOn(chain, p[:n]); err == nil {
			t.Fatalf("%d of %d bytes decode", n, len(p))
		}
	}
}

func TestWidestSchemaGoesAlongAChain(t *testing.T) {
	s := newSite(335)
	w := s.group(point.MaxColumns)
	e, d := chained(s.lookup), batch.NewDecoder(s.lookup)
	var chain *batch.Chain
	for n := range bufferstore.Seq(3) {
		b, _ := along(t, e, d, chain, history, []bufferstore.Record{{Epoch: epoch, First: n + 1, Last: n + 1, Data: s.scan(w)}})
		chain = b.Chain
	}
	if size := chain.Size(); size > 40<<20 {
		t.Errorf("the chain takes %d bytes", size)
	}
}

func TestRecordThatCanNeverFitGoesAsAGapInAChainToo(t *testing.T) {
	s := newSite(336)
	recs := []bufferstore.Record{
		{Epoch: epoch, First: 7, Last: 7, Data: make([]byte, 3000)},
		{Epoch: epoch, First: 8, Last: 8, Data: []byte("short")},
	}
	for i := range recs[0].Data {
		recs[0].Data[i] = byte(s.rng.Uint32())
	}
	e := chained(none)
	p, last, err := e.Encode(nil, history, reused(recs), 1000)
	if err != nil || last != 7 {
		t.Fatalf("batch to %d, %v; want to 7", last, err)
	}
	b, err := batch.NewDecoder(none).Decode(p)
	if err != nil {
		t.Fatal(err)
	}
	same(t, b.Records, []bufferstore.Record{{Epoch: epoch, First: 7, Last: 7, Lost: bufferstore.TooLarge}})
}

// FuzzDecodeOn: garbage on a chain yields nothing, ends, and takes no more
// memory than a batch may.
func FuzzDecodeOn(f *testing.F) {
	s := newSite(340)
	s.group(7)
	e, d := chained(s.lookup), batch.NewDecoder(s.lookup)
	b, p := along(f, e, d, nil, history, s.records(20))
	f.Add(p)
	snapshot := b.Chain.Append(nil)
	for range 5 {
		f.Add(encode(f, e, history, s.records(5)))
		e.Rewind()
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		chain, err := batch.ParseChain(snapshot)
		if err != nil {
			t.Fatal(err)
		}
		b, err := d.DecodeOn(chain, p)
		if err != nil {
			return
		}
		again, err := batch.NewDecoder(s.lookup).Decode(encode(t, batch.NewEncoder(s.lookup), b.Header, b.Records))
		if err != nil {
			t.Fatal(err)
		}
		same(t, again.Records, b.Records)
	})
}

func FuzzParseChain(f *testing.F) {
	s := newSite(341)
	s.group(3)
	e, d := chained(s.lookup), batch.NewDecoder(s.lookup)
	b, _ := along(f, e, d, nil, history, s.records(30))
	f.Add(b.Chain.Append(nil))
	recs := s.records(20)
	p := encode(f, e, history, recs)
	f.Fuzz(func(t *testing.T, snapshot []byte) {
		c, err := batch.ParseChain(snapshot)
		if err != nil {
			return
		}
		if b, err := d.DecodeOn(c, p); err == nil {
			same(t, b.Records, recs)
		}
	})
}

func ExampleBase() {
	_, _, leans := batch.Base([]byte{0x10})
	fmt.Println(leans)
	lane, tag, leans := batch.Base([]byte{0x16, 0xbe, 0xef})
	fmt.Printf("%s %x %v\n", lane, tag, leans)
	// Output:
	// false
	// history beef true
}

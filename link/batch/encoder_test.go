package batch_test

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
	"math"
	"testing"

	"skyhaul/bufferstore"
	"skyhaul/edge/point"
	"skyhaul/link/batch"
)

var history = batch.Header{Lane: point.History, Epoch: epoch}

func TestRecordsComeBackByteForByte(t *testing.T) {
	for seed := range uint64(32) {
		s := newSite(seed)
		for range 1 + s.rng.IntN(3) {
			s.group(s.rng.IntN(12))
		}
		unknown := s.group(3)
		delete(s.schemas, unknown.id)
		recs := s.records(1 + s.rng.IntN(1300))
		if seed%2 == 0 { // a schema changes in mid-stream
			s.groups = s.groups[:1]
			s.group(5)
			recs = append(recs, s.records(40)...)
		}
		h := history
		h.Lane = point.Lanes()[seed%6]
		h.Acked = bufferstore.Seq(s.rng.IntN(3))
		p := encode(t, batch.NewEncoder(s.lookup), h, recs)
		b, err := batch.NewDecoder(none).Decode(p)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		same(t, b.Records, recs)
		if b.Lane != h.Lane || b.Acked != h.Acked || b.Epoch != epoch || b.First != 1 || b.Last != recs[len(recs)-1].Last {
			t.Errorf("seed %d: header %+v, %d to %d", seed, b.Header, b.First, b.Last)
		}
	}
}

func TestWidestSchemaGoesThrough(t *testing.T) {
	s := newSite(1)
	w := s.group(point.MaxColumns)
	var recs []bufferstore.Record
	for n := range bufferstore.Seq(3) {
		recs = append(recs, bufferstore.Record{Epoch: epoch, First: n + 1, Last: n + 1, Data: s.scan(w)})
	}
	b, err := batch.NewDecoder(none).Decode(encode(t, batch.NewEncoder(s.lookup), history, recs))
	if err != nil {
		t.Fatal(err)
	}
	same(t, b.Records, recs)
}

func TestOneScanIsNotLongerThanItsRecordByMuch(t *testing.T) {
	s := newSite(2)
	w := s.group(24)
	recs := []bufferstore.Record{{Epoch: epoch, First: 1e6, Last: 1e6, Data: s.scan(w)}}
	e := batch.NewEncoder(s.lookup)
	encode(t, e, history, recs)
	e.Acked(1e6)
	recs[0].First, recs[0].Last = 1e6+1, 1e6+1
	h := history
	h.Acked = 1e6
	if p := encode(t, e, h, recs); len(p) > len(recs[0].Data)+60 {
		t.Errorf("%d bytes for a record of %d", len(p), len(recs[0].Data))
	}
}

func TestBatchesStayWithinTheirLimitAndFillIt(t *testing.T) {
	s := newSite(3)
	s.group(10)
	recs := s.records(2000)
	e, d := batch.NewEncoder(s.lookup), batch.NewDecoder(s.lookup)
	for _, limit := range []int{1200, 4096, 65536} {
		e.Reset()
		var got []bufferstore.Record
		for at := 0; at < len(recs); at = len(got) {
			p, last, err := e.Encode([]byte("before"), history, reused(recs[at:]), limit)
			if err != nil {
				t.Fatalf("limit %d: %v", limit, err)
			}
			p = bytes.TrimPrefix(p, []byte("before"))
			b, err := d.Decode(p)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, b.Records...)
			full := len(p) > limit*9/10 || len(got) == len(recs)
			if len(p) > limit || !full && limit > 4000 || b.Last != last {
				t.Errorf("limit %d: batch of %d bytes to %d", limit, len(p), last)
			}
			e.Acked(last)
		}
		same(t, got, recs)
	}
}

func TestBatchStopsBeforeAnotherEpochAndBeforeAHole(t *testing.T) {
	s := newSite(4)
	s.group(2)
	recs := s.records(30)
	recs[20].Epoch = bufferstore.Epoch{1}
	for i := range recs[10:] {
		recs[10+i].First += 5
		recs[10+i].Last += 5
	}
	e := batch.NewEncoder(s.lookup)
	for _, c := range []struct{ from, to int }{{0, 10}, {10, 20}} {
		p, last, err := e.Encode(nil, history, reused(recs[c.from:]), 1<<20)
		if err != nil || last != recs[c.to-1].Last {
			t.Fatalf("batch to %d, %v; want to %d", last, err, recs[c.to-1].Last)
		}
		b, err := batch.NewDecoder(s.lookup).Decode(p)
		if err != nil {
			t.Fatal(err)
		}
		same(t, b.Records, recs[c.from:c.to])
	}
	if _, _, err := e.Encode(nil, history, reused(recs[20:]), 1<<20); err == nil {
		t.Error("a record of another epoch than the header's was taken")
	}
	if _, _, err := e.Encode(nil, batch.Header{Epoch: epoch}, reused(recs[:1]), 1<<20); err == nil {
		t.Error("a batch of no lane was made")
	}
}

func TestRecordThatCanNeverFitGoesAsAGap(t *testing.T) {
	s := newSite(5)
	recs := []bufferstore.Record{
		{Epoch: epoch, First: 7, Last: 7, Data: make([]byte, 3000)},
		{Epoch: epoch, First: 8, Last: 8, Data: []byte("short")},
	}
	for i := range recs[0].Data {
		recs[0].Data[i] = byte(s.rng.Uint32())
	}
	e := batch.NewEncoder(none)
	p, last, err := e.Encode(nil, history, reused(recs), 1000)
	if err != nil || last != 7 {
		t.Fatalf("batch to %d, %v; want to 7", last, err)
	}
	b, err := batch.NewDecoder(none).Decode(p)
	if err != nil {
		t.Fatal(err)
	}
	same(t, b.Records, []bufferstore.Record{{Epoch: epoch, First: 7, Last: 7, Lost: bufferstore.TooLarge}})
	if p, last, err := e.Encode(nil, history, reused(recs), 10); !errors.Is(err, batch.ErrLimit) || len(p) > 0 || last != 0 {
		t.Errorf("batch of %d bytes in 10: %v", len(p), err)
	}
}

func TestSchemaThatCanNotFitCostsNoRecord(t *testing.T) {
	s := newSite(6)
	w := s.group(80)
	recs := []bufferstore.Record{{Epoch: epoch, First: 1, Last: 1, Data: s.scan(w)}}
	e := batch.NewEncoder(s.lookup)
	if _, last, err := e.Encode(nil, history, reused(recs), 500); !errors.Is(err, batch.ErrLimit) || last != 0 {
		t.Errorf("batch to %d, error %v; want ErrLimit", last, err)
	}
}

func TestNothingToSendIsNoBatch(t *testing.T) {
	e := batch.NewEncoder(none)
	if p, last, err := e.Encode([]byte("x"), history, reused(nil), 1000); string(p) != "x" || last != 0 || err != nil {
		t.Errorf("%q, %d, %v", p, last, err)
	}
}

func TestErrorOfTheBufferIsMetOnce(t *testing.T) {
	broken := errors.New("broken")
	recs := func(n int) iter.Seq2[bufferstore.Record, error] {
		return func(yield func(bufferstore.Record, error) bool) {
			if n == 0 || yield(bufferstore.Record{Epoch: epoch, First: 1, Last: 1, Data: []byte("note")}, nil) {
				yield(bufferstore.Record{}, broken)
			}
		}
	}
	e := batch.NewEncoder(none)
	if _, last, err := e.Encode(nil, history, recs(1), 1000); last != 1 || err != nil {
		t.Errorf("batch to %d, %v; want to 1", last, err)
	}
	if _, _, err := e.Encode(nil, history, recs(0), 1000); !errors.Is(err, broken) {
		t.Errorf("error %v, want %v", err, broken)
	}
}

// carries returns whether a batch of recs carries a schema and an opening.
func carries(t *testing.T, e *batch.Encoder, s *site, recs []bufferstore.Record) string {
	t.Helper()
	h := history
	h.Opening = &batch.Opening{Parent: bufferstore.Epoch{7}, First: 1}
	b, err := batch.NewDecoder(s.lookup).Decode(encode(t, e, h, recs))
	if err != nil {
		t.Fatal(err)
	}
	if b.Opening != nil && *b.Opening != *h.Opening {
		t.Errorf("opening %v, want %v", b.Opening, h.Opening)
	}
	return fmt.Sprint(len(b.Schemas), " ", b.Opening != nil)
}

func TestSchemaAndOpeningTravelUntilAnAckCoversThem(t *testing.T) {
	s := newSite(7)
	w := s.group(4)
	var recs []bufferstore.Record
	for n := range bufferstore.Seq(60) {
		recs = append(recs, bufferstore.Record{Epoch: epoch, First: n + 1, Last: n + 1, Data: s.scan(w)})
	}
	e := batch.NewEncoder(s.lookup)
	step := func(what string, from, to int, want string) {
		t.Helper()
		if got := carries(t, e, s, recs[from:to]); got != want {
			t.Errorf("%s: carries %s, want %s", what, got, want)
		}
	}
	const full, bare = "1 true", "0 false"
	step("first", 0, 10, full)
	step("in flight", 10, 20, full)
	e.Acked(9)
	step("acked in part", 20, 30, full)
	e.Acked(10)
	step("acked", 30, 40, bare)
	e.Reset()
	step("asked for a fresh start", 30, 40, full)
	step("still", 40, 50, full)
	e.Acked(35)
	step("not covered", 50, 51, full)
	e.Acked(40)
	step("covered", 51, 52, bare)
	e.Reset()
	step("resent below the ack", 20, 30, full)
	e.Acked(40)
	step("an ack that says nothing of it", 52, 53, full)
}

func TestBatchMadeAgainIsNotTakenForTheFirst(t *testing.T) {
	s := newSite(8)
	w := s.group(4)
	var recs []bufferstore.Record
	for n := range bufferstore.Seq(30) {
		recs = append(recs, bufferstore.Record{Epoch: epoch, First: n + 1, Last: n + 1, Data: s.scan(w)})
	}
	e := batch.NewEncoder(s.lookup)
	carries(t, e, s, recs[:10]) // never sent: its records were evicted meanwhile
	gap := []bufferstore.Record{{Epoch: epoch, First: 1, Last: 10, Lost: bufferstore.Evicted}}
	if got := carries(t, e, s, gap); got != "0 true" {
		t.Errorf("the gap carries %s", got)
	}
	e.Acked(10)
	if got := carries(t, e, s, recs[10:]); got != "1 false" {
		t.Errorf("after the gap: carries %s, want the schema", got)
	}
}

func TestUnknownSchemaIsAskedFor(t *testing.T) {
	s := newSite(9)
	w := s.group(4)
	e := batch.NewEncoder(s.lookup)
	recs := []bufferstore.Record{{Epoch: epoch, First: 1, Last: 1, Data: s.scan(w)}}
	encode(t, e, history, recs)
	e.Acked(1)
	recs[0].First, recs[0].Last = 2, 2
	_, err := batch.NewDecoder(none).Decode(encode(t, e, history, recs))
	missing, ok := errors.AsType[batch.SchemaError](err)
	if !ok || missing.ID != w.id || missing.Header.Epoch != epoch || missing.Header.Lane != point.History {
		t.Errorf("error %+v, want the schema %s", err, w.id)
	}
}

func TestSchemaThatIsNotWhatItsIDSaysIsNotUsed(t *testing.T) {
	s := newSite(10)
	w := s.group(4)
	wrong := *w.schema
	wrong.Group = "renamed"
	e := batch.NewEncoder(func(point.SchemaID) (*point.Schema, bool) { return &wrong, true })
	recs := []bufferstore.Record{{Epoch: epoch, First: 1, Last: 1, Data: s.scan(w)}}
	b, err := batch.NewDecoder(none).Decode(encode(t, e, history, recs))
	if err != nil {
		t.Fatal(err)
	}
	same(t, b.Records, recs)
}

func TestSameRecordsMakeTheSameBytes(t *testing.T) {
	s := newSite(11)
	s.group(9)
	first, second := s.records(700), s.records(700)
	used := batch.NewEncoder(s.lookup)
	encode(t, used, history, first)
	used.Reset()
	if a, b := encode(t, used, history, second), encode(t, batch.NewEncoder(s.lookup), history, second); !bytes.Equal(a, b) {
		t.Error("an encoder that was used before makes another batch")
	}
}

func TestLongBacklogIsCutForMemory(t *testing.T) {
	var recs []bufferstore.Record
	for n := range bufferstore.Seq(70000) {
		recs = append(recs, bufferstore.Record{Epoch: epoch, First: n + 1, Last: n + 1, Data: []byte("xx")})
	}
	_, last, err := batch.NewEncoder(none).Encode(nil, history, reused(recs), math.MaxInt)
	if err != nil || last != 65536 {
		t.Errorf("batch to %d, %v; want to 65536", last, err)
	}
	for i := range recs[:6] {
		recs[i].Data = make([]byte, 1<<20)
	}
	_, last, err = batch.NewEncoder(none).Encode(nil, history, reused(recs), math.MaxInt)
	if err != nil || last != 4 {
		t.Errorf("batch to %d, %v; want to 4", last, err)
	}
}

package hub_test

import (
	"errors"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"

	"skyhaul/bufferstore"
	"skyhaul/edge/point"
	"skyhaul/link/batch"
	"skyhaul/link/hub"
)

func epoch(n byte) bufferstore.Epoch { return bufferstore.Epoch{n} }

func ranges(ends ...bufferstore.Seq) (rs []batch.Range) {
	for i := 0; i < len(ends); i += 2 {
		rs = append(rs, batch.Range{First: ends[i], Last: ends[i+1]})
	}
	return rs
}

func TestMarksAreTheSetOfWhatWasAdded(t *testing.T) {
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 1))
		first := bufferstore.Seq(1 + rng.IntN(50))
		e := hub.EpochMarks{First: first, Floor: first - 1}
		model := make(map[bufferstore.Seq]bool)
		for range 40 {
			a := first + bufferstore.Seq(rng.IntN(100))
			b := a + bufferstore.Seq(rng.IntN(12))
			before, held := e.Stored, append([]batch.Range(nil), e.Stored...)
			e.Add(a, b)
			if d := cmp.Diff(held, append([]batch.Range(nil), before...)); d != "" {
				t.Fatalf("seed %d: Add changed the ranges handed out before: %s", seed, d)
			}
			for s := a; s <= b; s++ {
				model[s] = true
			}
			checkCanonical(t, seed, &e)
			checkModel(t, seed, &e, model)
		}
	}
}

func checkCanonical(t *testing.T, seed uint64, e *hub.EpochMarks) {
	t.Helper()
	last := e.Floor
	for _, r := range e.Stored {
		if r.First < last+2 || r.Last < r.First {
			t.Fatalf("seed %d: floor %d, ranges %v touch or overlap", seed, e.Floor, e.Stored)
		}
		last = r.Last
	}
}

func checkModel(t *testing.T, seed uint64, e *hub.EpochMarks, model map[bufferstore.Seq]bool) {
	t.Helper()
	missing := make(map[bufferstore.Seq]bool)
	for _, r := range e.Missing(e.First, e.First+120) {
		for s := r.First; s <= r.Last; s++ {
			missing[s] = true
		}
	}
	for s := e.First; s <= e.First+120; s++ {
		if e.Has(s) != model[s] || missing[s] == model[s] {
			t.Fatalf("seed %d: %d: has %v, missing %v, want held %v in floor %d, %v", seed, s, e.Has(s), missing[s], model[s], e.Floor, e.Stored)
		}
	}
	if e.Has(e.First - 1) {
		t.Fatalf("seed %d: has %d, which is before the epoch", seed, e.First-1)
	}
}

func opened(lane point.Lane, e, parent byte, first bufferstore.Seq) *batch.Batch {
	o := &batch.Opening{First: first}
	if parent > 0 {
		o.Parent = epoch(parent)
	}
	return &batch.Batch{
		Header: batch.Header{Lane: lane, Epoch: epoch(e), Opening: o},
		First:  first, Last: first,
		Records: []bufferstore.Record{{First: first, Last: first}},
	}
}

func place(t *testing.T, m *hub.Marks, b *batch.Batch) *hub.EpochMarks {
	t.Helper()
	e, err := m.Place(b)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestABatchThatContradictsTheMarksIsRefused(t *testing.T) {
	var m hub.Marks
	place(t, &m, opened(point.History, 1, 0, 10)).Add(10, 20)
	below := opened(point.History, 1, 0, 9)
	huge := opened(point.History, 1, 0, math.MaxInt64)
	acked := opened(point.History, 1, 0, 10)
	acked.Acked = 1 << 63
	hole := opened(point.History, 1, 0, 10)
	hole.Last = 12
	hole.Records = append(hole.Records, bufferstore.Record{First: 12, Last: 12})
	short := opened(point.History, 1, 0, 10)
	short.Last = 11
	wide := opened(point.History, 1, 0, 10)
	wide.Last, wide.Records[0].Last = 11, 11
	none := opened(point.History, 0, 0, 1)
	ownParent := opened(point.History, 2, 2, 5)
	fromNowhere := opened(point.History, 2, 1, 1)
	for _, b := range []*batch.Batch{below, huge, acked, hole, short, wide, none, ownParent, fromNowhere} {
		if _, err := m.Place(b); !errors.Is(err, hub.ErrRefused) {
			t.Errorf("batch %d to %d of epoch %s: %v, want ErrRefused", b.First, b.Last, b.Epoch, err)
		}
	}
}

func TestAnEpochWithoutOpeningIsNotPlacedButAskedFor(t *testing.T) {
	var m hub.Marks
	b := opened(point.Alarm, 1, 0, 1)
	b.Opening = nil
	if _, err := m.Place(b); !errors.Is(err, hub.ErrNoOpening) {
		t.Fatalf("got %v, want ErrNoOpening", err)
	}
	m = hub.Marks{}
	m.AskFresh(point.Alarm, epoch(1))
	want := &batch.Ack{Lanes: []batch.LaneAck{{Lane: point.Alarm, Epoch: epoch(1), Fresh: true}}}
	if d := cmp.Diff(want, m.Ack()); d != "" {
		t.Error(d)
	}
	place(t, &m, opened(point.Alarm, 1, 0, 1)).Add(1, 1)
	want.Lanes[0] = batch.LaneAck{Lane: point.Alarm, Epoch: epoch(1), Floor: 1, Whole: true}
	if d := cmp.Diff(want, m.Ack()); d != "" {
		t.Error(d)
	}
}

func TestMarksHandedOutBeforeStayAsTheyAre(t *testing.T) {
	var m hub.Marks
	place(t, &m, opened(point.History, 1, 0, 1)).Add(5, 6)
	before := m
	place(t, &m, opened(point.History, 1, 0, 1)).Add(1, 9)
	place(t, &m, opened(point.History, 2, 1, 10))
	want := hub.Marks{Epochs: []hub.EpochMarks{{Lane: point.History, Epoch: epoch(1), First: 1, Stored: ranges(5, 6)}}}
	if d := cmp.Diff(want, before); d != "" {
		t.Error(d)
	}
}

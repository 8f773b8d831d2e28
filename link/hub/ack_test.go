package hub_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"skyhaul/bufferstore"
	"skyhaul/edge/point"
	"skyhaul/link/batch"
	"skyhaul/link/hub"
)

const lane = point.History

// holding places an epoch and adds ranges to it.
func holding(t *testing.T, m *hub.Marks, e, parent byte, first bufferstore.Seq, ends ...bufferstore.Seq) *hub.EpochMarks {
	t.Helper()
	p := place(t, m, opened(lane, e, parent, first))
	for _, r := range ranges(ends...) {
		p.Add(r.First, r.Last)
	}
	return p
}

func checkAck(t *testing.T, m *hub.Marks, want ...batch.LaneAck) {
	t.Helper()
	for i := range want {
		want[i].Lane = lane
	}
	if d := cmp.Diff(want, m.Ack().Lanes); d != "" {
		t.Error(d)
	}
	p, err := m.Ack().Marshal(batch.Key{}, "north-7")
	if err != nil {
		t.Fatal(err)
	}
	got, err := batch.ParseAck(p, batch.Key{}, "north-7")
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got.Lanes); d != "" {
		t.Errorf("as the site reads it: %s", d)
	}
}

func TestAnAckNamesTheIncompleteEpochsAndTheTip(t *testing.T) {
	var m hub.Marks
	holding(t, &m, 1, 0, 1, 1, 100)
	holding(t, &m, 2, 1, 101, 101, 150, 160, 170)
	holding(t, &m, 3, 2, 201, 201, 205)
	holding(t, &m, 4, 3, 206, 206, 210)
	checkAck(
		t, &m,
		batch.LaneAck{Epoch: epoch(2), Floor: 150, Whole: true, Stored: ranges(160, 170)},
		batch.LaneAck{Epoch: epoch(4), Floor: 210},
	)
	holding(t, &m, 2, 1, 101, 151, 200)
	checkAck(t, &m, batch.LaneAck{Epoch: epoch(4), Floor: 210, Whole: true})
}

func TestAnEpochOfUnknownParentIsNotWhole(t *testing.T) {
	var m hub.Marks
	holding(t, &m, 2, 1, 101, 101, 110)
	checkAck(t, &m, batch.LaneAck{Epoch: epoch(2), Floor: 110})
	holding(t, &m, 1, 0, 1, 1, 100)
	checkAck(t, &m, batch.LaneAck{Epoch: epoch(2), Floor: 110, Whole: true})
}

func TestInAForkTheParentIsCompleteAtTheLaterBranch(t *testing.T) {
	var m hub.Marks
	holding(t, &m, 1, 0, 1, 1, 50)
	holding(t, &m, 3, 1, 51, 51, 60) // from an old image
	checkAck(t, &m, batch.LaneAck{Epoch: epoch(3), Floor: 60, Whole: true})
	holding(t, &m, 2, 1, 101, 101, 110) // the original went on
	checkAck(
		t, &m,
		batch.LaneAck{Epoch: epoch(1), Floor: 50, Whole: true},
		batch.LaneAck{Epoch: epoch(3), Floor: 60, Whole: true},
		batch.LaneAck{Epoch: epoch(2), Floor: 110},
	)
	want := []hub.Fork{{Lane: lane, Parent: epoch(1), Epochs: []bufferstore.Epoch{epoch(3), epoch(2)}}}
	if d := cmp.Diff(want, m.Forks()); d != "" {
		t.Error(d)
	}
}

func TestTheLaterBranchOfAForkMayComeFirst(t *testing.T) {
	var m hub.Marks
	holding(t, &m, 1, 0, 1, 1, 50)
	holding(t, &m, 2, 1, 101, 101, 110)
	holding(t, &m, 3, 1, 51, 51, 60)
	checkAck(
		t, &m,
		batch.LaneAck{Epoch: epoch(1), Floor: 50, Whole: true},
		batch.LaneAck{Epoch: epoch(3), Floor: 60, Whole: true},
		batch.LaneAck{Epoch: epoch(2), Floor: 110},
	)
}

func TestEpochsThatClaimToFollowEachOtherAreNotFollowedForEver(t *testing.T) {
	var m hub.Marks
	holding(t, &m, 1, 2, 10, 10, 20).Acked = 20
	holding(t, &m, 2, 1, 10, 10, 20).Acked = 20
	holding(t, &m, 3, 2, 10, 10, 20).Acked = 20
	checkAck(t, &m, batch.LaneAck{Epoch: epoch(3), Floor: 20, Wanted: ranges(9, 9)})
}

func TestTwoBeginningsAreAFork(t *testing.T) {
	var m hub.Marks
	holding(t, &m, 1, 0, 1)
	if f := m.Forks(); len(f) > 0 {
		t.Errorf("one beginning is reported as a fork: %v", f)
	}
	holding(t, &m, 2, 0, 1)
	want := []hub.Fork{{Lane: lane, Epochs: []bufferstore.Epoch{epoch(1), epoch(2)}}}
	if d := cmp.Diff(want, m.Forks()); d != "" {
		t.Error(d)
	}
}

func TestWhatTheSiteTakesForDurableAndIsMissingIsWanted(t *testing.T) {
	var m hub.Marks
	holding(t, &m, 1, 0, 1, 1, 60)
	e := holding(t, &m, 2, 1, 101, 101, 110, 121, 125, 141, 150)
	checkAck(
		t, &m,
		batch.LaneAck{Epoch: epoch(1), Floor: 60, Whole: true},
		batch.LaneAck{Epoch: epoch(2), Floor: 110, Stored: ranges(121, 125, 141, 150)},
	)
	e.Acked = 130
	checkAck(
		t, &m,
		batch.LaneAck{Epoch: epoch(1), Floor: 60, Whole: true},
		batch.LaneAck{Epoch: epoch(2), Floor: 110, Stored: ranges(121, 125, 141, 150), Wanted: ranges(61, 100, 111, 120, 126, 130)},
	)
	holding(t, &m, 1, 0, 1, 61, 100)
	holding(t, &m, 2, 1, 101, 111, 120, 126, 130)
	checkAck(t, &m, batch.LaneAck{Epoch: epoch(2), Floor: 130, Whole: true, Stored: ranges(141, 150)})
}

func TestNumbersBeforeAnUnknownParentAreWantedToo(t *testing.T) {
	var m hub.Marks
	e := holding(t, &m, 3, 2, 201, 201, 210)
	e.Acked = 199 // the site sees for itself that its parent is not known
	checkAck(t, &m, batch.LaneAck{Epoch: epoch(3), Floor: 210})
	e.Acked = 205
	checkAck(t, &m, batch.LaneAck{Epoch: epoch(3), Floor: 210, Wanted: ranges(200, 200)})
	holding(t, &m, 2, 1, 101, 111, 200)
	checkAck(
		t, &m,
		batch.LaneAck{Epoch: epoch(2), Floor: 100, Stored: ranges(111, 200)},
		batch.LaneAck{Epoch: epoch(3), Floor: 210, Wanted: ranges(100, 110)},
	)
}

func TestAnAckKeepsItsLimits(t *testing.T) {
	var m hub.Marks
	for n := range byte(30) { // none complete, each followed by the next
		holding(t, &m, n+1, n, 100*bufferstore.Seq(n)+1)
	}
	var got []byte
	for _, l := range m.Ack().Lanes {
		got = append(got, l.Epoch[0])
	}
	if d := cmp.Diff([]byte{1, 2, 3, 4, 5, 6, 7, 30}, got); d != "" {
		t.Errorf("epochs of the ack: %s", d)
	}
	for n := range byte(20) { // old images restored: dead tips
		holding(t, &m, n+101, 1, 50)
	}
	got = nil
	for _, l := range m.Ack().Lanes {
		got = append(got, l.Epoch[0])
	}
	if d := cmp.Diff([]byte{1, 120, 119, 118, 117, 2, 3, 4}, got); d != "" {
		t.Errorf("epochs of the ack after many forks: %s", d)
	}
	e := holding(t, &m, 120, 1, 50)
	for n := range bufferstore.Seq(20) {
		e.Add(60+2*n, 60+2*n)
	}
	e.Acked = 100
	for _, l := range m.Ack().Lanes {
		if len(l.Stored) > 8 || len(l.Wanted) > 8 {
			t.Errorf("epoch %s: %d ranges stored, %d wanted; at most 8 of each", l.Epoch, len(l.Stored), len(l.Wanted))
		}
	}
}

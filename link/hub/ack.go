package hub

import (
	"cmp"
	"slices"

	"skyhaul/edge/point"
	"skyhaul/link/batch"
)

// The limits of an ack, see batch.LaneAck.
const (
	maxEpochs = 8
	maxRanges = 8
)

// Ack returns what the site is to be told: of each lane the oldest epochs that
// are not complete and the newest. The others need no word.
func (m *Marks) Ack() *batch.Ack {
	a := &batch.Ack{At: m.At}
	for _, lane := range point.Lanes() {
		t := m.tree(lane)
		open := t.open()
		if t.fresh { // the site may be in an epoch that is not known here
			a.Lanes = append(a.Lanes, batch.LaneAck{Lane: lane, Fresh: true})
			open = open[max(0, len(open)-maxEpochs+1):]
		}
		for _, e := range open {
			a.Lanes = append(a.Lanes, t.ack(e))
		}
	}
	return a
}

// open returns the epochs that an ack speaks of, as they begin. Where there are
// too many, half of the room is for the newest: after a fork any of them may be
// the one that a site is in.
func (t *tree) open() []*EpochMarks {
	var oldest, newest []*EpochMarks
	for _, e := range slices.Backward(t.epochs) {
		switch {
		case e.First == 0 || t.tip(e):
			newest = append(newest, e)
		case e.Fresh || !t.complete(e):
			oldest = append(oldest, e)
		}
	}
	byFirst := func(a, b *EpochMarks) int { return cmp.Compare(a.First, b.First) }
	slices.SortStableFunc(oldest, byFirst)
	room := max(maxEpochs/2, maxEpochs-len(oldest))
	open := slices.Concat(newest[:min(room, len(newest))], oldest)
	open = open[:min(maxEpochs, len(open))]
	slices.SortStableFunc(open, byFirst)
	return open
}

func (t *tree) ack(e *EpochMarks) batch.LaneAck {
	a := batch.LaneAck{Lane: e.Lane, Epoch: e.Epoch, Floor: e.Floor, Fresh: e.Fresh}
	if e.First == 0 {
		return a
	}
	a.Whole = t.whole(e)
	a.Stored = lowest(e.Stored)
	if t.tip(e) {
		a.Fresh = a.Fresh || t.fresh
		a.Wanted = lowest(t.wanted(e))
	}
	return a
}

func lowest(ranges []batch.Range) []batch.Range { return ranges[:min(maxRanges, len(ranges))] }

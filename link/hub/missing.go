package hub

import (
	"skyhaul/bufferstore"
	"skyhaul/edge/point"
	"skyhaul/link/batch"
)

// Missing is a range of numbers that are known of and not here.
type Missing struct {
	Lane  point.Lane
	Epoch bufferstore.Epoch
	// Range of the numbers; First is zero where nobody can tell where the epoch
	// begins, because none of its batches came.
	batch.Range
}

// Missing returns what is neither stored nor declared lost, though something
// after it was heard of. What the sites have not sent yet is not known of.
func (m *Marks) Missing() []Missing {
	var all []Missing
	for _, lane := range point.Lanes() {
		t := m.tree(lane)
		for _, e := range t.epochs {
			if e.First == 0 {
				continue
			}
			if e.Parent != (bufferstore.Epoch{}) && t.byID[e.Parent] == nil {
				all = append(all, Missing{lane, e.Parent, batch.Range{Last: e.First - 1}})
			}
			for _, r := range e.Missing(e.First, t.last(e)) {
				all = append(all, Missing{lane, e.Epoch, r})
			}
		}
	}
	return all
}

// last returns the highest number of e that is known of.
func (t *tree) last(e *EpochMarks) bufferstore.Seq {
	last := max(e.Floor, t.end[e.Epoch])
	if n := len(e.Stored); n > 0 {
		last = max(last, e.Stored[n-1].Last)
	}
	return last
}

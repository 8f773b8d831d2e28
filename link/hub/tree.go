package hub

import (
	"slices"

	"skyhaul/bufferstore"
	"skyhaul/edge/point"
	"skyhaul/link/batch"
)

// tree knows how the epochs of one lane follow each other.
type tree struct {
	epochs []*EpochMarks // in the order in which the sink met them
	byID   map[bufferstore.Epoch]*EpochMarks
	end    map[bufferstore.Epoch]bufferstore.Seq // the last number that a child leaves to its parent; in a fork the greatest
	fresh  bool                                  // the site is to start afresh in whichever epoch it is
}

func (m *Marks) tree(lane point.Lane) tree {
	t := tree{
		byID: make(map[bufferstore.Epoch]*EpochMarks),
		end:  make(map[bufferstore.Epoch]bufferstore.Seq),
	}
	for i := range m.Epochs {
		e := &m.Epochs[i]
		if e.Lane != lane {
			continue
		}
		if e.Epoch == (bufferstore.Epoch{}) {
			t.fresh = e.Fresh
			continue
		}
		t.epochs = append(t.epochs, e)
		if e.First == 0 {
			continue
		}
		t.byID[e.Epoch] = e
		t.end[e.Parent] = max(t.end[e.Parent], e.First-1)
	}
	return t
}

// tip reports whether no other epoch follows e.
func (t *tree) tip(e *EpochMarks) bool {
	_, followed := t.end[e.Epoch]
	return !followed
}

// complete reports whether e is followed by another epoch and everything up to
// there is stored or declared lost.
func (t *tree) complete(e *EpochMarks) bool { return !t.tip(e) && e.Floor >= t.end[e.Epoch] }

// parent returns the epoch before e; nil where there is none or it is not
// known. A parent begins before its child, so that following parents ends.
func (t *tree) parent(e *EpochMarks) *EpochMarks {
	if p := t.byID[e.Parent]; p != nil && p.First < e.First {
		return p
	}
	return nil
}

// whole reports whether everything before e is stored or declared lost, back
// to the beginning of the lane.
func (t *tree) whole(e *EpochMarks) bool {
	for e.Parent != (bufferstore.Epoch{}) {
		p := t.parent(e)
		if p == nil || p.Floor < e.First-1 {
			return false
		}
		e = p
	}
	return true
}

// wanted returns what the site of the tip e takes for durable and is missing
// here, in e and in what came before it.
func (t *tree) wanted(e *EpochMarks) []batch.Range {
	var wanted []batch.Range
	for last := e.Acked; last > 0; {
		missing := e.Missing(e.First, last)
		p := t.parent(e)
		if p == nil && e.Parent != (bufferstore.Epoch{}) && last >= e.First-1 {
			// The last number of the unknown parent brings its opening, and with
			// that what it lacks. To ask for all from 1 on would bring what is here.
			missing = slices.Insert(missing, 0, batch.Range{First: e.First - 1, Last: e.First - 1})
		}
		last = min(last, e.First-1)
		wanted = append(missing, wanted...)
		if p == nil {
			break
		}
		e = p
	}
	return joined(wanted)
}

// joined puts ranges together that follow each other.
func joined(ranges []batch.Range) []batch.Range {
	var out []batch.Range
	for _, r := range ranges {
		if n := len(out); n > 0 && out[n-1].Last+1 == r.First {
			out[n-1].Last = r.Last
			continue
		}
		out = append(out, r)
	}
	return out
}

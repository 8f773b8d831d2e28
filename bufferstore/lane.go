package bufferstore

import (
	"bytes"
	"slices"
)

// Lane is one sequence of records. It is safe for concurrent use.
type Lane struct {
	s       *Store // immutable, like all up to spans
	name    string
	options LaneOptions
	spans   []span // this epoch's is the last

	// guarded by Store.mu
	last    Seq     // last given out
	pending []entry // from the durable end on, up to last
	flying  int     // so many of them are being written
	drops   []drop
	state   *state
	cursors map[string]*Cursor
	removed []string // cursors to take off the disk
}

// entry is what waits for a Sync: a record, or a gap over a range.
type entry struct {
	first, last Seq
	data        []byte
	lost        Reason
}

// cost is what an entry takes of MaxPending.
func (e entry) cost() int64 { return cost(e.data) }

// drop is a Drop that waits for a Sync.
type drop struct {
	upTo Seq
	why  Reason
}

// Append takes copies of records under the next sequence numbers and returns
// the last number. They are in memory until the next Sync. It never fails and
// never waits for the disk: a record longer than [MaxRecord] becomes a gap
// TooLarge, and what doesn't fit in memory a gap Refused.
func (l *Lane) Append(rec ...[]byte) Seq {
	s := l.s
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range rec {
		l.last++
		if len(r) > MaxRecord {
			l.wait(entry{first: l.last, last: l.last, lost: TooLarge})
		} else {
			l.wait(entry{first: l.last, last: l.last, data: bytes.Clone(r)})
		}
	}
	if s.pending > s.options.MaxPending {
		s.shed(l)
	}
	return l.last
}

// wait adds an entry, a gap to the gap before it where they agree.
func (l *Lane) wait(e entry) {
	if i := len(l.pending) - 1; i >= l.flying && e.lost != Kept && l.pending[i].lost == e.lost {
		l.pending[i].last = e.last
		return
	}
	l.pending = append(l.pending, e)
	l.s.pending += e.cost()
}

// shed brings the pending bytes back under their bound: at the cost of the
// oldest records of lanes that may drop, the least urgent lane first, else of
// the newest of l.
func (s *Store) shed(l *Lane) {
	goal := s.options.MaxPending / 8 * 7 // not for every record anew
	for _, victim := range slices.Backward(s.lanes) {
		if victim.options.Policy != Keep && s.pending > goal {
			victim.refuse(victim.oldestOver(goal))
		}
	}
	if s.pending > s.options.MaxPending {
		l.refuseNewest()
	}
}

// oldestOver returns the end of the oldest pending entries that must go to
// reach goal.
func (l *Lane) oldestOver(goal int64) (from, to int) {
	over := l.s.pending - goal
	for to = l.flying; to < len(l.pending) && over > 0; to++ {
		over -= l.pending[to].cost()
	}
	return l.flying, to
}

// refuse turns the pending records from to to into gaps.
func (l *Lane) refuse(from, to int) {
	old, rest := l.pending, slices.Clone(l.pending[from:])
	l.pending = l.pending[:from]
	for i, e := range rest {
		l.s.pending -= e.cost()
		if i < to-from && e.lost == Kept {
			e = entry{first: e.first, last: e.last, lost: Refused}
		}
		l.wait(e)
	}
	clear(old[len(l.pending):])
}

// refuseNewest turns the newest pending records into gaps, as many as are over the bound.
func (l *Lane) refuseNewest() {
	over := l.s.pending - l.s.options.MaxPending
	from := len(l.pending)
	for ; from > l.flying && over > 0; from-- {
		over -= l.pending[from-1].cost()
	}
	l.refuse(from, len(l.pending))
}

// Durable returns the last durable sequence number, zero if there is none.
func (l *Lane) Durable() Seq {
	l.s.mu.Lock()
	defer l.s.mu.Unlock()
	return l.state.end
}

// current returns the durable state.
func (l *Lane) current() *state {
	l.s.mu.Lock()
	defer l.s.mu.Unlock()
	return l.state
}

// Drop gives up all records up to upTo, with the next Sync: they become a gap
// for that reason, or Evicted where it is none.
func (l *Lane) Drop(upTo Seq, why Reason) {
	if why == Kept || !why.Valid() {
		why = Evicted
	}
	l.s.mu.Lock()
	defer l.s.mu.Unlock()
	if upTo = min(upTo, l.last); upTo >= l.state.first {
		l.drops = append(l.drops, drop{upTo, why})
	}
}

// Spans returns what each epoch appended to the lane, oldest first: all whose
// numbers may still be asked for, and at least the last 64 that appended anything.
func (l *Lane) Spans() []Span {
	end := l.Durable()
	out := make([]Span, len(l.spans))
	for i, sp := range l.spans {
		_, last := spanAt(l.spans, sp.first, end)
		out[i] = Span{Epoch: sp.epoch, Parent: sp.parent, First: sp.first, Last: last}
	}
	return out
}

// validLane reports whether a name can be one of a lane: it becomes part of the
// names of files.
func validLane(name string) bool {
	for _, c := range []byte(name) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' {
			return false
		}
	}
	return len(name) > 0 && len(name) <= 64
}

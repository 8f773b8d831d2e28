package bufferstore

import (
	"slices"
	"sort"
	"time"
)

// state is what a lane has on disk as of one commit. A published state doesn't
// change; commits follow each other, so the next one may grow its slices in place.
type state struct {
	first    Seq    // oldest kept; everything below is gone
	end      Seq    // last durable
	next     uint64 // the next segment to begin, from 1
	bytes    int64  // of segments and head
	gaps     []gap  // declared, in order, apart
	segments []segment
	head     []kept // newer than all segments
}

// kept is a record in the head.
type kept struct {
	seq        Seq
	generation uint32 // of the head file that holds it
	age        time.Duration
	data       []byte
}

// gap is a run of numbers declared lost. It may span epochs.
type gap struct {
	first, last Seq
	why         Reason
}

// piece is what goes at once: a segment, or what one commit put into the head.
type piece struct {
	last  Seq
	age   time.Duration
	bytes int64
}

// pieces yields what is kept, oldest first.
func (st *state) pieces(yield func(piece) bool) {
	for _, g := range st.segments {
		if !yield(piece{g.last, g.age, g.bytes}) {
			return
		}
	}
	for i := 0; i < len(st.head); {
		p := piece{age: st.head[i].age}
		for ; i < len(st.head) && st.head[i].age == p.age; i++ {
			p.last, p.bytes = st.head[i].seq, p.bytes+cost(st.head[i].data)
		}
		if !yield(p) {
			return
		}
	}
}

// cost is what a record in the head counts as.
func cost(data []byte) int64 { return int64(len(data)) + 64 }

// oldest returns the first of pieces.
func (st *state) oldest() (piece, bool) {
	for p := range st.pieces {
		return p, true
	}
	return piece{}, false
}

// stretch is what a lane holds at a number and on up to last: a gap, records of a
// segment or of the head.
type stretch struct {
	last    Seq
	lost    Reason
	segment uint64 // zero: in the head, where nothing is lost
}

// at finds the stretch that begins at pos, which is not beyond end.
func (st *state) at(pos Seq) stretch {
	last := st.end
	if i := sort.Search(len(st.gaps), func(i int) bool { return st.gaps[i].last >= pos }); i < len(st.gaps) {
		g := st.gaps[i]
		if g.first <= pos {
			return stretch{last: g.last, lost: g.why}
		}
		last = g.first - 1
	}
	if pos < st.first {
		return stretch{last: min(last, st.first-1), lost: Expired}
	}
	if i := sort.Search(len(st.segments), func(i int) bool { return st.segments[i].last >= pos }); i < len(st.segments) {
		g := st.segments[i]
		if g.first <= pos {
			return stretch{last: min(last, g.last), segment: g.number}
		}
		last = min(last, g.first-1)
	}
	if i := st.find(pos); i < len(st.head) {
		k := i
		for k < len(st.head) && st.head[k].seq == pos+Seq(k-i) && st.head[k].seq <= last {
			k++
		}
		if k > i {
			return stretch{last: st.head[k-1].seq}
		}
		last = min(last, st.head[i].seq-1)
	}
	return stretch{last: last, lost: Damaged}
}

// find returns the index of the first record in the head from pos on.
func (st *state) find(pos Seq) int {
	return sort.Search(len(st.head), func(i int) bool { return st.head[i].seq >= pos })
}

// declare returns gaps with the numbers first to last lost for a reason, as far
// as they aren't lost already: a reason once read doesn't change.
func declare(gaps []gap, first, last Seq, why Reason) []gap {
	var out []gap
	for _, g := range gaps {
		if first <= last && g.first > first {
			out = appendGap(out, gap{first, min(last, g.first-1), why})
		}
		out = appendGap(out, g)
		first = max(first, g.last+1)
	}
	if first <= last {
		out = appendGap(out, gap{first, last, why})
	}
	return out
}

// appendGap adds a gap behind the others.
func appendGap(gaps []gap, g gap) []gap {
	if n := len(gaps); n > 0 && gaps[n-1].last+1 == g.first && gaps[n-1].why == g.why {
		gaps[n-1].last = g.last
		return gaps
	}
	return append(gaps, g)
}

// cut takes everything up to upTo out of st and returns the segments that are
// now without use.
func (st *state) cut(upTo Seq) (segments []segment) {
	st.first = max(st.first, upTo+1)
	i := sort.Search(len(st.segments), func(i int) bool { return st.segments[i].last >= st.first })
	segments, st.segments = st.segments[:i], st.segments[i:]
	for _, g := range segments {
		st.bytes -= g.bytes
	}
	st.behead(st.find(st.first))
	return segments
}

// behead takes the first n records out of the head.
func (st *state) behead(n int) {
	for _, k := range st.head[:n] {
		st.bytes -= cost(k.data)
	}
	st.head = st.head[n:]
}

// grow adds a record at the end of the head.
func (st *state) grow(k kept) {
	st.head = append(st.head, k)
	st.bytes += cost(k.data)
}

// settle puts a segment in the place of the head's records that it holds.
func (st *state) settle(g segment) {
	n := st.find(g.last + 1)
	st.behead(n)
	st.head = slices.Clone(st.head) // lets go of the data
	st.segments = append(slices.Clone(st.segments), g)
	st.bytes += g.bytes
	st.next = max(st.next, g.number+1)
}

// span is the beginning of an epoch in a lane.
type span struct {
	epoch, parent Epoch
	first         Seq
}

// spanAt returns the span of pos and its last number, which is end for the newest.
func spanAt(spans []span, pos, end Seq) (sp span, last Seq) {
	i := sort.Search(len(spans), func(i int) bool { return spans[i].first > pos })
	if i < len(spans) {
		end = spans[i].first - 1
	}
	if i == 0 {
		return span{}, end
	}
	return spans[i-1], end
}

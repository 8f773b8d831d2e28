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
	low      uint32 // segments below are gone from disk
	live     uint32 // segments below are given up
	next     uint32 // the next segment to begin
	bytes    int64  // of segments and head
	gaps     []gap  // declared, in order, apart
	segments []segment
	head     []chunk // small chunks, newer than all segments
}

// gap is a run of numbers declared lost. It may span epochs.
type gap struct {
	first, last Seq
	why         Reason
}

// segment is a run of sealed chunks that goes as a whole.
type segment struct {
	number      uint32
	first, last Seq
	age         time.Duration // of the store at its last chunk
	bytes       int64
	chunks      int
}

// piece is what goes at once: a segment or a chunk of the head.
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
	for _, c := range st.head {
		if !yield(piece{c.last, c.age, c.bytes}) {
			return
		}
	}
}

// oldest returns the first of pieces.
func (st *state) oldest() (piece, bool) {
	for p := range st.pieces {
		return p, true
	}
	return piece{}, false
}

// place is what a lane holds at a number and on up to last: a gap, a segment
// or a chunk of the head.
type place struct {
	last    Seq
	lost    Reason
	segment uint32 // zero: in the head
	small   extent // the chunk in the head
}

// at finds the place of pos, which is not beyond end.
func (st *state) at(pos Seq) place {
	last := st.end
	if i := sort.Search(len(st.gaps), func(i int) bool { return st.gaps[i].last >= pos }); i < len(st.gaps) {
		g := st.gaps[i]
		if g.first <= pos {
			return place{last: g.last, lost: g.why}
		}
		last = g.first - 1
	}
	if pos < st.first {
		return place{last: min(last, st.first-1), lost: Expired}
	}
	if i := sort.Search(len(st.segments), func(i int) bool { return st.segments[i].last >= pos }); i < len(st.segments) {
		g := st.segments[i]
		if g.first <= pos {
			return place{last: min(last, g.last), segment: g.number}
		}
		last = min(last, g.first-1)
	}
	if i := sort.Search(len(st.head), func(i int) bool { return st.head[i].last >= pos }); i < len(st.head) {
		c := st.head[i]
		if c.first <= pos {
			return place{last: min(last, c.last), small: extent{c.first, c.last}}
		}
		last = min(last, c.first-1)
	}
	return place{last: last, lost: Damaged}
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

// cut takes everything up to upTo out of st and returns the small chunks and
// segments that are now without use.
func (st *state) cut(upTo Seq) (head []chunk, segments []segment) {
	st.first = max(st.first, upTo+1)
	i := sort.Search(len(st.segments), func(i int) bool { return st.segments[i].last >= st.first })
	segments, st.segments = st.segments[:i], st.segments[i:]
	j := sort.Search(len(st.head), func(i int) bool { return st.head[i].last >= st.first })
	head, st.head = st.head[:j], st.head[j:]
	for _, g := range segments {
		st.bytes -= g.bytes
		st.live = g.number + 1
	}
	for _, c := range head {
		st.bytes -= c.bytes
	}
	return head, segments
}

// grow adds a small chunk at the end.
func (st *state) grow(c chunk) {
	st.head = append(st.head, c)
	st.bytes += c.bytes
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

// clean puts what a damaged engine may have brought back into order: pieces
// that overlap or lie beyond the end give way to the older ones.
func (st *state) clean() {
	next := Seq(1)
	st.segments = slices.DeleteFunc(st.segments, func(g segment) bool {
		return !fits(&next, st.end, g.first, g.last)
	})
	st.head = slices.DeleteFunc(st.head, func(c chunk) bool {
		return !fits(&next, st.end, c.first, c.last)
	})
	for _, g := range st.segments {
		st.bytes += g.bytes
	}
	for _, c := range st.head {
		st.bytes += c.bytes
	}
}

// fits reports whether first to last lies between next and end, and moves next behind it.
func fits(next *Seq, end, first, last Seq) bool {
	if first < *next || last > end {
		return false
	}
	*next = last + 1
	return true
}

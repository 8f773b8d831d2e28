package link

import (
	"cmp"
	"slices"
	"time"

	"skyhaul/bufferstore"
	"skyhaul/link/batch"
)

// evidence is what the hub has said of one lane, and what follows from it for
// a flight. Like a flight it is a value of its own. Times are boottime.
type evidence struct {
	holeAfter time.Duration // immutable once set

	words map[bufferstore.Epoch]word // the newest accepted of each epoch
	heard time.Duration              // when an ack was last accepted
	holes []dated                    // shown as missing, and since when
	late  []dated                    // sent again, and when that had its PUBACK
	asked ranges                     // put into again because the hub wants it
	// plain holds what was sent in batches that stand on their own, since the
	// encoder was last reset.
	plain ranges

	ignored Ignored
	resent  Resent
}

// word is what an ack says of one epoch, held against the epoch's own span.
type word struct {
	span   bufferstore.Span
	floor  bufferstore.Seq // from First-1 to Last
	stored ranges          // above floor, up to Last
	whole  bool
}

// dated is a stretch of numbers and the time that belongs to it.
type dated struct {
	batch.Range
	at time.Duration
}

func newEvidence(holeAfter time.Duration) evidence {
	return evidence{holeAfter: holeAfter, words: make(map[bufferstore.Epoch]word)}
}

// held returns what a word says is stored, in the epoch and before it.
func (w *word) held() ranges {
	s := append(ranges(nil), w.stored...)
	s.add(w.span.First, w.floor)
	if w.whole {
		s.add(1, w.span.First-1)
	}
	return s
}

// top returns the greatest number stored of the epoch; First-1 for none.
func (w *word) top() bufferstore.Seq {
	if n := len(w.stored); n > 0 {
		return w.stored[n-1].Last
	}
	return w.floor
}

func (w *word) any() bool { return w.top() >= w.span.First }

// hear takes the entries of an accepted ack for this lane in. spans are the
// store's, oldest first, the last of them of this opening. It reports whether
// batches must stand on their own from now on.
func (e *evidence) hear(f *flight, entries []batch.LaneAck, spans []bufferstore.Span, now time.Duration) (reset bool) {
	var listed []word
	var known []batch.LaneAck
	unread := false // the hub could not read a batch, of whatever epoch
	for _, a := range entries {
		if a.Epoch == (bufferstore.Epoch{}) {
			unread = unread || a.Fresh
			continue
		}
		w, cause := e.judge(&a, spans, f.handed)
		e.ignored.add(cause)
		if cause == unknownEpoch || cause == aboveSent {
			continue
		}
		known = append(known, a)
		if cause == accepted {
			e.words[a.Epoch] = w
			listed = append(listed, w)
		}
	}
	e.forget(spans)
	e.heard = now
	held := e.held(f)
	f.stored(held, now)
	var wanted ranges
	for _, a := range known {
		s, _ := spanOf(spans, a.Epoch)
		for _, r := range a.Wanted {
			wanted.add(max(r.First, spans[0].First), min(r.Last, s.Last))
		}
		reset = a.Fresh && e.fresh(f, &a, s) || reset
	}
	if unread {
		all := bufferstore.Span{First: spans[0].First, Last: spans[len(spans)-1].Last}
		reset = e.fresh(f, &batch.LaneAck{Floor: f.acked, Stored: held}, all) || reset
	}
	e.doubt(f, missing(listed, held, len(wanted) > 0), now)
	return e.want(f, wanted, now) || reset
}

// judge holds an entry against what this site can know.
func (e *evidence) judge(a *batch.LaneAck, spans []bufferstore.Span, handed bufferstore.Seq) (w word, c cause) {
	s, newest := spanOf(spans, a.Epoch)
	if s.Epoch != a.Epoch {
		return w, unknownEpoch
	}
	var stored ranges
	for _, r := range a.Stored {
		stored.add(r.First, r.Last)
	}
	w = word{span: s, floor: max(a.Floor, s.First-1), stored: stored, whole: a.Whole}
	if newest && max(a.Floor, w.top()) > handed {
		return w, aboveSent
	}
	if old, ok := e.words[a.Epoch]; ok && w.floor < old.floor {
		return w, floorBack
	}
	// An old image of the store holds less of an epoch than the hub.
	w.floor = min(w.floor, s.Last)
	w.stored = stored.within(w.floor+1, s.Last)
	return w, accepted
}

// spanOf returns the span of an epoch, the zero span where there is none, and
// whether it is of this opening of the store.
func spanOf(spans []bufferstore.Span, epoch bufferstore.Epoch) (s bufferstore.Span, newest bool) {
	i := slices.IndexFunc(spans, func(s bufferstore.Span) bool { return s.Epoch == epoch })
	if i < 0 {
		return s, false
	}
	return spans[i], i == len(spans)-1
}

// forget drops the words of epochs that the store has forgotten.
func (e *evidence) forget(spans []bufferstore.Span) {
	for epoch := range e.words {
		if s, _ := spanOf(spans, epoch); s.Epoch != epoch {
			delete(e.words, epoch)
		}
	}
}

// held returns all that is known to be stored.
func (e *evidence) held(f *flight) ranges {
	s := span(1, f.acked)
	for _, w := range e.words {
		s.addAll(w.held())
	}
	return s
}

// missing returns what the words of one ack show as missing: what lies below
// something stored, in the same epoch or a later one. Of an epoch that the ack
// doesn't list nothing is said, for complete ones are left out. But where one
// that it lists isn't whole, the listed ones below are complete and nothing
// acked is wanted, the hub must lack some epoch below altogether.
func missing(listed []word, held ranges, wanted bool) (m ranges) {
	slices.SortFunc(listed, func(a, b word) int { return cmp.Compare(a.span.First, b.span.First) })
	listed = slices.DeleteFunc(listed, func(w word) bool { return !w.any() })
	for i, w := range listed {
		if !w.whole && len(m) == 0 && !wanted {
			m.addAll(span(1, w.span.First-1).without(held))
		}
		top := w.top()
		if i < len(listed)-1 {
			top = w.span.Last
		}
		m.addAll(span(w.span.First, top).without(held))
	}
	return m
}

// doubt notes when a hole was first shown, and has it sent again once acks have
// shown it for holeAfter: a batch may be late without being lost.
func (e *evidence) doubt(f *flight, missing ranges, now time.Duration) {
	missing = missing.and(f.carried()).without(f.again)
	for _, b := range f.aloft {
		missing = missing.without(span(b.First, b.Last))
	}
	var holes []dated
	for _, h := range e.holes {
		for _, r := range missing.within(h.First, h.Last) {
			if now-h.at >= e.holeAfter {
				f.again.add(r.First, r.Last)
				e.resent.Holes += span(r.First, r.Last).count()
			} else {
				holes = append(holes, dated{r, h.at})
			}
		}
		missing = missing.without(span(h.First, h.Last))
	}
	for _, r := range missing {
		holes = append(holes, dated{r, now})
	}
	e.holes = holes
}

// want has sent again what the hub asks for, but for what is on its way: then
// it was restored from an old copy, and may lack schemas as well. What an
// earlier ack asked for and this one doesn't, the hub has from elsewhere.
func (e *evidence) want(f *flight, wanted ranges, now time.Duration) (reset bool) {
	f.again = f.again.without(e.asked.without(wanted))
	e.asked = wanted.and(f.again)
	news := wanted.and(f.carried()).without(f.again).without(e.recent(now))
	for _, b := range f.aloft {
		news = news.without(span(b.First, b.Last))
	}
	f.again.addAll(news)
	e.asked.addAll(news)
	e.resent.Wanted += news.count()
	return len(news) > 0
}

// fresh has sent again, from the floor on, what was sent in batches that lean
// on something the hub lacks.
func (e *evidence) fresh(f *flight, a *batch.LaneAck, s bufferstore.Span) (reset bool) {
	gone := f.carried()
	for _, b := range f.aloft {
		gone.add(b.First, b.Last)
	}
	lacking := span(max(a.Floor+1, s.First), s.Last).and(gone).without(e.plain)
	for _, r := range a.Stored {
		lacking = lacking.without(span(r.First, r.Last))
	}
	f.again.addAll(lacking)
	e.resent.Fresh += lacking.count()
	return len(lacking) > 0
}

// stands notes that what was sent in r needs nothing from before.
func (e *evidence) stands(r batch.Range) { e.plain.add(r.First, r.Last) }

// puback notes that a batch sent again has its PUBACK.
func (e *evidence) puback(b batch.Range, now time.Duration) {
	e.late = append(e.late, dated{b, now})
}

// recent returns what was sent again within holeAfter: the hub may not have
// seen it yet.
func (e *evidence) recent(now time.Duration) (s ranges) {
	e.late = slices.DeleteFunc(e.late, func(d dated) bool { return now-d.at >= e.holeAfter })
	for _, d := range e.late {
		s.add(d.First, d.Last)
	}
	return s
}

// settled forgets of what is acked how it was sent.
func (e *evidence) settled(acked bufferstore.Seq) {
	e.plain = e.plain.within(acked+1, maxSeq)
}

// silence goes back in the flight: what the hub said is forgotten where it has
// said nothing since after.
func (e *evidence) silence(f *flight, now, after time.Duration) {
	if now-e.heard >= after {
		clear(e.words)
	}
	e.holes = nil
	f.restart(e.held(f), now)
	e.resent.Silence++
}

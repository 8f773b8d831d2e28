package link

import (
	"time"

	"skyhaul/bufferstore"
	"skyhaul/link/batch"
)

// flight is how far one lane has come on its way to the hub. It is a value of
// its own: it decides what goes next and knows nothing of sessions, stores and
// clocks. Times are boottime.
//
//	      acked            sent                    durable
//	1 ......|...............|.......................|
//	 stored   PUBACKed, or    ahead: the same, but
//	          shown stored    something before is not
//
// A number is sent once, from sent on, unless evidence puts it into again.
type flight struct {
	acked bufferstore.Seq // every number up to it is durable at the hub
	sent  bufferstore.Seq // every number up to it was PUBACKed, or shown as stored
	ahead ranges          // the same above sent
	aloft []flown         // handed to the running session, no PUBACK yet
	again ranges          // to be sent once more
	// limbo is set where an earlier session may have carried more than has a
	// PUBACK: then an ack is waited for before anything is sent.
	limbo  bool
	handed bufferstore.Seq // the greatest number that a session may have got
	turn   bool            // what is in again goes next

	quiet   time.Duration // since when nothing of what has a PUBACK was seen stored
	silence int           // how often that led to sending again
}

// flown is a batch handed to a session.
type flown struct {
	batch.Range
	again bool // of what was to be sent once more
	leans bool // it can't be read without batches before it
	bytes int
	at    time.Duration
}

// next returns what to send next of the durable numbers: a stretch to cut a
// batch from. New numbers and those to be sent again take turns, so that
// neither holds up the other.
func (f *flight) next(durable bufferstore.Seq) (r batch.Range, again, ok bool) {
	if f.limbo {
		return r, false, false
	}
	r, ok = f.forward(durable)
	if len(f.again) > 0 && (f.turn || !ok) {
		return f.again[0], true, true
	}
	return r, false, ok
}

// waiting reports whether there is something to send, now or after limbo.
func (f *flight) waiting(target bufferstore.Seq) bool {
	r, ok := f.forward(target)
	return len(f.again) > 0 || ok && r.First <= target
}

// forward returns the first stretch that was not handed out yet.
func (f *flight) forward(durable bufferstore.Seq) (r batch.Range, ok bool) {
	out := append(ranges(nil), f.ahead...)
	for _, b := range f.aloft {
		out.add(b.First, b.Last)
	}
	free := span(f.sent+1, durable).without(out)
	if len(free) == 0 {
		return r, false
	}
	return free[0], true
}

// hand notes a batch given to the session.
func (f *flight) hand(b flown) {
	f.aloft = append(f.aloft, b)
	f.again = f.again.without(span(b.First, b.Last))
	f.handed = max(f.handed, b.Last)
	f.turn = !b.again
}

// takeBack undoes hand for a batch that the session refused for certain.
func (f *flight) takeBack(b flown) {
	f.land(b)
	if b.again {
		f.again.add(b.First, b.Last)
	}
}

// puback notes that the broker has a batch.
func (f *flight) puback(b flown, now time.Duration) {
	if !f.unseen() {
		f.quiet = now
	}
	f.land(b)
	f.passed(span(b.First, b.Last))
}

func (f *flight) land(b flown) {
	for i := range f.aloft {
		if f.aloft[i].Range == b.Range {
			f.aloft = append(f.aloft[:i], f.aloft[i+1:]...)
			return
		}
	}
}

// passed takes numbers as sent.
func (f *flight) passed(s ranges) {
	f.ahead.addAll(s.within(f.sent+1, maxSeq))
	for len(f.ahead) > 0 && f.ahead[0].First <= f.sent+1 {
		f.sent = max(f.sent, f.ahead[0].Last)
		f.ahead = f.ahead[1:]
	}
}

// carried returns the numbers that have a PUBACK or were shown as stored.
func (f *flight) carried() ranges {
	s := append(ranges(nil), f.ahead...)
	s.add(1, f.sent)
	return s
}

// end notes that the session is over. If it was connected, nobody knows what
// became of what was aloft.
func (f *flight) end(connected bool) {
	carried := f.carried()
	for _, b := range f.aloft {
		f.again.addAll(span(b.First, b.Last).and(carried))
		f.limbo = f.limbo || connected
	}
	f.aloft = nil
}

// stored notes what the hub holds, in the word of its newest ack.
func (f *flight) stored(held ranges, now time.Duration) {
	f.limbo = false
	f.passed(held)
	f.again = f.again.without(held.within(f.acked+1, maxSeq))
	if len(held) > 0 && held[0].First <= f.acked+1 && held[0].Last > f.acked {
		f.acked = held[0].Last
		f.quiet, f.silence = now, 0
	}
}

// unseen reports whether something has a PUBACK but isn't known to be stored.
func (f *flight) unseen() bool { return f.sent > f.acked || len(f.ahead) > 0 }

// silent reports whether nothing of what has a PUBACK was seen stored for as
// long as that is believed: after, then twice as long each time.
func (f *flight) silent(now, after time.Duration) bool {
	return f.unseen() && now-f.quiet >= after<<f.silence
}

// restart goes back to what is known to be stored.
func (f *flight) restart(held ranges, now time.Duration) {
	f.sent, f.ahead, f.again = f.acked, nil, nil
	f.passed(held)
	f.quiet = now
	f.silence = min(f.silence+1, maxSilence)
}

const maxSeq = ^bufferstore.Seq(0)

// maxSilence bounds the doubling: 24 h become 3 years.
const maxSilence = 10

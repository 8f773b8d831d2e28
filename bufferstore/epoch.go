package bufferstore

import "crypto/rand"

// maxSpans is how many spans a lane keeps though nobody may ask for them.
const maxSpans = 64

// newEpoch draws an epoch.
func newEpoch() (e Epoch) {
	_, _ = rand.Read(e[:]) // never fails
	return e
}

// begin adds an epoch to a lane that nobody uses yet. A span that appended
// nothing gives way to it, and old ones that nobody may ask for are forgotten.
func (l *Lane) begin(e Epoch) {
	next := span{epoch: e, first: l.state.end + 1}
	if n := len(l.spans); n > 0 && l.spans[n-1].first == next.first {
		l.spans = l.spans[:n-1]
	}
	if n := len(l.spans); n > 0 {
		next.parent = l.spans[n-1].epoch
	}
	l.spans = append(l.spans, next)

	needed := l.state.first
	for _, c := range l.cursors {
		needed = min(needed, c.marks.acked+1)
	}
	for len(l.spans) > maxSpans+1 && l.spans[1].first <= needed {
		l.spans = l.spans[1:]
	}
}

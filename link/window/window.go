// Package window says when the link may be used. Everything in it is a pure
// function of the wall time in UTC: no timer, no state, no time zone and so no
// summer time. Whoever waits for a window waits in pieces of a minute at most,
// so that a clock that was set is noticed soon.
//
// A link whose clock is not known yet is treated as if its clock were right:
// a window at the wrong hour is better than none, and the clock is often set
// through the link.
package window

import "time"

// Window is a rule for the use of a link. Implementations are immutable and
// safe for concurrent use.
type Window interface {
	// At tells how the window stands at a moment.
	At(now time.Time) State
}

// State is a window at one moment.
type State struct {
	Open  bool
	Until time.Time // when Open changes; the zero time where no end is in sight
}

// Span is a time in which the link may be used, from Start up to but without End.
type Span struct {
	Start time.Time
	End   time.Time // the zero time where no end is in sight
}

// Next returns the next n spans of w that end after now, fewer where there are
// no more. A window open at now gives its rest first.
func Next(w Window, now time.Time, n int) []Span {
	var spans []Span
	for len(spans) < n {
		s := w.At(now)
		if !s.Open {
			if s.Until.IsZero() {
				break
			}
			now = s.Until
			s = w.At(now)
		}
		spans = append(spans, Span{now.UTC(), s.Until})
		if s.Until.IsZero() {
			break
		}
		now = s.Until
	}
	return spans
}

// Always is a window that never closes.
type Always struct{}

// At tells that the window is open.
func (Always) At(time.Time) State { return State{Open: true} }

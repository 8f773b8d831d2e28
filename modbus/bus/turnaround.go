package bus

import "time"

// minTimeout bounds the wait for an answer from below: a USB adapter alone may
// hold bytes back for 16 ms, a busy machine for longer.
const minTimeout = 50 * time.Millisecond

// turnaround learns how long a unit takes to begin its answer, and so how long
// to wait for one, by the rule of RFC 6298, section 2. The zero value knows
// nothing.
type turnaround struct {
	known           bool
	mean, deviation time.Duration
	doublings       int // since an answer came in time
}

// measured takes in one answer.
func (t *turnaround) measured(d time.Duration) {
	t.doublings = 0
	if !t.known {
		t.known, t.mean, t.deviation = true, d, d/2
		return
	}
	t.deviation += ((t.mean - d).Abs() - t.deviation) / 4
	t.mean += (d - t.mean) / 8
}

// expired doubles the wait: the answer may only have been late. It begins anew
// after the longest, so that a unit that is gone for long costs less than that.
func (t *turnaround) expired() { t.doublings = (t.doublings + 1) % (mostDoublings + 1) }

const mostDoublings = 5 // of minTimeout are more than a second

// timeout returns how long to wait for the next answer, at most most; unknown,
// without its doublings, of a unit that never answered.
func (t *turnaround) timeout(most, unknown time.Duration) time.Duration {
	wait := unknown
	if t.known {
		wait = max(t.mean+4*t.deviation, minTimeout)
	}
	return min(wait<<t.doublings, most)
}

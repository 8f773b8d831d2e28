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

// expired doubles the wait: the answer may only have been late.
func (t *turnaround) expired() { t.doublings++ }

// timeout returns how long to wait for the next answer, at most most.
func (t *turnaround) timeout(most time.Duration) time.Duration {
	if !t.known {
		return most
	}
	wait := max(t.mean+4*t.deviation, minTimeout)
	for range t.doublings {
		if wait *= 2; wait >= most {
			break
		}
	}
	return min(wait, most)
}

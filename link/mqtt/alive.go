package mqtt

import (
	"context"
	"fmt"
	"sync"
	"time"
)

const (
	// answerTime covers three TCP retransmissions at a round trip of 3 s.
	answerTime = 30 * time.Second
	// floorRate is half of what 9.6 kbit/s carry, in bytes per second.
	floorRate = 480
	// stallTime is how long a broker may answer all but PUBLISH.
	stallTime = 5 * time.Minute
)

// transit is how long n bytes may take.
func transit(n int) time.Duration { return time.Duration(n) * time.Second / floorRate }

// pulse knows when each side was last heard.
type pulse struct {
	mu        sync.Mutex // guards all below
	keepAlive time.Duration
	opening   time.Time // since when CONNACK or SUBACK are due; zero for neither
	pinged    time.Time // since when PINGRESP is due; zero for not
	read      time.Time // last byte, or end of the last pause
	resumed   time.Time // end of the last pause, or the beginning
	written   time.Time // last write, or PINGREQ on its way
	paused    bool      // we don't read
}

func (p *pulse) begin(now time.Time, keepAlive time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.keepAlive = keepAlive
	p.opening, p.read, p.resumed, p.written = now, now, now, now
}

// connected notes a CONNACK, and whether SUBACK is due.
func (p *pulse) connected(keepAlive time.Duration, subscribed bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.keepAlive = keepAlive
	if !subscribed {
		p.opening = time.Time{}
	}
}

func (p *pulse) subacked() {
	p.mu.Lock()
	p.opening = time.Time{}
	p.mu.Unlock()
}

func (p *pulse) ponged() {
	p.mu.Lock()
	p.pinged = time.Time{}
	p.mu.Unlock()
}

func (p *pulse) heard(now time.Time) {
	p.mu.Lock()
	p.read = now
	p.mu.Unlock()
}

func (p *pulse) wrote(now time.Time) {
	p.mu.Lock()
	p.written = now
	p.mu.Unlock()
}

func (p *pulse) pause() {
	p.mu.Lock()
	p.paused = true
	p.mu.Unlock()
}

func (p *pulse) resume(now time.Time) {
	p.mu.Lock()
	p.paused, p.read, p.resumed = false, now, now
	p.mu.Unlock()
}

// watch sends PINGREQ when it is time and ends a session whose broker is dead.
func (s *Session) watch(ctx context.Context) error {
	for {
		now := time.Now()
		if s.pulse.pingDue(now) {
			s.out.pingreq()
		}
		next, err := s.pulse.judge(now, s.out.awaited())
		if err != nil {
			return err
		}
		select {
		case <-time.After(next.Sub(now)):
		case <-ctx.Done():
			return nil
		}
	}
}

// pingDue reports that we have been silent for a keep-alive, whether or not the
// last PINGREQ has been answered: the broker wants to hear us.
func (p *pulse) pingDue(now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.keepAlive == 0 || now.Before(p.written.Add(p.keepAlive)) {
		return false
	}
	p.written = now
	if p.pinged.IsZero() {
		p.pinged = now
	}
	return true
}

// judge returns when to judge again, or that the broker is dead: silent while
// it owes an answer, or deaf to PUBLISH. While we don't read, it is not to
// blame.
func (p *pulse) judge(now time.Time, w awaited) (next time.Time, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	// What comes to be due from now on has answerTime at least.
	next = now.Add(answerTime)
	if p.keepAlive > 0 {
		next = earliest(next, p.written.Add(p.keepAlive))
	}
	if p.paused {
		return next, nil
	}
	if due := earliest(p.opening, p.pinged, w.since); !due.IsZero() {
		silent := latest(due, p.read).Add(answerTime + transit(w.bytes))
		if !now.Before(silent) {
			return now, fmt.Errorf("broker silent for %v with an answer due", now.Sub(latest(due, p.read)).Round(time.Second))
		}
		next = earliest(next, silent)
	}
	if !w.since.IsZero() {
		stalled := latest(w.since, p.resumed).Add(stallTime + transit(w.bytes))
		if !now.Before(stalled) {
			return now, fmt.Errorf("no PUBACK for %v from a live broker", now.Sub(w.since).Round(time.Second))
		}
		next = earliest(next, stalled)
	}
	return next, nil
}

// earliest leaves out zero times.
func earliest(times ...time.Time) (min time.Time) {
	for _, t := range times {
		if min.IsZero() || !t.IsZero() && t.Before(min) {
			min = t
		}
	}
	return min
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

package gateway

import (
	"math"
	"time"

	"skyhaul/modbus"
)

// load is how busy the line is, in seconds of which those long ago count less.
type load struct {
	owner, clients float64
	total          float64 // that passed
	at             time.Time

	last  float64 // what the exchange added last took
	ended time.Time
}

const (
	// memory is after how much time something counts by 1/e.
	memory = 10 * time.Second
	// silence is the longest between two exchanges that belongs to the second.
	silence = 10 * time.Millisecond
)

// fade goes on to now.
func (l *load) fade(now time.Time) {
	passed := now.Sub(l.at).Seconds()
	if l.at.IsZero() {
		passed = 0
	}
	faded := math.Exp(-passed / memory.Seconds())
	l.owner, l.clients, l.total = l.owner*faded, l.clients*faded, l.total*faded+passed
	l.at = now
}

// add counts an exchange that ends now, as the owner's.
func (l *load) add(now time.Time, a modbus.Answer) {
	took := a.Total
	if gap := a.Sent.Sub(l.ended); gap > 0 && gap < silence {
		took += gap
	}
	l.fade(now)
	l.last = took.Seconds()
	l.owner += l.last
	l.ended = now
}

// share returns the part of the time that the owner uses of what clients leave
// it, 0 to 1: an owner that is kept waiting wants more than it gets.
func (l *load) share(now time.Time) float64 {
	l.fade(now)
	left := l.total - l.clients
	if left <= 0 {
		return 0
	}
	return min(max(0, l.owner/left), 1)
}

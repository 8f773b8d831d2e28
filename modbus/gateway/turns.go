package gateway

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"skyhaul/modbus"
)

const (
	// leastShare is the part of the line's time that clients have even if its
	// owner leaves nothing over.
	leastShare = 0.01
	// longestPause bounds how long a client waits for its part.
	longestPause = time.Minute
)

// turns lets one request at a time go to the line, and keeps each client to its
// part of the time that the owner of the line leaves over. A queue of requests on
// the line would not do: the owner's come one after the other, and each would
// wait for one of the clients'.
type turns struct {
	paced bool // immutable once set

	mu      sync.Mutex // guards the rest
	taken   bool
	waiting []*waiter   // by arrival
	free    time.Time   // before then no read goes
	alarm   *time.Timer // when the next client may have its turn; nil if none waits for that
	load    load
}

// waiter is one request that wants to go to the line.
type waiter struct {
	client *client
	req    modbus.PDU
	turn   chan struct{} // closed when it has come
}

// ready returns when it may go. A write waits for earlier ones of its client
// only: somebody may wait for it. t.mu is held.
func (t *turns) ready(w *waiter) time.Time {
	if changes(w.req) {
		return w.client.writes
	}
	return later(t.free, w.client.reads)
}

// sooner orders waiters by when they may go, writes first. t.mu is held.
func (t *turns) sooner(a, b *waiter, now time.Time) int {
	reads := func(w *waiter) int {
		if changes(w.req) {
			return 0
		}
		return 1
	}
	return cmp.Or(later(t.ready(a), now).Compare(later(t.ready(b), now)), cmp.Compare(reads(a), reads(b)))
}

// take waits for the turn of a client's request, which pass must end.
func (t *turns) take(ctx context.Context, c *client, req modbus.PDU) error {
	w := &waiter{c, req, make(chan struct{})}
	t.mu.Lock()
	t.waiting = append(t.waiting, w)
	t.next(time.Now())
	t.mu.Unlock()
	select {
	case <-w.turn:
		return nil
	case <-ctx.Done():
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.remove(w) { // its turn has come meanwhile
		t.taken = false
		t.next(time.Now())
	}
	return ctx.Err()
}

// remove takes a waiter out, if it still waits. t.mu is held.
func (t *turns) remove(w *waiter) bool {
	n := len(t.waiting)
	t.waiting = slices.DeleteFunc(t.waiting, func(o *waiter) bool { return o == w })
	return len(t.waiting) < n
}

// next gives the turn to the first who may have it. t.mu is held.
func (t *turns) next(now time.Time) {
	if t.taken || len(t.waiting) == 0 {
		return
	}
	w := slices.MinFunc(t.waiting, func(a, b *waiter) int { return t.sooner(a, b, now) })
	if wait := t.ready(w).Sub(now); wait > 0 {
		t.wake(wait)
		return
	}
	t.remove(w)
	t.taken = true
	close(w.turn)
}

// wake looks again after d. t.mu is held.
func (t *turns) wake(d time.Duration) {
	if t.alarm != nil {
		t.alarm.Stop()
	}
	t.alarm = time.AfterFunc(d, func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.next(time.Now())
	})
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// pass ends the turn of a client that asked then and had this answer, none if it
// has no time.
func (t *turns) pass(c *client, asked time.Time, req modbus.PDU, a modbus.Answer) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	took := a.Total
	switch {
	case a.Sent.IsZero():
		took = now.Sub(asked)
	case req.Function().Reads():
		t.load.owner -= t.load.last // saw took it for the owner's
	}
	t.load.clients += took.Seconds()
	if t.paced {
		t.leave(c, req, took, now)
	}
	t.taken = false
	t.next(now)
}

// leave leaves the line to its owner after an exchange that took so long. t.mu is
// held.
func (t *turns) leave(c *client, req modbus.PDU, took time.Duration, now time.Time) {
	share := t.share(now)
	one := now.Add(pause(took, share/float64(t.clients())))
	if changes(req) {
		c.writes = one
		return
	}
	t.free, c.reads = now.Add(pause(took, share)), one
}

// pause returns how long to wait after what took so long, to take a share of the
// time.
func pause(took time.Duration, share float64) time.Duration {
	return min(time.Duration(float64(took)*(1/share-1)), longestPause)
}

// share returns the part of the line's time that is the clients': less than the
// owner leaves over, since a pass of the owner that begins during an exchange has
// to wait for its end. t.mu is held.
func (t *turns) share(now time.Time) float64 {
	left := 1 - t.load.share(now)
	return max(left*left, leastShare)
}

// clients returns how many clients wait, at least 1. t.mu is held.
func (t *turns) clients() int {
	waiting := map[*client]bool{}
	for _, w := range t.waiting {
		waiting[w.client] = true
	}
	return max(1, len(waiting))
}

// saw takes in an answer on the line, the owner's or a client's.
func (t *turns) saw(a modbus.Answer) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.load.add(time.Now(), a)
}

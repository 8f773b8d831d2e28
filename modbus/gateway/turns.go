package gateway

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"skyhaul/modbus"
)

// turns lets one read at a time go to the line, in turn among clients, and
// leaves the line alone while its owner polls. A queue of requests on the line
// would be served between the owner's, which come one after the other: a pass
// would take as much longer as clients ask for more.
type turns struct {
	paced bool // immutable once set

	mu      sync.Mutex // guards the rest
	taken   bool
	waiting []*waiter
	served  uint64        // turns so far
	free    time.Time     // not before then, unless the owner is quiet
	last    modbus.Answer // on the line, whoever asked
	heard   time.Time     // the owner's last answer
	before  time.Time     // its last but one
	longest time.Duration // that an exchange takes; forgets slowly
}

type waiter struct {
	client *client
	turn   chan struct{}
}

const (
	// share is one part in how many of the line's time clients take while its
	// owner polls.
	share = 20
	// longestPause bounds how long clients wait for the owner.
	longestPause = 5 * time.Second
	// slack is what the owner may take from an answer to the next request.
	slack = 3 * time.Millisecond
)

// take waits for the client's turn.
func (t *turns) take(ctx context.Context, c *client) error {
	w := &waiter{c, make(chan struct{})}
	t.mu.Lock()
	t.waiting = append(t.waiting, w)
	t.next()
	t.mu.Unlock()
	select {
	case <-w.turn:
	case <-ctx.Done():
		return t.abandon(w, ctx.Err())
	}
	for {
		wait := t.pause(time.Now())
		if wait <= 0 {
			return nil
		}
		if err := sleep(ctx, wait); err != nil {
			t.give()
			return err
		}
	}
}

// abandon takes a waiter out, which may have got its turn by now.
func (t *turns) abandon(w *waiter, err error) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	i := slices.Index(t.waiting, w)
	if i < 0 {
		t.taken = false
		t.next()
		return err
	}
	t.waiting = slices.Delete(t.waiting, i, i+1)
	return err
}

// next gives the turn to who waits for the client that was served longest ago.
// t.mu is held.
func (t *turns) next() {
	if t.taken || len(t.waiting) == 0 {
		return
	}
	w := slices.MinFunc(t.waiting, func(a, b *waiter) int { return cmp.Compare(a.client.turn, b.client.turn) })
	t.waiting = slices.DeleteFunc(t.waiting, func(o *waiter) bool { return o == w })
	t.served++
	t.taken, w.client.turn = true, t.served
	close(w.turn)
}

// give lets the next have its turn.
func (t *turns) give() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.taken = false
	t.next()
}

// pause returns how much longer to leave the line alone.
func (t *turns) pause(now time.Time) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	quiet := t.heard.Add(t.longest + t.longest/2 + slack)
	return min(t.free.Sub(now), quiet.Sub(now))
}

// pass notes how a read ended that was asked then, and gives the turn away. If
// the owner asked meanwhile, the line is left alone for some time; and if the
// read failed, since it may have held the line for long.
func (t *turns) pass(asked time.Time, a modbus.Answer) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	switch {
	case a.Sent.IsZero():
		a.Total = now.Sub(asked)
	case t.last.Sent.Equal(a.Sent):
		t.heard = t.before // it was ours
	}
	if t.paced && (a.Sent.IsZero() || t.heard.After(asked)) {
		t.free = now.Add(min((share-1)*a.Total, longestPause))
	}
	t.taken = false
	t.next()
}

// saw takes in an answer on the line.
func (t *turns) saw(a modbus.Answer) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last, t.before, t.heard = a, t.heard, time.Now()
	t.longest = max(a.Total, t.longest-t.longest/64)
}

// Package linksim is a TCP relay that behaves like a long, narrow and unreliable
// link, for the demo and for tests: it delays, paces, stalls, cuts and counts.
//
// It relays streams, not packets: there is no loss, and the TCP handshake is
// answered on the spot. To make up for that, the first bytes of a connection
// wait for the round trip that the handshake would have taken.
package linksim

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Loss says what becomes of the connections when the link closes.
type Loss uint8

// What becomes of connections when the link closes.
const (
	Stall     Loss = iota // they go on when it opens, as after a short fade
	Reset                 // both ends get a RST, as from a modem that hung up
	BlackHole             // nobody is told and nothing ever passes again, as behind a NAT that forgot
)

// Options says how the link behaves.
type Options struct {
	Target   string        // host:port to which connections go on
	Delay    time.Duration // one way
	UpRate   int           // bytes of payload per second towards the target; 0 is no limit
	DownRate int           // the other way
	// Schedule tells whether the link is open at a moment and until when, the
	// zero time for ever. nil leaves it to SetOpen, and open at first.
	Schedule func(now time.Time) (open bool, until time.Time)
	OnClose  Loss
}

// Counts is what a relay has carried to an end of the link.
type Counts struct {
	Connections int64
	Up, Down    int64 // bytes of payload
}

// Relay is one simulated link. Its methods are safe for concurrent use.
type Relay struct {
	opt      Options
	listener net.Listener
	gate     *gate
	up, down direction
	accepted atomic.Int64
}

// Listen opens the near end on a free port of 127.0.0.1. Run must be called to
// serve it and to close it.
func Listen(o Options) (*Relay, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("link simulator: %w", err)
	}
	open := true
	if o.Schedule != nil {
		open, _ = o.Schedule(time.Now())
	}
	return &Relay{
		opt: o, listener: l, gate: newGate(open),
		up:   direction{rate: o.UpRate, delay: o.Delay},
		down: direction{rate: o.DownRate, delay: o.Delay},
	}, nil
}

// Addr returns host:port of the near end.
func (r *Relay) Addr() string { return r.listener.Addr().String() }

// SetOpen opens or closes the link, until the schedule, if any, says otherwise.
func (r *Relay) SetOpen(open bool) { r.gate.set(open) }

// Counts returns what was carried so far.
func (r *Relay) Counts() Counts {
	return Counts{r.accepted.Load(), r.up.carried.Load(), r.down.carried.Load()}
}

// Run serves the link until ctx ends, then cuts every connection and returns nil.
func (r *Relay) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	defer context.AfterFunc(ctx, func() { r.listener.Close() })()
	if r.opt.Schedule != nil {
		wg.Go(func() { r.keepSchedule(ctx) })
	}
	for {
		conn, err := r.listener.Accept()
		if ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("link simulator: %w", err)
		}
		r.accepted.Add(1)
		wg.Go(func() { r.relay(ctx, conn) })
	}
}

func (r *Relay) keepSchedule(ctx context.Context) {
	for {
		open, until := r.opt.Schedule(time.Now())
		r.gate.set(open)
		if until.IsZero() || !sleep(ctx, time.Until(until)) {
			return
		}
	}
}

// sleep waits for d and reports false where ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

package linksim

import (
	"context"
	"io"
	"net"
	"sync"
	"time"
)

// relay carries one connection from its acceptance to the end of both streams.
func (r *Relay) relay(ctx context.Context, accepted net.Conn) {
	near := accepted.(*net.TCPConn)
	defer near.Close()
	// A small buffer, so that the sender feels the rate soon.
	near.SetReadBuffer(8 * segment)
	if !r.gate.await(ctx) || !sleep(ctx, 2*r.opt.Delay) {
		return
	}
	var dialer net.Dialer
	dialed, err := dialer.DialContext(ctx, "tcp", r.opt.Target)
	if err != nil {
		near.SetLinger(0)
		return
	}
	far := dialed.(*net.TCPConn)
	defer far.Close()
	if ended := r.carry(ctx, near, far); ended {
		return
	}
	if ctx.Err() == nil && r.opt.OnClose == BlackHole {
		swallow(ctx, near, far)
		return
	}
	near.SetLinger(0) // Close sends RST
	far.SetLinger(0)
}

// carry runs both directions and reports whether they came to their end; else
// the link closed on them or ctx ended.
func (r *Relay) carry(ctx context.Context, near, far *net.TCPConn) (ended bool) {
	ctx, cut := context.WithCancel(ctx)
	var watch, streams sync.WaitGroup
	defer watch.Wait()
	defer cut()
	defer context.AfterFunc(ctx, func() { // wakes reads and writes
		near.SetDeadline(time.Unix(1, 0))
		far.SetDeadline(time.Unix(1, 0))
	})()
	if r.opt.OnClose != Stall {
		closing := r.gate.closing()
		watch.Go(func() {
			select {
			case <-closing:
				cut()
			case <-ctx.Done():
			}
		})
	}
	streams.Go(func() { r.up.pump(ctx, r.gate, far, near) })
	streams.Go(func() { r.down.pump(ctx, r.gate, near, far) })
	streams.Wait()
	return ctx.Err() == nil
}

// swallow keeps both ends open and reads what they send into nothing.
func swallow(ctx context.Context, near, far *net.TCPConn) {
	var wg sync.WaitGroup
	for _, c := range []*net.TCPConn{near, far} {
		defer context.AfterFunc(ctx, func() { c.Close() })()
		c.SetDeadline(time.Time{})
		wg.Go(func() { io.Copy(io.Discard, c) })
	}
	wg.Wait()
}

package linksim

import (
	"context"
	"sync"
)

// gate is open or closed. Each opening and each closing is a channel of its
// own, so that whoever holds one can't miss what happened in between.
type gate struct {
	mu             sync.Mutex
	open           bool          // guarded by mu
	opened, closed chan struct{} // guarded by mu; closed when the gate next stands so
}

func newGate(open bool) *gate {
	g := &gate{open: open, opened: make(chan struct{}), closed: make(chan struct{})}
	if open {
		close(g.opened)
	} else {
		close(g.closed)
	}
	return g
}

func (g *gate) set(open bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if open == g.open {
		return
	}
	g.open = open
	if open {
		g.closed = make(chan struct{})
		close(g.opened)
	} else {
		g.opened = make(chan struct{})
		close(g.closed)
	}
}

// await blocks until the gate is open and reports false where ctx ended first.
func (g *gate) await(ctx context.Context) bool {
	g.mu.Lock()
	opened := g.opened
	g.mu.Unlock()
	select {
	case <-opened:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

// closing returns a channel that is closed with the next closing of the gate,
// at once if it is closed now.
func (g *gate) closing() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.closed
}

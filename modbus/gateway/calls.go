package gateway

import (
	"context"
	"errors"
	"sync"

	"skyhaul/modbus"
)

// question is a read of a unit.
type question struct {
	unit modbus.UnitID
	req  string
}

// calls lets reads that are the same and wait at the same time share one answer.
type calls struct {
	mu      sync.Mutex // guards the rest
	pending map[question]*call
}

type call struct {
	done chan struct{}
	resp modbus.PDU // as the rest, set before done is closed
	err  error
}

// do returns what ask returns, or what it returned to who asked the same before
// and is not answered yet. Who asked first may have given up: then ask is called
// nevertheless.
func (c *calls) do(ctx context.Context, q question, ask func() (modbus.PDU, error)) (modbus.PDU, error) {
	for {
		p, mine := c.join(q)
		if mine {
			p.resp, p.err = ask()
			c.end(q, p)
			return p.resp, p.err
		}
		select {
		case <-p.done:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		if !gaveUp(p.err) {
			return p.resp, p.err
		}
	}
}

func gaveUp(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

func (c *calls) join(q question) (p *call, mine bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p := c.pending[q]; p != nil {
		return p, false
	}
	p = &call{done: make(chan struct{})}
	c.pending[q] = p
	return p, true
}

func (c *calls) end(q question, p *call) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.pending, q)
	close(p.done)
}

package modbus

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// exchangeTCP sends one request and returns its answer. The transaction id
// tells it from late answers, which are dropped.
func (c *Client) exchangeTCP(ctx context.Context, want shape, req PDU, timeout time.Duration) (Answer, error) {
	c.transaction++
	c.counters.Requests++
	began, err := c.wire.send(appendTCP(nil, c.transaction, want.unit, req))
	if err != nil {
		return Answer{}, err
	}
	a := Answer{Sent: began}
	first := began.Add(timeout)
	for end := first.Add(timeout); ; {
		done, err := c.awaited(&a, want)
		if done || err != nil {
			return a, c.finish(a.PDU, err)
		}
		deadline := first
		if len(c.wire.in) > 0 {
			deadline = later(first, c.wire.busy.Add(timeout))
		}
		if deadline.After(end) {
			deadline = end
		}
		err = c.wire.fill(ctx, deadline)
		if errors.Is(err, errSilent) {
			err = ErrTimeout
		}
		if err != nil {
			return Answer{}, c.finish(nil, err)
		}
	}
}

// awaited takes whole frames out of what was received until it finds the
// answer of the current transaction.
func (c *Client) awaited(a *Answer, want shape) (done bool, err error) {
	for {
		h, p, length, err := frameTCP(c.wire.in)
		if err != nil {
			return false, fmt.Errorf("%w: %w", ErrConn, err)
		}
		if length == 0 {
			return false, nil
		}
		p = slices.Clone(p)
		begin, end := c.wire.at[0], c.wire.at[length-1]
		c.wire.take(length)
		switch {
		case h.transaction != c.transaction:
			c.counters.LateBytes += uint64(length)
			continue
		case h.unit != want.unit:
			c.counters.ForeignUnit++
			return false, ErrDamaged
		case !want.accepts(p):
			c.counters.WrongShape++
			return false, ErrDamaged
		}
		a.PDU, a.FirstByte, a.Total = p, begin.Sub(a.Sent), end.Sub(a.Sent)
		return true, nil
	}
}

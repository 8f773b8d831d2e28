package modbus

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// separate makes sure that no answer to an earlier request can pass for the
// one to req, and that the echo of a write can't pass for its answer.
func (c *Client) separate(ctx context.Context, want shape, req PDU, timeout time.Duration) error {
	if !c.pending.confusing(want) && !c.echoConfuses(want) {
		return nil
	}
	r, err := ParseRequest(req)
	if err != nil {
		return err
	}
	sep := c.separator(want.unit, r)
	s, err := shapeOf(want.unit, sep)
	if err != nil {
		return err
	}
	c.counters.Separators++
	_, err = c.exchangeRTU(ctx, s, sep, timeout)
	// An exception separates as well, as long as it is not taken for more than
	// an answer to the earliest request it may belong to.
	_, declined := errors.AsType[Exception](err)
	c.declined[want.unit] = declined
	switch {
	case err != nil && !declined:
		return err
	case c.pending.has(want):
		return fmt.Errorf("an earlier answer may still come: %w", ErrDamaged)
	case c.echoConfuses(want):
		return fmt.Errorf("not sent, since the line may echo: %w", ErrDamaged)
	}
	return nil
}

// echoConfuses reports whether an echo could be taken for the answer.
func (c *Client) echoConfuses(want shape) bool {
	return want.repeats() && c.echo == echoUnknown
}

// separator returns a read whose answer can't be confused with the one to r. It
// stays inside what r reads where it can, as another address may not exist or
// be slow: the unit serves a part of a block if it serves the block. What it
// reads is thrown away, for two reads of a value would tear it. A unit that
// declined the last one is asked with another function, whose exceptions differ
// too.
func (c *Client) separator(unit UnitID, r Request) PDU {
	fc := r.Function
	switch {
	case !fc.Reads() && fc.Bits():
		fc = FuncReadCoils
	case !fc.Reads() || c.declined[unit] && fc != FuncReadHoldingRegisters:
		fc = FuncReadHoldingRegisters
	case c.declined[unit]:
		fc = FuncReadInputRegisters
	}
	quantity := 1
	if fc == r.Function {
		quantity = c.otherQuantity(unit, r)
	}
	return request(fc, uint16(min(int(r.Addr), addresses-quantity)), uint16(quantity))
}

// otherQuantity returns a quantity whose answer has another length than the one
// to r: a smaller one that no unanswered request had, else the smallest; and
// one more item where there is no smaller.
func (c *Client) otherQuantity(unit UnitID, r Request) int {
	step := 1
	if r.Function.Bits() {
		step = 8
	}
	for n := step; r.Function.size(n) < r.Function.size(r.Quantity); n += step {
		s, err := shapeOf(unit, request(r.Function, r.Addr, uint16(n)))
		if err == nil && !c.pending.has(s) {
			return n
		}
	}
	if r.Function.size(r.Quantity) > r.Function.size(step) {
		return step
	}
	return step + 1
}

// broadcast sends a write to all units and holds the line until they have acted.
// Serial, section 2.4.1.
func (c *Client) broadcast(ctx context.Context, req PDU, hold time.Duration) (Answer, error) {
	if req.Function().Reads() {
		return Answer{}, errors.New("a broadcast can't read")
	}
	if err := c.quiet(ctx); err != nil {
		return Answer{}, c.finish(nil, err)
	}
	c.counters.Requests++
	began, err := c.wire.send(appendRTU(nil, Broadcast, req))
	if err != nil {
		return Answer{}, err
	}
	c.wire.busyUntil(c.wire.busy.Add(hold))
	return Answer{Sent: began}, c.finish(nil, nil)
}

package modbus

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// maxSeparators is how many separators go before one request.
const maxSeparators = 3

// separate makes sure that no answer to an earlier request can pass for the
// one to req, and that the echo of a write can't pass for its answer.
func (c *Client) separate(ctx context.Context, want shape, req PDU, timeout time.Duration) error {
	d := c.pending.of(want.unit)
	d.lapse(time.Now())
	if !d.confuses(want) && !c.echoConfuses(want) {
		return nil
	}
	r, err := ParseRequest(req)
	if err != nil {
		return err
	}
	for range maxSeparators {
		if err := c.sendSeparator(ctx, d, want.unit, r, timeout); err != nil {
			return err
		}
		if !slices.Contains(d.shapes, want) && !c.echoConfuses(want) {
			return nil
		}
	}
	return fmt.Errorf("not sent, since its answer could not be told from an earlier one or an echo: %w", ErrDamaged)
}

// sendSeparator asks the unit something else than r. An exception separates as
// well, as long as it is not taken for more than an answer to the earliest
// request that it may belong to.
func (c *Client) sendSeparator(ctx context.Context, d *debt, unit UnitID, r Request, timeout time.Duration) error {
	sep := d.separator(unit, r)
	s, err := shapeOf(unit, sep)
	if err != nil {
		return err
	}
	c.counters.Separators++
	d.tryAgain(time.Now())
	_, err = c.exchange(ctx, s, sep, timeout)
	_, d.declined = errors.AsType[Exception](err)
	if d.declined {
		return nil
	}
	return err
}

// echoConfuses reports whether an echo could be taken for the answer.
func (c *Client) echoConfuses(want shape) bool {
	return want.repeats() && c.echo == echoUnknown
}

// separator returns a read whose answer can't be confused with the one to r.
// What it reads is thrown away, for two reads of a value would tear it. It
// stays inside what r reads where it can: the unit serves a part of a block if
// it serves the block, while another address may not exist. A unit that
// declined the last separator, or met it with silence, gets another function,
// whose exceptions differ too.
func (d *debt) separator(unit UnitID, r Request) PDU {
	own, other := separating(r.Function)
	step := d.silent
	if d.declined {
		step = 1
	}
	if step%2 == 1 {
		return request(other, r.Addr, 1)
	}
	if own != r.Function {
		return request(own, r.Addr, 1)
	}
	quantity := d.otherQuantity(unit, r)
	addr := int(r.Addr)
	// One item more than r has may lie behind it or before it.
	if quantity > r.Quantity && (step%4 == 2 && addr > 0 || addr+quantity > addresses) {
		addr -= quantity - r.Quantity
	}
	return request(own, uint16(max(0, addr)), uint16(quantity))
}

// separating returns the reading functions that separate from fc: the better
// one, which is fc itself if it reads, and one that differs from it.
func separating(fc FunctionCode) (own, other FunctionCode) {
	switch fc {
	case FuncReadCoils, FuncReadDiscreteInputs, FuncReadInputRegisters:
		return fc, FuncReadHoldingRegisters
	case FuncWriteCoil, FuncWriteCoils:
		return FuncReadCoils, FuncReadHoldingRegisters
	}
	return FuncReadHoldingRegisters, FuncReadInputRegisters
}

// otherQuantity returns a quantity whose answer has another length than the one
// to r: a smaller one that no unanswered request had, else the smallest; or,
// where there is none, the next greater.
func (d *debt) otherQuantity(unit UnitID, r Request) int {
	step := 1
	if r.Function.Bits() {
		step = 8
	}
	whole := r.Function.size(r.Quantity)
	for n := step; r.Function.size(n) < whole; n += step {
		s, err := shapeOf(unit, request(r.Function, r.Addr, uint16(n)))
		if err == nil && !slices.Contains(d.shapes, s) {
			return n
		}
	}
	if r.Function.size(step) < whole {
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
	began, err := c.wire.send(c.wire.codec().seal(nil, Broadcast, req))
	if err != nil {
		return Answer{}, err
	}
	c.wire.busyUntil(c.wire.busy.Add(hold))
	return Answer{Sent: began}, c.finish(nil, nil)
}

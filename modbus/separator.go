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
	dialect := c.dialects[want.unit]
	r, err := dialect.ParseRequest(req)
	if err != nil {
		return err
	}
	for range maxSeparators {
		if err := c.sendSeparator(ctx, d.separator(dialect, want, r), want.unit, timeout); err != nil {
			return err
		}
		if !d.mistakable(want) && !c.echoConfuses(want) {
			return nil
		}
	}
	return fmt.Errorf("not sent, since its answer could not be told from an earlier one or an echo: %w", ErrDamaged)
}

// sendSeparator asks the unit something else than what is wanted. An exception
// separates as well, as long as it is not taken for more than an answer to the
// earliest request that it may belong to.
func (c *Client) sendSeparator(ctx context.Context, sep PDU, unit UnitID, timeout time.Duration) error {
	s, err := c.dialects[unit].shapeOf(unit, sep)
	if err != nil {
		return err
	}
	d := c.pending.of(unit)
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
func (d *debt) separator(dialect Dialect, want shape, r Request) PDU {
	own, other := separating(r.Function, want)
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
	quantity := d.otherQuantity(dialect, want, r)
	// One item more than r has may lie behind it or before it.
	before := r.Addr - uint16(max(0, quantity-r.Quantity))
	places := []uint16{r.Addr, before}
	if step%4 == 2 {
		slices.Reverse(places)
	}
	for _, addr := range places {
		if addr <= r.Addr && dialect.check(own, addr, quantity) == nil {
			return request(own, addr, uint16(quantity))
		}
	}
	return request(other, r.Addr, 1)
}

// separating returns the reading functions that separate from fc: the better
// one, which is fc itself if it reads and prescribes a length, and one that
// differs from it.
func separating(fc FunctionCode, want shape) (own, other FunctionCode) {
	switch {
	case fc.Reads() && want.layout.count > 0, fc == FuncWriteCoil, fc == FuncWriteCoils:
		return FuncReadCoils, FuncReadInputRegisters
	case fc.Reads() && fc != FuncReadHoldingRegisters:
		return fc, FuncReadHoldingRegisters
	}
	return FuncReadHoldingRegisters, FuncReadInputRegisters
}

// otherQuantity returns a quantity whose answer has another length than the one
// to r: a smaller one that no unanswered request had, else the smallest; or,
// where there is none, the next greater.
func (d *debt) otherQuantity(dialect Dialect, want shape, r Request) int {
	smallest := 0
	for n := 1; ; n++ {
		s := readShape(want.unit, r.Function, dialect.size(r.Function, r.Addr, n))
		switch {
		case s == want:
		case n > r.Quantity && smallest > 0:
			return smallest
		case n > r.Quantity || !slices.Contains(d.shapes, s):
			return n
		case smallest == 0:
			smallest = n
		}
	}
}

// broadcast sends a write to all units and holds the line until they have acted.
// Serial, section 2.4.1.
func (c *Client) broadcast(ctx context.Context, req PDU, hold time.Duration) (Answer, error) {
	if fc := req.Function(); !fc.Writes() || fc == FuncReadWriteRegisters {
		return Answer{}, errors.New("a broadcast can only write")
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

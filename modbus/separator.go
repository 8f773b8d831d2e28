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
	r, err := c.dialects[want.unit].ParseRequest(req)
	if err != nil {
		return err
	}
	for range maxSeparators {
		if err := c.sendSeparator(ctx, c.separator(want, r), want.unit, timeout); err != nil {
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
// whose exceptions differ too. Where all tables are to be spared it is function
// 7, which reads none.
func (c *Client) separator(want shape, r Request) PDU {
	d := c.pending.of(want.unit)
	step := d.silent
	if d.declined {
		step = 1
	}
	own, other := separating(r.Function, want)
	first, second := Request{Function: own, Quantity: 1}, Request{Function: other, Quantity: 1}
	if own == r.Function {
		first.Quantity = d.otherQuantity(c.dialects[want.unit], want, r)
	}
	if step%2 == 1 {
		first, second = second, first
	}
	for _, reach := range []int{0, addresses} {
		for _, s := range []Request{first, second} {
			if addr := c.place(want.unit, s, r, reach, step%4 == 2); addr >= 0 {
				return request(s.Function, uint16(addr), uint16(s.Quantity))
			}
		}
	}
	return ReadExceptionStatus()
}

// place returns the address at which the separator s of r may read: the one of r
// or, where s has more items, so far before it that both end together; else the
// nearest to the end of r, less than reach away. With back they are tried the
// other way round. It returns -1 if there is none.
func (c *Client) place(unit UnitID, s, r Request, reach int, back bool) int {
	start, end := int(r.Addr), int(r.Addr)+r.Quantity-1
	places := []int{start, start - max(0, s.Quantity-r.Quantity)}
	if back {
		slices.Reverse(places)
		end = start
	}
	for far := range reach + 1 {
		for _, addr := range places {
			if c.free(unit, s, r, addr) {
				return addr
			}
		}
		places = append(places[:0], end+far, end-far)
	}
	return -1
}

// free reports whether the separator s of r may read at addr, and items of the
// size that its quantity was chosen for.
func (c *Client) free(unit UnitID, s, r Request, addr int) bool {
	if addr < 0 || addr >= addresses {
		return false
	}
	d, spare, at := c.dialects[unit], c.spared[unit], uint16(addr)
	return d.check(s.Function, at, s.Quantity) == nil &&
		d.ItemBytes(s.Function, at) == d.ItemBytes(s.Function, r.Addr) &&
		(spare == nil || !spare(s.Function, at, s.Quantity))
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

package gateway

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"skyhaul/modbus"
	"skyhaul/modbus/bus"
)

// request deals with one request. It returns the answer, or nil when answer will
// be called with it later.
func (c *client) request(ctx context.Context, id modbus.UnitID, req modbus.PDU, answer func(modbus.PDU)) modbus.PDU {
	d := c.door
	c.count(func(s *Counters) { s.Requests++ })
	unit, r, err := d.check(c, id, req)
	if err == nil && !changes(req) {
		if a, ok := d.remembered(unit, req); ok {
			c.count(func(s *Counters) { s.Remembered++ })
			return a.PDU
		}
		if d.g.whole(unit, r) {
			err = modbus.GatewayTarget
		}
	}
	if err == nil {
		select {
		case c.queued <- struct{}{}:
		default:
			err = modbus.ServerDeviceBusy
		}
	}
	if err != nil {
		return c.declined(req, err)
	}
	c.asking.Go(func() {
		resp, err := c.ask(ctx, unit, req)
		if err != nil {
			resp = c.declined(req, err)
		}
		answer(resp)
		<-c.queued
	})
	return nil
}

// declined returns the answer to a request that failed.
func (c *client) declined(req modbus.PDU, err error) modbus.PDU {
	e := exception(err)
	c.count(func(s *Counters) {
		s.Declined++
		if e == modbus.ServerDeviceBusy {
			s.Busy++
		}
	})
	return e.Answer(req)
}

// exception returns the code that tells a client of an error.
func exception(err error) modbus.Exception {
	e, declined := errors.AsType[modbus.Exception](err)
	switch {
	case declined:
		return e
	case errors.Is(err, bus.ErrUnitDown), errors.Is(err, modbus.ErrTimeout), errors.Is(err, modbus.ErrDamaged), errors.Is(err, modbus.ErrConn):
		return modbus.GatewayTarget
	case errors.Is(err, bus.ErrNotConnected):
		return modbus.GatewayPath
	case gaveUp(err):
		return modbus.ServerDeviceBusy
	}
	return modbus.ServerDeviceFailure
}

// remembered answers a read from memory, if that is young enough.
func (d *Door) remembered(unit modbus.UnitID, req modbus.PDU) (a modbus.Answer, ok bool) {
	if d.g.o.Memory == nil {
		return a, false
	}
	a, ok = d.g.o.Memory.Answer(unit, req)
	return a, ok && time.Since(a.Sent) <= d.o.MaxAge
}

// check returns the unit on the line that a request is for and what it says, or
// the exception to decline it with.
func (d *Door) check(c *client, id modbus.UnitID, req modbus.PDU) (modbus.UnitID, modbus.Request, error) {
	unit, known := d.unit(id)
	if !known {
		return 0, modbus.Request{}, modbus.GatewayPath
	}
	r, err := d.g.o.Dialects[unit].ParseRequest(req)
	switch {
	case !c.mayRead():
		return 0, modbus.Request{}, modbus.IllegalFunction
	case err != nil:
		return 0, modbus.Request{}, err
	case changes(req) && !d.allows(c, unit, r):
		c.refusals.refused(c, unit, req)
		return 0, modbus.Request{}, modbus.IllegalFunction
	case d.g.spares(unit, r):
		return 0, modbus.Request{}, modbus.IllegalDataAddress
	}
	return unit, r, nil
}

// unit returns the unit on the line that clients mean by an id.
func (d *Door) unit(id modbus.UnitID) (unit modbus.UnitID, known bool) {
	const last = 247
	if d.o.Units == nil {
		return id, id != modbus.Broadcast && id <= last
	}
	unit, known = d.o.Units[id]
	return unit, known && unit != modbus.Broadcast && unit <= last
}

// changes reports whether a request may change something in a unit. Of the
// diagnostics of function 8 some restart it, silence it or clear its counters.
func changes(req modbus.PDU) bool {
	return req.Function().Writes() || req.Function() == modbus.FuncDiagnostics
}

// ask sends a request when the client's turn has come.
func (c *client) ask(ctx context.Context, unit modbus.UnitID, req modbus.PDU) (modbus.PDU, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if changes(req) {
		return c.write(ctx, unit, req)
	}
	return c.door.g.calls.do(ctx, question{unit, string(req)}, func() (modbus.PDU, error) {
		if err := c.door.g.turns.take(ctx, c, req); err != nil {
			return nil, err
		}
		return c.exchange(ctx, bus.Poll, unit, req)
	})
}

// exchange sends a request to the line in the client's turn, which is ended by it.
func (c *client) exchange(ctx context.Context, class bus.Class, unit modbus.UnitID, req modbus.PDU) (modbus.PDU, error) {
	asked := time.Now()
	a, err := c.door.g.o.Line.Do(ctx, class, unit, req)
	c.door.g.turns.pass(c, asked, req, a)
	c.count(func(s *Counters) { s.Exchanges++ })
	return a.PDU, err
}

// write goes ahead of all reads. From its turn on neither the client's patience
// nor its going ends it: it may be on the wire, and what came of it is asked for.
// What was read before it says nothing any more, even if it failed: the unit may
// have obeyed.
func (c *client) write(ctx context.Context, unit modbus.UnitID, req modbus.PDU) (modbus.PDU, error) {
	g := c.door.g
	if err := g.turns.take(ctx, c, req); err != nil {
		return nil, err
	}
	resp, err := c.exchange(context.WithoutCancel(ctx), bus.Operator, unit, req)
	if gaveUp(err) { // the line, at its end
		err = fmt.Errorf("%w: %v", modbus.ErrTimeout, err)
	}
	if g.o.Memory != nil {
		g.o.Memory.Forget(unit)
	}
	c.count(func(s *Counters) { s.Writes++ })
	g.o.Audit(c.event(unit, req, err))
	return resp, err
}

// Write is what clients may write.
type Write struct {
	Unit      modbus.UnitID         // its id on the line
	Functions []modbus.FunctionCode // nil is 5, 6, 15 and 16
	// First and Last are the addresses that may be written, both inclusive. A
	// function without addresses, 8 or 21, is allowed by 0 to 65535 only.
	First, Last uint16
	// Roles are those that may write it on a connection of Modbus/TCP Security,
	// and then nobody may without one; nil: every client may.
	Roles []string
}

// usualWrites are what is allowed where no functions are given.
var usualWrites = []modbus.FunctionCode{modbus.FuncWriteCoil, modbus.FuncWriteRegister, modbus.FuncWriteCoils, modbus.FuncWriteRegisters}

// allows reports whether a write is on the list.
func (d *Door) allows(c *client, unit modbus.UnitID, r modbus.Request) bool {
	return slices.ContainsFunc(d.o.Writes, func(w Write) bool {
		return w.Unit == unit && w.covers(r) && (w.Roles == nil || c.role != "" && slices.Contains(w.Roles, c.role))
	})
}

func (w Write) covers(r modbus.Request) bool {
	functions := w.Functions
	if functions == nil {
		functions = usualWrites
	}
	first, last := int(r.Addr), int(r.Addr)+r.Quantity-1
	if r.Function == modbus.FuncDiagnostics || r.Function == modbus.FuncWriteFileRecords {
		first, last = 0, 65535
	}
	return slices.Contains(functions, r.Function) && first >= int(w.First) && last <= int(w.Last)
}

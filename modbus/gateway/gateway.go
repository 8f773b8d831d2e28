// Package gateway lets local clients share a line with its owner: it serves
// Modbus TCP, RTU over TCP or Modbus/TCP Security, and asks the line on their
// behalf. The line stays its owner's: clients' reads come one at a time and leave
// the line alone while its owner polls, what was just read is answered from
// memory, and nothing is written that is not on a list. One [Gateway] stands
// before a line, whatever the number of its doors: their clients share the turns
// and the memory, so that what one writes none reads as it was.
//
// Declined are, at once and with the exception that V1.1b3, section 7, has for it:
//
//	01  a function unknown here; a write, or a role, that is not on the list
//	02, 03  a request that no unit could obey
//	02  a read of what is to be avoided, or of an exclusive range not by itself
//	06  more than eight requests of one client, or one that waited too long
//	0A  a unit id that means no unit, or a line that is not connected
//	0B  a unit that is down or did not answer; an exclusive range not in memory
//
// A range to avoid may hang its unit, and a read may clear an exclusive one: what
// a client fetched its owner would never see. So to clients the former are not
// there, and the latter are what their owner last read.
//
// A write that was answered 06 was not sent, and may be sent again. One that was
// answered 0B may have been obeyed.
//
// Exceptions of units are passed on.
package gateway

import (
	"context"
	"log/slog"
	"time"

	"skyhaul/modbus"
	"skyhaul/modbus/bus"
)

// Line carries requests to units: a *bus.Line, or what stands in for one. Do must
// end on its own: the context of a write doesn't. If the line has the method
// Observe of a *bus.Line, the gateway keeps out of the way of its owner.
type Line interface {
	Do(ctx context.Context, c bus.Class, unit modbus.UnitID, req modbus.PDU) (modbus.Answer, error)
}

// Memory keeps what was read on the line: a *listen.Memory, for as long as any
// door answers from it.
type Memory interface {
	Heard(unit modbus.UnitID, req modbus.PDU, a modbus.Answer)
	Answer(unit modbus.UnitID, req modbus.PDU) (a modbus.Answer, ok bool)
	Forget(unit modbus.UnitID)
}

// Options describes the line that a gateway stands before. Units are meant by
// their ids on the line.
type Options struct {
	Line     Line
	Dialects map[modbus.UnitID]modbus.Dialect // of the units that don't speak plain Modbus
	Memory   Memory                           // answers reads without an exchange; nil: every read is one

	// Avoid and Exclusive are as in [bus.Cost]. No client reads the former, and the
	// latter are answered from memory only. Leave both out where the line is only
	// listened to, and nothing is ever sent.
	Avoid, Exclusive map[modbus.UnitID][]bus.Range

	// Audit is told of every write that was sent and of refused ones. It is called
	// from several goroutines and must not block. nil: nobody is told.
	Audit func(Event)

	Log *slog.Logger // nil logs nothing
}

const (
	// maxQueued is how many requests of one client wait for answers at a time.
	maxQueued = 8
	// patience is how long a request waits. Clients have given it up before.
	patience = 10 * time.Second
	// frameTime is what a whole frame may take from its first byte, and an answer
	// until the client has taken it.
	frameTime = 5 * time.Second
	// handshakeTime is what the begin of TLS may take.
	handshakeTime = 10 * time.Second
)

// Gateway shares one line among the clients of all its doors. Safe for concurrent
// use.
type Gateway struct {
	o     Options // immutable once set
	turns turns
	calls calls
}

// New returns a gateway whose [Gateway.Door] lets clients in.
func New(o Options) *Gateway {
	if o.Audit == nil {
		o.Audit = func(Event) {}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	g := &Gateway{o: o, calls: calls{pending: make(map[question]*call)}}
	if line, ok := o.Line.(interface{ Observe(bus.Observer) }); ok {
		g.turns.paced = true
		line.Observe(g.observed)
	}
	return g
}

// observed sees every answer to a read on the line, its owner's and our own.
func (g *Gateway) observed(unit modbus.UnitID, req modbus.PDU, a modbus.Answer) {
	g.turns.saw(a)
	if g.o.Memory != nil {
		g.o.Memory.Heard(unit, req, a)
	}
}

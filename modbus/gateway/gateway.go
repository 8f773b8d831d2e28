// Package gateway lets local clients share a line with its owner: it serves
// Modbus TCP, RTU over TCP or Modbus/TCP Security, and asks the line on their
// behalf. The line stays its owner's: clients' reads come one at a time and leave
// the line alone while its owner polls, what was just read is answered from
// memory, and nothing is written that is not on a list.
//
// Declined are, at once and with the exception that V1.1b3, section 7, has for it:
//
//	01  a function unknown here; a write, or a role, that is not on the list
//	02, 03  a request that no unit could obey
//	06  more than eight requests of one client, or one that waited too long
//	0A  a unit id that means no unit, or a line that is not connected
//	0B  a unit that is down or did not answer
//
// Exceptions of units are passed on.
package gateway

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"skyhaul/modbus"
	"skyhaul/modbus/bus"
)

// Line carries requests to units: a *bus.Line, or what stands in for one. If it
// has the method Observe of a *bus.Line, the gateway keeps out of the way of its
// owner.
type Line interface {
	Do(ctx context.Context, c bus.Class, unit modbus.UnitID, req modbus.PDU) (modbus.Answer, error)
}

// Memory keeps what was read on the line: a *listen.Memory. It says itself how
// old an answer may be.
type Memory interface {
	Heard(unit modbus.UnitID, req modbus.PDU, a modbus.Answer)
	Answer(unit modbus.UnitID, req modbus.PDU) (a modbus.Answer, ok bool)
	Forget(unit modbus.UnitID)
}

// Options describes a gateway.
type Options struct {
	Line Line
	// Units are the units on the line by the ids that clients give them. Ids 0
	// and 255, with which clients mean "the device behind this address", mean a
	// unit only if they stand here. nil is 1 to 247 as they are.
	Units    map[modbus.UnitID]modbus.UnitID
	Dialects map[modbus.UnitID]modbus.Dialect // of the units that don't speak plain Modbus, by their id on the line

	Memory Memory  // answers reads without an exchange; nil: every read is one
	Writes []Write // what may be written; nil: nothing
	// Readers are the roles that may ask at all on a connection of Modbus/TCP
	// Security; nil: every role, the null role too.
	Readers []string
	// Audit is told of every write and of refused ones. It is called from several
	// goroutines and must not block. nil: nobody is told.
	Audit func(Event)

	MaxClients int           // connections at a time; 0 is 8
	Idle       time.Duration // a client that asks nothing for so long is disconnected; 0 is 5 minutes

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

// Gateway serves clients of one line. Safe for concurrent use.
type Gateway struct {
	o     Options // immutable once set
	turns turns
	calls calls

	mu      sync.Mutex // guards the rest
	clients map[*client]struct{}
	stats   Stats
}

// New returns a gateway that [Gateway.Serve] runs.
func New(o Options) *Gateway {
	o.MaxClients = cmp.Or(o.MaxClients, 8)
	o.Idle = cmp.Or(o.Idle, 5*time.Minute)
	if o.Audit == nil {
		o.Audit = func(Event) {}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	g := &Gateway{o: o, clients: make(map[*client]struct{}), calls: calls{pending: make(map[question]*call)}}
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

// Serve answers the clients that connect to ln, in a framing over TCP, and
// closes ln. It returns nil when ctx ends and all clients are gone. A listener
// of package crypto/tls, with the configuration of [modbus.ServerTLS], makes it
// Modbus/TCP Security. Several can be served at a time.
func (g *Gateway) Serve(ctx context.Context, ln net.Listener, f modbus.Framing) error {
	defer ln.Close()
	if !f.OverTCP() {
		return fmt.Errorf("gateway on %v: framing %v is not one over TCP", ln.Addr(), f)
	}
	ctx, cancel := context.WithCancel(ctx)
	var serving sync.WaitGroup
	defer serving.Wait()
	defer cancel()
	defer context.AfterFunc(ctx, func() { ln.Close() })()
	for {
		conn, err := ln.Accept()
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("gateway: %w", err)
		case err != nil: // no file descriptors left, perhaps
			g.o.Log.Warn("gateway can't accept", "err", err)
			if sleep(ctx, time.Second) != nil {
				return nil
			}
			continue
		}
		serving.Go(func() {
			defer conn.Close()
			g.serve(ctx, conn, f)
		})
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

package gateway

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"skyhaul/modbus"
)

// DoorOptions describes a door of a gateway.
type DoorOptions struct {
	Framing modbus.Framing // one over TCP

	// Units are the units on the line by the ids that clients give them. Ids 0
	// and 255, with which clients mean "the device behind this address", mean a
	// unit only if they stand here. nil is 1 to 247 as they are.
	Units map[modbus.UnitID]modbus.UnitID
	// MaxAge is how old an answer from memory may be; 0: none is given. What is
	// exclusive is had from memory only: for longer than its owner takes to read
	// it again.
	MaxAge time.Duration
	Writes []Write // what may be written; nil: nothing
	// Readers are the roles that may ask at all on a connection of Modbus/TCP
	// Security; nil: every role, the null role too.
	Readers []string

	MaxClients int           // connections at a time; 0 is 8
	Idle       time.Duration // a client that asks nothing for so long is disconnected; 0 is 5 minutes
}

// Door lets clients in to a line. Safe for concurrent use.
type Door struct {
	g *Gateway
	o DoorOptions // immutable once set

	mu      sync.Mutex // guards the rest
	clients map[*client]struct{}
	stats   Stats
}

// Door returns a door that [Door.Serve] opens.
func (g *Gateway) Door(o DoorOptions) *Door {
	o.MaxClients = cmp.Or(o.MaxClients, 8)
	o.Idle = cmp.Or(o.Idle, 5*time.Minute)
	return &Door{g: g, o: o, clients: make(map[*client]struct{})}
}

// Serve answers the clients that connect to ln, and closes ln. It returns nil
// when ctx ends and all clients are gone. A listener of package crypto/tls, with
// the configuration of [modbus.ServerTLS], makes it Modbus/TCP Security. Several
// can be served at a time, and one after the other.
func (d *Door) Serve(ctx context.Context, ln net.Listener) error {
	defer ln.Close()
	if !d.o.Framing.OverTCP() {
		return fmt.Errorf("gateway on %v: framing %v is not one over TCP", ln.Addr(), d.o.Framing)
	}
	log := d.g.o.Log.With("gateway", ln.Addr())
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
			log.Warn("gateway can't accept", "err", err)
			if sleep(ctx, time.Second) != nil {
				return nil
			}
			continue
		}
		serving.Go(func() {
			defer conn.Close()
			d.serve(ctx, conn, log)
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

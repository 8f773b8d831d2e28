package sim

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"

	"skyhaul/modbus"
)

// ServeTCP serves units as Modbus/TCP to every client that connects to ln, and
// closes ln. It returns nil when ctx ends.
func ServeTCP(ctx context.Context, ln net.Listener, units modbus.Handler) error {
	ctx, cancel := context.WithCancel(ctx)
	var clients sync.WaitGroup
	defer clients.Wait()
	defer cancel()
	stop := context.AfterFunc(ctx, func() { ln.Close() })
	defer stop()
	for {
		c, err := ln.Accept()
		switch {
		case ctx.Err() != nil || errors.Is(err, net.ErrClosed):
			return nil
		case err != nil:
			return fmt.Errorf("accept: %w", err)
		}
		clients.Go(func() {
			defer c.Close()
			modbus.Serve(ctx, c, modbus.TCP, modbus.LineTiming{}, units) // a client's failure is its own
		})
	}
}

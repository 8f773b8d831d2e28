package edge

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"time"

	"skyhaul/config"
	"skyhaul/modbus"
	"skyhaul/modbus/gateway"
	"skyhaul/modbus/listen"
)

// listenAgain is the pause before an address in use is tried once more.
const listenAgain = 30 * time.Second

// door is a door to a line, with its configuration.
type door struct {
	*gateway.Door
	config *config.Gateway
	fault  fault // why it can't listen
}

// connectGateways opens the doors to each line. Those to one line are of one
// gateway, so that they share its time, and what one writes the others don't
// remember otherwise.
func (d *Daemon) connectGateways() {
	gateways := map[string]*gateway.Gateway{}
	for i := range d.opts.Config.Gateways {
		c := &d.opts.Config.Gateways[i]
		if gateways[c.Line] == nil {
			gateways[c.Line] = d.newGateway(d.line(c.Line))
		}
		d.doors = append(d.doors, &door{Door: gateways[c.Line].Door(c.Door), config: c})
	}
}

func (d *Daemon) newGateway(l *line) *gateway.Gateway {
	b := l.config.Bus
	o := gateway.Options{
		Line: l.carrier, Dialects: b.Dialects, Log: d.log,
		Audit: func(e gateway.Event) { d.note("gateway", auditText(e)) },
	}
	if l.config.Listen > 0 {
		return gateway.New(o) // it asks for nothing and remembers by itself
	}
	o.Avoid, o.Exclusive = b.Avoid, b.Exclusive
	var longest time.Duration
	for i := range d.opts.Config.Gateways {
		if g := &d.opts.Config.Gateways[i]; g.Line == l.config.Name {
			longest = max(longest, g.Door.MaxAge)
		}
	}
	if longest > 0 {
		o.Memory = listen.NewMemory(longest, b.Dialects)
	}
	return gateway.New(o)
}

// auditText says for the auditor what a client wrote, or wanted to.
func auditText(e gateway.Event) string {
	who := e.Client
	if e.Role != "" {
		who += fmt.Sprintf(" as %q", e.Role)
	}
	text := fmt.Sprintf("%s: function %d to unit %d: % X", who, e.Request.Function(), e.Unit, []byte(e.Request))
	switch {
	case e.Refused && e.Times > 1:
		return fmt.Sprintf("%s: refused, not on the list, %d times", text, e.Times)
	case e.Refused:
		return text + ": refused, not on the list"
	case e.Err != nil:
		return fmt.Sprintf("%s: sent, %v", text, e.Err)
	}
	return text + ": done"
}

// serve lets clients in until ctx ends. An address that can't be had is tried
// again.
func (d *Daemon) serve(ctx context.Context, g *door) error {
	for ctx.Err() == nil {
		ln, err := d.listenAt(ctx, g.config)
		g.fault.set(d.log, "gateway is missing at "+g.config.Listen, err)
		if err == nil {
			err = g.Serve(ctx, ln)
		}
		if err == nil {
			continue
		}
		select {
		case <-ctx.Done():
		case <-time.After(listenAgain):
		}
	}
	return nil
}

func (d *Daemon) listenAt(ctx context.Context, c *config.Gateway) (net.Listener, error) {
	if c.TLS == nil {
		return new(net.ListenConfig).Listen(ctx, "tcp", c.Listen)
	}
	if _, err := d.serverTLS(c.TLS); err != nil {
		return nil, err
	}
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", c.Listen)
	if err != nil {
		return nil, err
	}
	return tls.NewListener(ln, &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return d.serverTLS(c.TLS) }}), nil
}

// serverTLS reads its files for each client: certificates are renewed while the
// daemon runs.
func (d *Daemon) serverTLS(c *config.TLS) (*tls.Config, error) {
	cert, clients, err := d.certificate(c)
	if err != nil {
		return nil, err
	}
	return modbus.ServerTLS(cert, clients), nil
}

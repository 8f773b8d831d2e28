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

// door is a gateway with its configuration.
type door struct {
	*gateway.Gateway
	config *config.Gateway
	fault  fault // why it can't listen
}

// connectGateway opens a door to a line.
func (d *Daemon) connectGateway(c *config.Gateway) {
	l := d.line(c.Line)
	o := c.Options
	o.Line, o.Log = l.carrier, d.log.With("gateway", c.Listen)
	if c.MaxAge > 0 && l.turnaround != nil { // an overheard line remembers by itself
		o.Memory = listen.NewMemory(c.MaxAge, o.Dialects)
	}
	o.Audit = func(e gateway.Event) { d.note("gateway", auditText(e)) }
	d.doors = append(d.doors, &door{Gateway: gateway.New(o), config: c})
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
			err = g.Serve(ctx, ln, g.config.Framing)
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

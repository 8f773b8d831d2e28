package edge

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"

	"skyhaul/config"
	"skyhaul/edge/textline"
	"skyhaul/modbus"
	"skyhaul/modbus/bus"
	"skyhaul/modbus/listen"
	"skyhaul/modbus/serial"
)

func (d *Daemon) newLine(c *config.Line) *line {
	l := &line{config: c}
	dial := dialEndpoint(c.Address)
	switch {
	case c.Serial != nil:
		dial = l.openPort(*c.Serial)
	case c.TLS != nil:
		dial = d.dialSecurely(c.Address, c.TLS)
	}
	o := c.Bus
	o.Log = d.log.With("line", c.Name)
	if c.Text != nil {
		text := *c.Text
		text.Dial, text.Log = dial, o.Log
		dial = textline.Dial(text)
	}
	o.Dial = func(ctx context.Context) (modbus.Conn, error) {
		conn, err := dial(ctx)
		l.dialled.Store(&err)
		return conn, err
	}
	if c.Listen > 0 {
		l.carrier = listen.New(listen.Options{Dial: o.Dial, Timing: o.Timing, Dialects: o.Dialects, MaxAge: c.Listen, Log: o.Log})
		return l
	}
	owned := bus.New(o)
	l.carrier, l.turnaround = owned, owned.Turnaround
	return l
}

// lastError says why the line can't be opened; "" where it could or nobody tried.
func (l *line) lastError() string {
	if err := l.dialled.Load(); err != nil && *err != nil {
		return (*err).Error()
	}
	return ""
}

func dialEndpoint(addr string) func(context.Context) (modbus.Conn, error) {
	return func(ctx context.Context) (modbus.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", addr)
	}
}

// dialSecurely reads its files each time: certificates are renewed while the
// daemon runs.
func (d *Daemon) dialSecurely(addr string, c *config.TLS) func(context.Context) (modbus.Conn, error) {
	return func(ctx context.Context) (modbus.Conn, error) {
		cert, authorities, err := d.certificate(c)
		if err != nil {
			return nil, err
		}
		dialer := tls.Dialer{Config: modbus.ClientTLS(cert, authorities, c.ServerName)}
		return dialer.DialContext(ctx, "tcp", addr)
	}
}

// certificate reads the files of Modbus/TCP Security.
func (d *Daemon) certificate(c *config.TLS) (cert tls.Certificate, authorities *x509.CertPool, err error) {
	certificate, err := d.secret("cert_file", c.CertFile)
	if err != nil {
		return cert, nil, err
	}
	key, err := d.secret("key_file", c.KeyFile)
	if err != nil {
		return cert, nil, err
	}
	if cert, err = tls.X509KeyPair(certificate, key); err != nil {
		return cert, nil, fmt.Errorf("cert_file %s and key_file %s: %w", c.CertFile, c.KeyFile, err)
	}
	pem, err := d.secret("ca_file", c.CAFile)
	if err != nil {
		return cert, nil, err
	}
	authorities = x509.NewCertPool()
	if !authorities.AppendCertsFromPEM(pem) {
		return cert, nil, fmt.Errorf("ca_file: there is no certificate in %s", c.CAFile)
	}
	return cert, authorities, nil
}

func (l *line) openPort(c serial.Config) func(context.Context) (modbus.Conn, error) {
	return func(context.Context) (modbus.Conn, error) {
		port, err := serial.Open(c)
		if err != nil {
			return nil, err
		}
		l.port.Store(port)
		return port, nil
	}
}

// driverErrors returns what the driver of the line's port has counted since it
// was opened, by kind; nil where it doesn't count.
func (l *line) driverErrors() map[string]uint64 {
	port := l.port.Load()
	if port == nil {
		return nil
	}
	e, ok := port.LineErrors()
	if !ok {
		return nil
	}
	return map[string]uint64{
		"framing": uint64(e.Frame), "parity": uint64(e.Parity), "overrun": uint64(e.Overrun), "break": uint64(e.Break),
		"buffer overrun": uint64(e.BufferOverrun),
	}
}

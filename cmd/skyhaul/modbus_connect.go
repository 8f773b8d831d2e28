package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"skyhaul/config"
	"skyhaul/modbus"
	"skyhaul/modbus/serial"
	"skyhaul/modbus/tap"
)

// wiring is a line or an endpoint and how to speak on it.
type wiring struct {
	serial  *serial.Config // nil for an endpoint
	address string         // host:port of an endpoint
	tls     *config.TLS    // nil: in the clear
	framing modbus.Framing
	timeout time.Duration

	dialects map[modbus.UnitID]modbus.Dialect
}

// String names the line or endpoint for people.
func (w wiring) String() string {
	if w.serial == nil {
		return fmt.Sprintf("%s (%s)", w.address, w.framing)
	}
	return fmt.Sprintf("%s at %d %s", w.serial.Device, w.serial.Baud, character(*w.serial))
}

// character writes the settings of a character, such as "8E1".
func character(c serial.Config) string {
	return fmt.Sprintf("%d%c%d", cmp.Or(c.DataBits, 8), cmp.Or(c.Parity, serial.NoParity), cmp.Or(c.StopBits, 1))
}

func (w wiring) timing() modbus.LineTiming {
	if w.serial == nil {
		return modbus.LineTiming{}
	}
	return modbus.LineTiming{Bit: w.serial.Bit(), CharBits: w.serial.CharBits()}
}

// header describes a capture made here, begun now.
func (w wiring) header() tap.Header {
	h := tap.Header{Begun: time.Now().UTC(), Source: w.address, Framing: w.framing}
	if w.serial != nil {
		h.Source, h.Baud, h.Character = w.serial.Device, w.serial.Baud, character(*w.serial)
	}
	return h
}

// dialTimeout bounds how long an endpoint may take to accept.
const dialTimeout = 5 * time.Second

// dial opens the port or connects to the endpoint.
func (w wiring) dial(ctx context.Context) (modbus.Conn, error) {
	if w.serial != nil {
		p, err := serial.Open(*w.serial)
		if err != nil {
			return nil, portHint(err, w.serial.Device)
		}
		return p, nil
	}
	dialer := net.Dialer{Timeout: dialTimeout}
	dial := dialer.DialContext
	if w.tls != nil {
		security, err := clientTLS(w.tls)
		if err != nil {
			return nil, err
		}
		dial = (&tls.Dialer{NetDialer: &dialer, Config: security}).DialContext
	}
	c, err := dial(ctx, "tcp", w.address)
	if err != nil {
		return nil, endpointHint(err, w.address)
	}
	return c, nil
}

// clientTLS reads the files of Modbus/TCP Security.
func clientTLS(t *config.TLS) (*tls.Config, error) {
	cert, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("--tls-cert %s, --tls-key %s: %w", t.CertFile, t.KeyFile, err)
	}
	pem, err := os.ReadFile(t.CAFile)
	if err != nil {
		return nil, fmt.Errorf("--tls-ca: %w", err)
	}
	authorities := x509.NewCertPool()
	if !authorities.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("--tls-ca %s: there is no certificate in it", t.CAFile)
	}
	return modbus.ClientTLS(cert, authorities, t.ServerName), nil
}

// session is a client at work.
type session struct {
	wiring
	client *modbus.Client
	conn   modbus.Conn
	began  time.Time
	once   bool // a read is not sent again
}

// connect opens the line or endpoint; tell, unless nil, hears what passes.
func (w wiring) connect(ctx context.Context, tell func(tap.Chunk)) (*session, error) {
	conn, err := w.dial(ctx)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	if tell != nil {
		conn = tap.NewConn(conn, began, tell)
	}
	client := modbus.NewClient(conn, w.framing, w.timing())
	for unit, d := range w.dialects {
		client.Speak(unit, d)
	}
	return &session{wiring: w, client: client, conn: conn, began: began}, nil
}

// tries is how often a read is sent before it is given up.
const tries = 3

// ask sends a request; a read that met silence or damage is sent again.
func (s *session) ask(ctx context.Context, unit modbus.UnitID, req modbus.PDU) (a modbus.Answer, err error) {
	n := tries
	if s.once || !req.Function().Reads() {
		n = 1
	}
	for range n {
		a, err = s.client.Do(ctx, unit, req, s.timeout)
		if !errors.Is(err, modbus.ErrTimeout) && !errors.Is(err, modbus.ErrDamaged) || ctx.Err() != nil {
			break
		}
	}
	return a, err
}

package gateway

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"sync"
	"time"

	"skyhaul/modbus"
)

// client is one connection.
type client struct {
	door *Door
	conn net.Conn
	addr string
	role string // of its certificate

	queued  chan struct{} // one for each request that waits for its answer
	writing chan struct{} // one while an answer is written
	asking  sync.WaitGroup

	reads    time.Time   // when it may read again; guarded by turns.mu
	writes   time.Time   // when it may write again; likewise
	refusals refusals    // used by the goroutine that reads
	stats    ClientStats // guarded by door.mu
}

// serve answers one client until it goes, misbehaves or ctx ends.
func (d *Door) serve(ctx context.Context, conn net.Conn, log *slog.Logger) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	c := &client{door: d, conn: conn, addr: conn.RemoteAddr().String(), queued: make(chan struct{}, maxQueued), writing: make(chan struct{}, 1)}
	if !d.enter(c) {
		return
	}
	defer d.leave(c)
	err := c.greet(ctx)
	if err == nil && d.o.Framing == modbus.TCP {
		err = c.serveTCP(ctx)
	} else if err == nil {
		err = modbus.Serve(ctx, &patient{Conn: conn, client: c, asked: time.Now()}, d.o.Framing, modbus.LineTiming{}, inTurn{ctx, c})
	}
	cancel()
	c.asking.Wait()
	c.refusals.end(c)
	if err != nil {
		log.Debug("gateway client gone", "client", c.addr, "err", err)
	}
}

// greet finds out who the client is.
func (c *client) greet(ctx context.Context) error {
	secure, ok := c.conn.(*tls.Conn)
	if !ok {
		return nil
	}
	limited, cancel := context.WithTimeout(ctx, handshakeTime)
	defer cancel()
	if err := secure.HandshakeContext(limited); err != nil {
		return fmt.Errorf("TLS: %w", err)
	}
	certs := secure.ConnectionState().PeerCertificates
	if len(certs) == 0 {
		return nil
	}
	role, err := modbus.Role(certs[0])
	c.role = role
	return err
}

// mayRead reports whether the client may ask at all.
func (c *client) mayRead() bool {
	_, secure := c.conn.(*tls.Conn)
	return !secure || c.door.o.Readers == nil || slices.Contains(c.door.o.Readers, c.role)
}

// mbapSize is the length of the header with the unit id. TCP, section 3.1.3.
const mbapSize = 7

// serveTCP reads requests and lets each be answered in its own time.
func (c *client) serveTCP(ctx context.Context) error {
	var buf [mbapSize + modbus.MaxPDU]byte
	for {
		header, req, err := c.frame(&buf)
		if err != nil {
			return err
		}
		answer := func(resp modbus.PDU) { c.send(header, resp) }
		if resp := c.request(ctx, modbus.UnitID(header[6]), req, answer); resp != nil {
			answer(resp)
		}
	}
}

// frame reads one frame:
//
//	0             2              4              6         7
//	transaction | protocol = 0 | length = n+1 | unit id | PDU of n bytes
func (c *client) frame(buf *[mbapSize + modbus.MaxPDU]byte) (header [mbapSize]byte, req modbus.PDU, err error) {
	c.conn.SetReadDeadline(time.Now().Add(c.door.o.Idle))
	if _, err := io.ReadFull(c.conn, buf[:1]); err != nil {
		return header, nil, err
	}
	c.conn.SetReadDeadline(time.Now().Add(frameTime))
	if _, err := io.ReadFull(c.conn, buf[1:mbapSize]); err != nil {
		return header, nil, err
	}
	header = [mbapSize]byte(buf[:])
	size := int(binary.BigEndian.Uint16(header[4:])) - 1
	if header[2] != 0 || header[3] != 0 || size < 1 || size > modbus.MaxPDU {
		c.count(func(s *Counters) { s.Malformed++ })
		return header, nil, fmt.Errorf("no MBAP header: % X", header[:])
	}
	_, err = io.ReadFull(c.conn, buf[mbapSize:mbapSize+size])
	return header, slices.Clone(buf[mbapSize : mbapSize+size]), err
}

// send writes the answer to the request with this header. A client that doesn't
// take it is disconnected.
func (c *client) send(header [mbapSize]byte, resp modbus.PDU) {
	binary.BigEndian.PutUint16(header[4:], uint16(len(resp)+1))
	c.writing <- struct{}{}
	defer func() { <-c.writing }()
	c.conn.SetWriteDeadline(time.Now().Add(frameTime))
	if _, err := c.conn.Write(append(header[:], resp...)); err != nil {
		c.conn.Close()
	}
}

// inTurn answers in the framings that have no transaction id: one request at a
// time.
type inTurn struct {
	ctx context.Context
	c   *client
}

func (h inTurn) Handle(unit modbus.UnitID, req modbus.PDU) (resp modbus.PDU, ok bool) {
	later := make(chan modbus.PDU, 1)
	resp = h.c.request(h.ctx, unit, slices.Clone(req), func(p modbus.PDU) { later <- p })
	if resp == nil {
		resp = <-later
	}
	return resp, true
}

// patient is a connection that ends when no request came for too long.
type patient struct {
	net.Conn
	client *client

	mu    sync.Mutex // a context that ends sets a deadline beside the reader
	asked time.Time  // guarded by mu
	total uint64     // requests up to then; guarded by mu
}

// SetReadDeadline also wakes a read that would wait for ever.
func (p *patient) SetReadDeadline(t time.Time) error {
	if end := p.end(); t.IsZero() || t.After(end) {
		t = end
	}
	return p.Conn.SetReadDeadline(t)
}

func (p *patient) end() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := p.client.requests(); n != p.total {
		p.total, p.asked = n, time.Now()
	}
	return p.asked.Add(p.client.door.o.Idle)
}

func (p *patient) Read(b []byte) (int, error) {
	n, err := p.Conn.Read(b)
	if !time.Now().Before(p.end()) {
		return 0, io.EOF
	}
	return n, err
}

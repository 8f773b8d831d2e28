package sim

import (
	"errors"
	"net"
	"os"
	"sync"
	"time"

	"skyhaul/modbus"
)

// DeviceServer returns an [Options.Open] that lets ln's clients, one at a time,
// have the line as a serial device server does: its frames in a TCP stream. A
// client that comes meanwhile waits. The caller closes ln when the line has ended.
func DeviceServer(ln *net.TCPListener) func() (modbus.Conn, error) {
	return func() (modbus.Conn, error) {
		return &deviceServer{ln: ln}, ln.SetDeadline(time.Time{})
	}
}

// deviceServer is the units' end of the line.
type deviceServer struct {
	ln *net.TCPListener

	mu     sync.Mutex // guards the rest
	client net.Conn   // nil while there is none
	closed bool
}

// Read reads what clients send, one after the other.
func (d *deviceServer) Read(b []byte) (int, error) {
	for {
		c, err := d.accept()
		if err != nil {
			return 0, err
		}
		if n, err := c.Read(b); err == nil {
			return n, nil
		}
		c.Close()
		d.mu.Lock()
		d.client = nil
		d.mu.Unlock()
	}
}

// accept returns the client, once there is one.
func (d *deviceServer) accept() (net.Conn, error) {
	d.mu.Lock()
	c := d.client
	d.mu.Unlock()
	if c != nil {
		return c, nil
	}
	c, err := d.ln.Accept()
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return nil, errors.Join(os.ErrClosed, c.Close())
	}
	d.client = c
	return c, nil
}

// Write sends to the client; without one the bytes are lost.
func (d *deviceServer) Write(b []byte) (int, error) {
	d.mu.Lock()
	c := d.client
	d.mu.Unlock()
	if c != nil {
		c.Write(b) // lost if the client is gone
	}
	return len(b), nil
}

// Close hangs up and lets clients wait.
func (d *deviceServer) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
	if d.client != nil {
		d.client.Close()
	}
	return d.ln.SetDeadline(time.Unix(1, 0)) // ends an Accept that waits
}

// SetReadDeadline does nothing: a line reads for as long as it is served.
func (d *deviceServer) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline does nothing, likewise.
func (d *deviceServer) SetWriteDeadline(time.Time) error { return nil }

package serial

import (
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	bugst "go.bug.st/serial"
)

// Port is an open port. Read, Write, Close and the deadlines may be called
// concurrently, but only one Write at a time.
type Port struct {
	config    Config
	lib       bugst.Port
	companion *companion

	inbox net.Conn // the end that Read reads; its other end is the pump's
	pump  sync.WaitGroup

	mu            sync.Mutex // guards the rest
	writeDeadline time.Time
	writing       <-chan struct{} // closed when the last write has ended; nil before the first
	err           error           // why reading ended, once it has
	closed        bool
}

// Open opens a port for this process alone. From then on it takes in what the
// line brings until Close.
func Open(c Config) (*Port, error) {
	c, err := c.withDefaults()
	if err != nil {
		return nil, err
	}
	companion, err := openCompanion(c)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", c.Device, explain(err))
	}
	p := &Port{config: c, companion: companion}
	err = companion.alone(func() (err error) {
		p.lib, err = bugst.Open(c.Device, c.mode())
		return err
	})
	if err != nil {
		if p.lib != nil {
			_ = p.lib.Close() // the first error is the one to tell
		}
		companion.close()
		return nil, fmt.Errorf("open %s: %w", c.Device, explain(err))
	}
	inbox, outlet := net.Pipe()
	p.inbox = inbox
	p.pump.Go(func() { p.take(outlet) })
	return p, nil
}

// explain puts what the library and the system say into words of ours.
func explain(err error) error {
	var lib *bugst.PortError
	switch {
	case errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("there is no such port: %w", err)
	case errors.Is(err, os.ErrPermission):
		return fmt.Errorf("no permission (is the user in the port's group, often dialout?): %w", err)
	case errors.Is(err, syscall.EBUSY), errors.Is(err, syscall.EAGAIN):
		return fmt.Errorf("port in use by another program: %w", err)
	case !errors.As(err, &lib):
		return err
	}
	switch lib.Code() {
	case bugst.PortBusy:
		return fmt.Errorf("port in use by another program: %w", err)
	case bugst.PortNotFound:
		return fmt.Errorf("there is no such port: %w", err)
	case bugst.PermissionDenied:
		return fmt.Errorf("no permission (is the user in the port's group, often dialout?): %w", err)
	}
	return err
}

// take moves what arrives to the inbox until the port is closed or gone. Being
// the only reader, without a timeout, it never meets the library's (0, nil).
func (p *Port) take(outlet net.Conn) {
	defer outlet.Close()
	buf := make([]byte, 512)
	for {
		n, err := p.read(buf)
		if errors.Is(err, syscall.EAGAIN) {
			continue // the driver threw away what it had announced
		}
		if err != nil {
			p.mu.Lock()
			p.err = fmt.Errorf("read %s: %w", p.config.Device, gone(err))
			p.mu.Unlock()
			return
		}
		if _, err := outlet.Write(buf[:n]); err != nil {
			return // closed
		}
	}
}

// read is the library's read, whose panics (it indexes a table by descriptor)
// must not end the process.
func (p *Port) read(buf []byte) (n int, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("serial library: %v", r)
		}
	}()
	return p.lib.Read(buf)
}

// gone explains the end of a port that nobody closed.
func gone(err error) error {
	var lib *bugst.PortError
	if errors.As(err, &lib) && lib.Code() == bugst.PortClosed || errors.Is(err, syscall.EIO) {
		return fmt.Errorf("the port is gone (unplugged?): %w", err)
	}
	return err
}

// Read returns bytes that arrived. It waits until there are some, the read
// deadline passes ([os.ErrDeadlineExceeded]), the port is closed
// ([os.ErrClosed]) or gone.
func (p *Port) Read(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	n, err := p.inbox.Read(b)
	if err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		return n, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.err == nil {
		return n, fmt.Errorf("read %s: %w", p.config.Device, os.ErrClosed)
	}
	return n, p.err
}

func (p *Port) isClosed() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.closed
}

// Close gives the port back; it ends a Read and a Write that wait. A second
// Close does nothing.
func (p *Port) Close() error {
	p.mu.Lock()
	closed, writing := p.closed, p.writing
	p.closed = true
	p.mu.Unlock()
	if closed {
		return nil
	}
	_ = p.inbox.Close() // a pipe has nothing to say
	defer p.companion.close()
	if !p.release(writing) {
		return fmt.Errorf("close %s: left open, as the driver holds a write", p.config.Device)
	}
	err := p.lib.Close()
	p.pump.Wait()
	if err != nil {
		return fmt.Errorf("close %s: %w", p.config.Device, err)
	}
	return nil
}

// SetReadDeadline sets until when reads wait, also those that wait already;
// zero is for ever.
func (p *Port) SetReadDeadline(t time.Time) error { return p.inbox.SetReadDeadline(t) }

// SetWriteDeadline sets until when later writes may take; zero is as long as
// [Port.Write] says.
func (p *Port) SetWriteDeadline(t time.Time) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.writeDeadline = t
	return nil
}

// LineErrors counts what the driver found wrong on the line.
type LineErrors struct {
	Frame         uint32 // no stop bit: wrong baud rate, swapped wires, collisions
	Overrun       uint32 // the UART was not emptied in time
	Parity        uint32
	Break         uint32 // line held low: a broken wire, swapped wires
	BufferOverrun uint32 // the driver was not read in time
}

// LineErrors returns what the driver has counted since the port was opened; ok
// is false where it doesn't count.
func (p *Port) LineErrors() (e LineErrors, ok bool) {
	if p.isClosed() {
		return LineErrors{}, false
	}
	return p.companion.lineErrors()
}

package serial

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"syscall"
	"time"
)

// Write hands b to the driver; it does not wait until the bytes are on the
// line. If the driver has not taken them by the write deadline, or without one
// after twice their time and a second, the port is stuck: Write returns
// [os.ErrDeadlineExceeded] and closes it.
func (p *Port) Write(b []byte) (int, error) {
	done := make(chan struct{})
	wait, err := p.beginWrite(len(b), done)
	if err != nil {
		return 0, fmt.Errorf("write %s: %w", p.config.Device, err)
	}
	var n int
	go func(b []byte) {
		defer close(done)
		n, err = p.writeAll(b)
	}(slices.Clone(b)) // may be needed after Write has returned
	stuck := time.NewTimer(wait)
	defer stuck.Stop()
	select {
	case <-done:
		return n, err
	case <-stuck.C:
		return 0, errors.Join(
			fmt.Errorf("write %s: the port takes no bytes and is closed: %w", p.config.Device, os.ErrDeadlineExceeded),
			p.Close())
	}
}

// beginWrite returns how long a write of n bytes may take. Close waits for done.
func (p *Port) beginWrite(n int, done <-chan struct{}) (time.Duration, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	wait := 2*time.Duration(n*p.config.CharBits())*p.config.Bit() + time.Second
	if !p.writeDeadline.IsZero() {
		wait = time.Until(p.writeDeadline)
	}
	switch {
	case p.closed:
		return 0, os.ErrClosed
	case wait <= 0:
		return 0, os.ErrDeadlineExceeded
	}
	p.writing = done
	return wait, nil
}

// full is how long a write waits when the driver's buffer is full.
const full = 5 * time.Millisecond

// writeAll writes b through interruptions and full buffers, which the library
// hands on. It ends when the port is closed, as the library would go on with
// whatever file has got the number of a closed descriptor.
func (p *Port) writeAll(b []byte) (written int, err error) {
	for written < len(b) {
		if p.isClosed() {
			return written, fmt.Errorf("write %s: %w", p.config.Device, os.ErrClosed)
		}
		n, err := p.lib.Write(b[written:])
		written += n
		switch {
		case err == nil || errors.Is(err, syscall.EINTR):
		case errors.Is(err, syscall.EAGAIN):
			time.Sleep(full)
		default:
			return written, fmt.Errorf("write %s: %w", p.config.Device, gone(err))
		}
	}
	return written, nil
}

// release waits for the end of a write. Where writes block, throwing away what
// the driver has not sent frees them; closing the descriptor alone would not.
func (p *Port) release(writing <-chan struct{}) bool {
	if writing == nil {
		return true
	}
	for range 100 {
		select {
		case <-writing:
			return true
		default:
		}
		_ = p.lib.ResetOutputBuffer() // fails if the port is gone, and then so does the write
		select {
		case <-writing:
			return true
		case <-time.After(10 * time.Millisecond):
		}
	}
	return false
}

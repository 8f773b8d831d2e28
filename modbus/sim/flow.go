package sim

import (
	"io"
	"os"
	"slices"
	"sync"
	"time"
)

// flow is bytes on their way in one direction, each with the time it arrives.
// Its methods are the reading half of a [modbus.Conn]. Safe for concurrent use.
type flow struct {
	changed  *sync.Cond
	mu       sync.Mutex // guards the rest
	chunks   []chunk    // by arrival
	closed   bool
	deadline time.Time
	alarm    *time.Timer // at the deadline
}

type chunk struct {
	bytes []byte
	due   time.Time
}

func newFlow() *flow {
	f := new(flow)
	f.changed = sync.NewCond(&f.mu)
	return f
}

// write lets p arrive whole at due, which is not before that of earlier bytes.
func (f *flow) write(p []byte, due time.Time) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return 0, io.ErrClosedPipe
	}
	f.chunks = append(f.chunks, chunk{slices.Clone(p), due})
	f.wakeAt(due)
	return len(p), nil
}

// spoil inverts the bytes that have not arrived yet.
func (f *flow) spoil() {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	for _, c := range f.chunks {
		if now.Before(c.due) {
			invert(c.bytes)
		}
	}
}

// wakeAt lets readers look again at t; f.mu is held. A t that has come needs no
// timer, and in a bubble must not have one: timers that fire at once crash the
// race detector of Go 1.26 when two goroutines make them.
func (f *flow) wakeAt(t time.Time) *time.Timer {
	wait := time.Until(t)
	if wait <= 0 {
		f.changed.Broadcast()
		return nil
	}
	return time.AfterFunc(wait, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.changed.Broadcast()
	})
}

func (f *flow) Read(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for {
		now := time.Now()
		switch {
		case !f.deadline.IsZero() && !now.Before(f.deadline):
			return 0, os.ErrDeadlineExceeded // even if bytes are there, like a socket
		case len(f.chunks) > 0 && !now.Before(f.chunks[0].due):
			return f.take(p), nil
		case f.closed:
			return 0, io.EOF
		}
		f.changed.Wait()
	}
}

func (f *flow) take(p []byte) int {
	first := &f.chunks[0]
	n := copy(p, first.bytes)
	if first.bytes = first.bytes[n:]; len(first.bytes) == 0 {
		f.chunks = f.chunks[1:]
	}
	return n
}

// Close ends the flow; bytes that have arrived can still be read.
func (f *flow) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	f.changed.Broadcast()
	return nil
}

func (f *flow) SetReadDeadline(t time.Time) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.deadline = t
	if f.alarm != nil {
		f.alarm.Stop()
		f.alarm = nil
	}
	if !t.IsZero() {
		f.alarm = f.wakeAt(t)
	}
	return nil
}

// SetWriteDeadline does nothing: a flow takes every byte at once.
func (f *flow) SetWriteDeadline(time.Time) error { return nil }

func invert(b []byte) {
	for i := range b {
		b[i] ^= 0xFF
	}
}

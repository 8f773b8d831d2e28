package tap

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

// Replay is the far end of a captured connection as a [modbus.Conn]: what was
// received comes again, as long after what was sent before it as then. A write
// must carry what the capture has at its place; another one fails, and so does
// one after the last. After the last chunk reads return [io.EOF], or wait for
// their deadline if nothing answered it. Safe for concurrent use.
type Replay struct {
	mu       sync.Mutex // guards the rest
	changed  *sync.Cond
	chunks   []Chunk // what is left
	ref      time.Time
	refAt    time.Duration // ref is this far into the capture
	deadline time.Time
	owed     bool // the last chunk is one that was sent
	closed   bool
}

// NewReplay returns the far end of a capture, which begins now.
func NewReplay(chunks []Chunk) *Replay {
	r := &Replay{chunks: append([]Chunk(nil), chunks...), ref: time.Now()}
	r.changed = sync.NewCond(&r.mu)
	r.owed = len(chunks) > 0 && chunks[len(chunks)-1].Direction == Sent
	return r
}

// Read returns what was received next, when its time has come.
func (r *Replay) Read(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for {
		now := time.Now()
		switch {
		case r.closed:
			return 0, os.ErrClosed
		case !r.deadline.IsZero() && !now.Before(r.deadline):
			return 0, os.ErrDeadlineExceeded
		case len(r.chunks) == 0 && !r.owed:
			return 0, io.EOF
		}
		due, waiting := r.due()
		if waiting && !now.Before(due) {
			return r.take(p), nil
		}
		r.wait(now, due, waiting)
	}
}

// due returns when the next received chunk comes; ok is false while something
// has to be sent first. r.mu is held.
func (r *Replay) due() (t time.Time, ok bool) {
	if len(r.chunks) == 0 {
		return time.Time{}, false
	}
	c := r.chunks[0]
	return r.ref.Add(c.At - r.refAt), c.Direction == Received
}

// take moves received bytes to p. r.mu is held.
func (r *Replay) take(p []byte) int {
	c := &r.chunks[0]
	n := copy(p, c.Bytes)
	if c.Bytes = c.Bytes[n:]; len(c.Bytes) == 0 {
		r.chunks = r.chunks[1:]
	}
	return n
}

// wait returns when the chunk is due, the deadline passes or something changed.
// r.mu is held, but for the wait.
func (r *Replay) wait(now, due time.Time, waiting bool) {
	until := r.deadline
	if waiting && (until.IsZero() || due.Before(until)) {
		until = due
	}
	if !until.IsZero() {
		alarm := time.AfterFunc(until.Sub(now), func() {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.changed.Broadcast()
		})
		defer alarm.Stop()
	}
	r.changed.Wait()
}

// Write checks what is sent against the capture, in whatever pieces.
func (r *Replay) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	defer r.changed.Broadcast()
	for done := 0; done < len(p); {
		i := r.nextSent()
		if i < 0 {
			return done, fmt.Errorf("replay: % X is sent after the end of the capture", p[done:])
		}
		c := &r.chunks[i]
		n := min(len(p)-done, len(c.Bytes))
		if !bytes.Equal(p[done:done+n], c.Bytes[:n]) {
			return done, fmt.Errorf("replay: % X is sent where the capture has % X", p[done:], c.Bytes)
		}
		done += n
		if c.Bytes = c.Bytes[n:]; len(c.Bytes) == 0 {
			r.sent(i)
		}
	}
	return len(p), nil
}

// nextSent returns the place of the next chunk to be sent, -1 if there is none.
// r.mu is held.
func (r *Replay) nextSent() int {
	for i, c := range r.chunks {
		if c.Direction == Sent {
			return i
		}
	}
	return -1
}

// sent takes the i-th chunk out. What was received before it and was not read
// yet stays and is due at once; what comes after it counts from now. r.mu is held.
func (r *Replay) sent(i int) {
	at := r.chunks[i].At
	r.chunks = append(r.chunks[:i], r.chunks[i+1:]...)
	r.ref, r.refAt = time.Now(), at
}

// Close ends reads that wait.
func (r *Replay) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	r.changed.Broadcast()
	return nil
}

// SetReadDeadline sets until when reads wait, also those that wait already.
func (r *Replay) SetReadDeadline(t time.Time) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.deadline = t
	r.changed.Broadcast()
	return nil
}

// SetWriteDeadline does nothing: a write never waits.
func (*Replay) SetWriteDeadline(time.Time) error { return nil }

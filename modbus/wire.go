package modbus

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"
)

// wire is a connection with what was received on it and not yet used.
type wire struct {
	conn    Conn
	framing Framing
	timing  LineTiming
	busy    time.Time   // until when the connection carried bytes; set ahead it holds the line
	in      []byte      // received
	at      []time.Time // when each byte of in was
	scratch [2 * maxRTU]byte
}

// errSilent is the end of a wait in which no byte came.
var errSilent = errors.New("silent")

// fill waits for bytes until the deadline, for ever if it is zero. It returns
// [errSilent] if none came and the cause if ctx ended.
func (w *wire) fill(ctx context.Context, deadline time.Time) error {
	if err := w.conn.SetReadDeadline(deadline); err != nil {
		return fmt.Errorf("%w: %w", ErrConn, err)
	}
	// Only after the deadline is set: else the interrupt's would be overwritten.
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	n, err := w.conn.Read(w.scratch[:])
	if n > 0 {
		w.received(w.scratch[:n])
		return nil
	}
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return errSilent
	}
	return fmt.Errorf("%w: %w", ErrConn, err)
}

func (w *wire) received(b []byte) {
	now := time.Now()
	w.in = append(w.in, b...)
	w.at = append(w.at, slices.Repeat([]time.Time{now}, len(b))...)
	w.busyUntil(now)
}

func (w *wire) busyUntil(t time.Time) {
	if t.After(w.busy) {
		w.busy = t
	}
}

const (
	// pause is the silence after which a frame that has begun, or a late answer
	// that still trickles in, is taken to have ended. USB adapters hand bytes on
	// every 16 ms only, and a busy system may keep a process waiting for longer.
	pause = 150 * time.Millisecond
	// streamPause is pause where a network may hold bytes back.
	streamPause = 250 * time.Millisecond
)

// pause returns how long what was received may go on after a silence.
func (w *wire) pause() time.Duration {
	p := max(pause, w.timing.Wire(6))
	if w.framing.OverTCP() {
		p = streamPause
	}
	if w.codec().open(w.in) {
		_, gap := w.codec().limits()
		p = max(p, gap)
	}
	return p
}

// take removes the first n bytes received.
func (w *wire) take(n int) {
	w.in = slices.Delete(w.in, 0, n)
	w.at = slices.Delete(w.at, 0, n)
}

// sendSlack is what a write may take beyond twice its time on the line.
const sendSlack = time.Second

// send writes a frame and returns when it began. The write has a deadline of
// its own, so that a port that takes no bytes can't hold the caller for ever.
func (w *wire) send(frame []byte) (began time.Time, err error) {
	began = time.Now()
	needed := w.timing.Wire(len(frame))
	if err := w.conn.SetWriteDeadline(began.Add(2*needed + sendSlack)); err != nil {
		return began, fmt.Errorf("%w: %w", ErrConn, err)
	}
	if _, err := w.conn.Write(frame); err != nil {
		return began, fmt.Errorf("%w: %w", ErrConn, err)
	}
	w.busyUntil(began.Add(needed))
	return began, nil
}

// interrupt ends the reads of c when ctx ends. The caller must call stop, after
// which no deadline is touched any more.
func interrupt(ctx context.Context, c Conn) (stop func()) {
	done := make(chan struct{})
	cancel := context.AfterFunc(ctx, func() {
		defer close(done)
		_ = c.SetReadDeadline(time.Unix(1, 0)) // a connection that refuses is broken, and its read returns
	})
	return func() {
		if !cancel() {
			<-done
		}
	}
}

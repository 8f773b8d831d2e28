package bus

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"time"

	"skyhaul/modbus"
)

const (
	dialTimeout  = 5 * time.Second
	firstRetry   = time.Second / 2
	longestRetry = 30 * time.Second

	// shortLife is how long a connection must last to count as one: a device that
	// has no connection left accepts another and closes it.
	shortLife = time.Second
)

// Redial keeps a line open until ctx ends: it dials, with growing pauses until
// that succeeds, lets serve use the connection, closes it when serve returns, and
// dials again. A connection that lasted less than a second counts as a failure. It
// calls state with true after each dial that succeeded and with false after each
// failure; how long the line was away is logged in two lines. Dial, state and
// serve are called from the caller's goroutine.
func Redial(ctx context.Context, dial func(context.Context) (modbus.Conn, error), log *slog.Logger,
	state func(connected bool), serve func(context.Context, modbus.Conn),
) {
	var away outage
	for ctx.Err() == nil {
		conn, err := dialInTime(ctx, dial)
		if err == nil {
			state(true)
			lasts := after(shortLife, func() { away.ended(log) })
			serve(ctx, conn)
			conn.Close()
			if lasts() {
				continue
			}
			err = errShortLife
		}
		if ctx.Err() == nil {
			away.failed(log, err)
			state(false)
			pause(ctx, away.pause)
		}
	}
}

// after calls f when d has passed. The function it returns cancels that; it
// reports whether f was called, and has waited for its end.
func after(d time.Duration, f func()) (called func() bool) {
	done := make(chan struct{})
	timer := time.AfterFunc(d, func() {
		defer close(done)
		f()
	})
	return func() bool {
		if timer.Stop() {
			return false
		}
		<-done
		return true
	}
}

var errShortLife = errors.New("the connection was lost at once")

func dialInTime(ctx context.Context, dial func(context.Context) (modbus.Conn, error)) (modbus.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	return dial(ctx)
}

// outage is a row of failures to keep a line open.
type outage struct {
	failures int
	began    time.Time
	pause    time.Duration // before the next attempt
}

func (o *outage) failed(log *slog.Logger, err error) {
	o.failures++
	o.pause = min(2*o.pause, longestRetry)
	if o.failures == 1 {
		o.began, o.pause = time.Now(), firstRetry
		log.Warn("line not connected", "err", err)
	}
}

func (o *outage) ended(log *slog.Logger) {
	if o.failures > 0 {
		log.Info("line connected again", "attempts", o.failures+1, "after", time.Since(o.began).Round(time.Millisecond))
	}
	*o = outage{}
}

// pause returns after about d, or when ctx ends.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(jittered(d)):
	}
}

// jittered returns d give or take a fifth, so that what fails together isn't
// tried together.
func jittered(d time.Duration) time.Duration {
	return d - d/5 + rand.N(2*d/5)
}

package bus

import (
	"context"
	"math/rand/v2"
	"time"

	"skyhaul/modbus"
)

const (
	dialTimeout  = 5 * time.Second
	firstRetry   = time.Second / 2
	longestRetry = 30 * time.Second
)

// connect opens the line, however long that takes; nil when ctx ends.
func (l *Line) connect(ctx context.Context) modbus.Conn {
	pause := firstRetry
	for failures := 0; ; failures++ {
		conn, err := l.dial(ctx)
		switch {
		case ctx.Err() != nil:
			if err == nil {
				conn.Close()
			}
			return nil
		case err == nil:
			l.up(failures)
			return conn
		}
		if failures == 0 {
			l.o.Log.Warn("line not connected", "err", err)
		}
		l.down()
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(jittered(pause)):
		}
		pause = min(2*pause, longestRetry)
	}
}

func (l *Line) dial(ctx context.Context) (modbus.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	return l.o.Dial(ctx)
}

// up notes that the line is open, after as many failures.
func (l *Line) up(failures int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if failures > 0 {
		l.o.Log.Info("line connected again", "attempts", failures+1, "after", now.Sub(l.since).Round(time.Millisecond))
	}
	if !l.connected {
		l.since = now
	}
	l.connected, l.lost = true, false
	l.opened++
	for _, u := range l.units {
		if u.down {
			u.probeSoon(now) // it may have been the line's fault
		}
	}
}

// down notes that the line can't be opened, and refuses what waits for it.
func (l *Line) down() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.lost {
		l.since = time.Now()
	}
	l.connected, l.lost = false, true
	l.refuse(ErrNotConnected, func(*request) bool { return true })
}

// jittered returns d give or take a fifth, so that what fails together isn't
// tried together.
func jittered(d time.Duration) time.Duration {
	return d - d/5 + rand.N(2*d/5)
}

package systemd_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"skyhaul/systemd"
)

// recorder stands in for systemd.
type recorder struct {
	mu   sync.Mutex // guards the rest
	sent []time.Time
	err  error
}

func (r *recorder) notify(lines ...string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err == nil && strings.Join(lines, "\n") == systemd.Alive {
		r.sent = append(r.sent, time.Now())
	}
	return r.err
}

func (r *recorder) keepAlives() []time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.sent)
}

func (r *recorder) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.err = err
}

// within runs f while a watchdog of the parts runs, in a bubble.
func within(t *testing.T, r *recorder, interval time.Duration, parts map[string]time.Duration, f func(w *systemd.Watchdog)) (log string) {
	t.Helper()
	var lines bytes.Buffer
	synctest.Test(t, func(t *testing.T) {
		w := systemd.NewWatchdog(r.notify, interval, parts, slog.New(slog.NewTextHandler(&lines, nil)))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- w.Run(ctx) }()
		f(w)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return lines.String()
}

func tickEvery(w *systemd.Watchdog, part string, every, total time.Duration) {
	for end := time.Now().Add(total); time.Now().Before(end); time.Sleep(every) {
		w.Tick(part)
	}
}

func TestKeepAliveGoesOutTwiceAnIntervalWhileAllPartsTick(t *testing.T) {
	var r recorder
	log := within(t, &r, time.Minute, map[string]time.Duration{"scan": 10 * time.Second, "uplink": time.Hour}, func(w *systemd.Watchdog) {
		tickEvery(w, "scan", 5*time.Second, 10*time.Minute)
	})
	if n := len(r.keepAlives()); n < 20 || n > 21 {
		t.Errorf("%d keep-alives in 10 min, want 20 or 21", n)
	}
	if log != "" {
		t.Errorf("log: %s", log)
	}
}

func TestOneHangingPartStopsTheKeepAliveAndIsNamedOnce(t *testing.T) {
	var r recorder
	hung := 0
	log := within(t, &r, time.Minute, map[string]time.Duration{"scan": 10 * time.Second, "store": 40 * time.Second}, func(w *systemd.Watchdog) {
		begin := time.Now()
		go tickEvery(w, "scan", time.Second, 10*time.Minute)
		time.Sleep(9*time.Minute + 30*time.Second)
		sent := r.keepAlives()
		hung = len(sent)
		if last := sent[hung-1].Sub(begin); last > 40*time.Second {
			t.Errorf("a keep-alive after %v, the store hung from the start", last)
		}
		w.Tick("store")
		time.Sleep(30*time.Second + time.Millisecond)
	})
	if len(r.keepAlives()) <= hung {
		t.Error("no keep-alive after the store came back")
	}
	if n := strings.Count(log, "no progress"); n != 1 || !strings.Contains(log, "part=store") {
		t.Errorf("%d lines of the hanging part: %s", n, log)
	}
	if n := strings.Count(log, "progress again"); n != 1 {
		t.Errorf("%d lines of its end: %s", n, log)
	}
}

func TestWithoutAWatchdogALatePartIsStillNamed(t *testing.T) {
	var r recorder
	log := within(t, &r, 0, map[string]time.Duration{"scan": 10 * time.Second}, func(*systemd.Watchdog) {
		time.Sleep(5 * time.Minute)
	})
	if n := strings.Count(log, "no progress"); n != 1 {
		t.Errorf("%d lines: %s", n, log)
	}
}

func TestLostNotifySocketIsOneLineAndItsReturnAnother(t *testing.T) {
	var r recorder
	r.fail(errors.New("no such socket"))
	log := within(t, &r, time.Minute, map[string]time.Duration{"scan": time.Hour}, func(*systemd.Watchdog) {
		time.Sleep(5*time.Minute + time.Second)
		r.fail(nil)
		time.Sleep(time.Minute)
	})
	if strings.Count(log, "not sent") != 1 || strings.Count(log, "sent again") != 1 || !strings.Contains(log, "failed=11") {
		t.Error(log)
	}
}

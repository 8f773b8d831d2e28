package edge

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"skyhaul/bufferstore"
	"skyhaul/edge/point"
)

// keeping returns a keeper on a store of its own, which syncs each hour.
func keeping(t *testing.T, log *bytes.Buffer) *keeper {
	t.Helper()
	store, err := bufferstore.Open(t.TempDir(), bufferstore.Options{Lanes: []bufferstore.LaneOptions{{Name: "alarm"}, {Name: "history"}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	return &keeper{
		lanes: map[point.Lane]*bufferstore.Lane{point.Alarm: store.Lane("alarm"), point.History: store.Lane("history")},
		sync:  store.Sync, interval: time.Hour, durable: func() {}, tick: func() {},
		log: slog.New(slog.NewTextHandler(log, nil)), urgent: make(chan struct{}, 1),
	}
}

func TestAlarmIsDurableAtOnce(t *testing.T) {
	k := keeping(t, new(bytes.Buffer))
	told := make(chan struct{})
	k.durable = func() { close(told) }
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- k.Run(ctx) }()
	k.Put(point.History, []byte("reading"))
	k.Put(point.Alarm, []byte("alarm"))
	<-told // long before the hour is over
	if n := k.lanes[point.Alarm].Durable(); n != 1 {
		t.Errorf("the alarm lane is durable to %d, want 1", n)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestStoppingMakesTheLastReadingDurable(t *testing.T) {
	k := keeping(t, new(bytes.Buffer))
	ctx, cancel := context.WithCancel(t.Context())
	k.Put(point.History, []byte("last"))
	cancel()
	if err := k.Run(ctx); err != nil {
		t.Fatal(err)
	}
	if n := k.lanes[point.History].Durable(); n != 1 {
		t.Errorf("durable to %d, want 1", n)
	}
}

func TestStoreThatCanNotWriteIsTwoLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		syncs := 0
		k := &keeper{
			sync: func(context.Context) error {
				if syncs++; syncs >= 2 && syncs <= 4 {
					return errors.New("no space left on device")
				}
				return nil
			},
			interval: time.Second, durable: func() {}, tick: func() {}, log: slog.New(slog.NewTextHandler(&log, nil)),
		}
		ctx, cancel := context.WithTimeout(t.Context(), 6500*time.Millisecond)
		defer cancel()
		if err := k.Run(ctx); err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSpace(log.String()), "\n")
		if len(lines) != 2 || !strings.Contains(lines[0], "no space left") || !strings.Contains(lines[1], "count=3") {
			t.Errorf("got %q", lines)
		}
		if k.fault.get() != nil {
			t.Error("the fault is still told")
		}
	})
}

func TestLastSyncGetsItsTimeAndIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		k := &keeper{
			sync:     func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() },
			interval: time.Second, durable: func() {}, tick: func() {}, log: slog.New(slog.NewTextHandler(&log, nil)),
		}
		ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
		defer cancel()
		start := time.Now()
		k.Run(ctx)
		if took := time.Since(start); took != 1500*time.Millisecond+lastSync {
			t.Errorf("the last sync was given %v", took-1500*time.Millisecond)
		}
		if n := strings.Count(log.String(), "\n"); n != 1 || !strings.Contains(log.String(), "the last readings are not in the buffer") {
			t.Errorf("want one line, of the last sync and not of the one that the stop cut short, got:\n%s", &log)
		}
	})
}

package clock

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"skyhaul/edge/point"
	"skyhaul/edge/stable"
)

func folder(t *testing.T) *stable.Dir {
	t.Helper()
	dir, err := stable.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func openClock(t *testing.T, dir *stable.Dir, bootID string) *Clock {
	t.Helper()
	c, err := Open(dir, bootID, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// fakeKernel is a kernel whose wall clock can be set, in a bubble.
type fakeKernel struct {
	booted   time.Time
	wrong    atomic.Int64 // nanoseconds
	unsynced atomic.Bool
}

func (k *fakeKernel) read() reading {
	up := time.Since(k.booted)
	return reading{
		boottime: up,
		wall:     noon.Add(up + time.Duration(k.wrong.Load())),
		synced:   !k.unsynced.Load(), maxError: time.Millisecond,
	}
}

func newFakeClock(dir *stable.Dir) (*Clock, *fakeKernel) {
	k := &fakeKernel{booted: time.Now()}
	c := &Clock{dir: dir, log: slog.New(slog.DiscardHandler), boot: 7, read: k.read, state: state{floor: earliest}}
	c.look()
	return c, k
}

func TestStepIsReportedOnceWithTheFirstStampAfterIt(t *testing.T) {
	dir := folder(t)
	synctest.Test(t, func(t *testing.T) {
		c, k := newFakeClock(dir)
		var got []Step
		c.OnStep = func(s Step) { got = append(got, s) }
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- c.Run(ctx) }()

		time.Sleep(61 * time.Second)
		k.wrong.Store(int64(-time.Hour))
		time.Sleep(time.Second)
		stamp := c.Now() // a scan sees it before Run does
		k.wrong.Store(int64(time.Hour))
		time.Sleep(time.Minute)
		cancel()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if len(got) != 2 || c.Steps() != 2 {
			t.Fatalf("got %d steps, counted %d, want 2", len(got), c.Steps())
		}
		if diff := cmp.Diff(Step{After: stamp, By: -time.Hour}, got[0]); diff != "" {
			t.Error(diff)
		}
		if got[1].By != 2*time.Hour || got[1].After.Boottime != 70*time.Second {
			t.Errorf("second step %+v", got[1])
		}
	})
}

func TestOnlySteadySyncedTimeBecomesTheNextFloor(t *testing.T) {
	dir := folder(t)
	synctest.Test(t, func(t *testing.T) {
		c, k := newFakeClock(dir)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- c.Run(ctx) }()
		defer func() { cancel(); <-done }()

		wantFloor := func(want time.Time) {
			t.Helper()
			synctest.Wait()
			if got := loadSynced(dir); !got.Equal(want) {
				t.Fatalf("kept %v, want %v", got, want)
			}
		}
		time.Sleep(9 * time.Minute)
		wantFloor(time.Time{})
		time.Sleep(time.Minute)
		wantFloor(noon.Add(10 * time.Minute))
		time.Sleep(5 * time.Minute)
		k.wrong.Store(int64(15 * year)) // a broken time server, believed by the kernel
		time.Sleep(5 * time.Minute)
		wantFloor(noon.Add(10 * time.Minute))
		k.wrong.Store(0)
		k.unsynced.Store(true)
		time.Sleep(time.Hour)
		wantFloor(noon.Add(10 * time.Minute))
		k.unsynced.Store(false)
		time.Sleep(10 * time.Minute)
		wantFloor(noon.Add(90 * time.Minute))
	})
	if got := trustedFloor(dir); !got.Equal(noon.Add(90 * time.Minute)) {
		t.Errorf("floor %v", got)
	}
}

func TestUnkeptSyncedTimeIsLoggedWhenItStartsAndWhenItEnds(t *testing.T) {
	path := t.TempDir()
	dir, err := stable.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		c, _ := newFakeClock(dir)
		var lines lineCounter
		c.log = slog.New(&lines)
		time.Sleep(keepEvery)
		blocker := filepath.Join(path, "clock.synced.1~")
		if err := os.MkdirAll(filepath.Join(blocker, "x"), 0o700); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			c.keep()
		}
		if lines.n != 1 {
			t.Errorf("%d lines for a lasting fault, want 1", lines.n)
		}
		if err := os.RemoveAll(blocker); err != nil {
			t.Fatal(err)
		}
		c.keep()
		c.keep()
		if lines.n != 2 {
			t.Errorf("%d lines after its end, want 2", lines.n)
		}
	})
}

type lineCounter struct {
	slog.Handler
	n int
}

func (l *lineCounter) Enabled(context.Context, slog.Level) bool  { return true }
func (l *lineCounter) Handle(context.Context, slog.Record) error { l.n++; return nil }

func TestRealClocksRiseAndCarryTheBoot(t *testing.T) {
	c := openClock(t, folder(t), "")
	a := c.Now()
	b := c.Now()
	if a.Boot != 1 || b.Boottime < a.Boottime || a.Boottime <= 0 {
		t.Fatalf("%+v, then %+v", a, b)
	}
	if off := time.Since(b.Time()).Abs(); off > time.Second {
		t.Errorf("wall time off by %v", off)
	}
	if b.Quality > point.UnknownTime {
		t.Errorf("quality %v", b.Quality)
	}
}

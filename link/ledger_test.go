package link_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"maps"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"skyhaul/edge/point"
	"skyhaul/link"
	"skyhaul/link/tariff"

	"github.com/google/go-cmp/cmp"
)

// memory keeps values as a disk does that fails when it is told to.
type memory struct {
	values map[string][]byte
	saves  int
	fails  error
}

func (m *memory) Load(name string) ([]byte, error) {
	if p, ok := m.values[name]; ok {
		return p, nil
	}
	return nil, fs.ErrNotExist
}

func (m *memory) Save(name string, value []byte) error {
	if m.fails != nil {
		return m.fails
	}
	if m.values == nil {
		m.values = make(map[string][]byte)
	}
	m.values[name] = bytes.Clone(value)
	m.saves++
	return nil
}

// now is the stamp of a bubble's clock.
func now() point.Stamp {
	t := time.Now()
	return point.Stamp{Boot: 1, Boottime: t.Sub(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)), Wall: t.UnixMilli()}
}

func openLedger(t *testing.T, keep link.Keeper, plan tariff.Plan, now func() point.Stamp) *link.Ledger {
	t.Helper()
	l, err := link.OpenLedger(keep, "ledger", plan, now)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// connect opens a counted connection; what it sends is read and dropped, and
// the far end is for sending.
func connect(t *testing.T, l *link.Ledger) (near, far net.Conn) {
	t.Helper()
	a, far := net.Pipe()
	near, err := l.Dial(func(context.Context) (net.Conn, error) { return a, nil })(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	go io.Copy(io.Discard, far)
	return near, far
}

func send(t *testing.T, c net.Conn, n int) {
	t.Helper()
	if _, err := c.Write(make([]byte, n)); err != nil {
		t.Fatal(err)
	}
}

func TestSegmentsAndHandshakeAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := openLedger(t, &memory{}, tariff.Plan{PerMB: 1e6}, now)
		near, far := connect(t, l)
		send(t, near, 1)    // 1 segment, 1 back
		send(t, near, 1348) // 1 segment, 1 back
		send(t, near, 1349) // 2 segments, 1 back
		go far.Write(make([]byte, 3*1348))
		if _, err := io.ReadFull(near, make([]byte, 3*1348)); err != nil { // 3 segments, 2 back
			t.Fatal(err)
		}
		near.Close()
		near.Close() // counts once
		far.Close()
		const ip = 52
		up := int64(60+ip) + 1 + 1348 + 1349 + 4*ip + 2*ip + 2*ip
		down := int64(60) + 3*1348 + 3*ip + 3*ip + ip
		want := link.Sums{Sessions: 1, Up: up, Down: down, Billed: up + down, Money: float64(up + down)}
		got := l.Totals()
		for name, s := range map[string]link.Sums{"today": got.Today, "period": got.Period, "session": got.Session} {
			if diff := cmp.Diff(want, s); diff != "" {
				t.Errorf("%s: %s", name, diff)
			}
		}
	})
}

func TestDialThatFailsCostsItsSYNs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := openLedger(t, &memory{}, tariff.Plan{SessionMin: 5000}, now)
		dark := errors.New("no route")
		for took, syns := range map[time.Duration]int64{0: 1, 1500 * time.Millisecond: 2, 8 * time.Second: 4} {
			before := l.Totals().Today
			_, err := l.Dial(func(context.Context) (net.Conn, error) {
				time.Sleep(took)
				return nil, dark
			})(t.Context())
			if err != dark {
				t.Errorf("got %v, want %v", err, dark)
			}
			if got := l.Totals().Today.Billed - before.Billed; got != 60*syns {
				t.Errorf("a dial of %v cost %d bytes, want %d", took, got, 60*syns)
			}
		}
	})
}

// TestCrashNeverUnderCounts cuts the power after each write of a session.
func TestCrashNeverUnderCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		plan := tariff.Plan{SessionMin: 5000, Increment: 1000, FloorAfter: 300 * time.Second, FloorRate: 300}
		disk := &memory{}
		l := openLedger(t, disk, plan, now)
		near, far := connect(t, l)
		defer far.Close()
		for range 100 {
			send(t, near, 7000)
			time.Sleep(30 * time.Second)
			true := l.Totals().Period
			twin := openLedger(t, &memory{values: maps.Clone(disk.values)}, plan, now)
			got := twin.Totals().Period
			if got.Up < true.Up || got.Down < true.Down || got.Billed < true.Billed || got.Sessions < true.Sessions {
				t.Fatalf("after a crash %+v are counted, %+v were used", got, true)
			}
			if got.Up > true.Up+128<<10 || got.Billed > true.Billed+256<<10 {
				t.Fatalf("after a crash %+v are counted, far more than the %+v used", got, true)
			}
		}
		near.Close()
		want := l.Totals()
		if disk.saves > 120 {
			t.Errorf("%d saves for 100 writes", disk.saves)
		}
		twin := openLedger(t, disk, plan, now)
		if diff := cmp.Diff(want.Period, twin.Totals().Period); diff != "" {
			t.Errorf("after a clean close: %s", diff)
		}
	})
}

func TestDayAndPeriodEndByTheWallClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // begins 2000-01-01 00:00 UTC
		quality := point.Synced
		var step time.Duration
		clock := func() point.Stamp {
			s := now()
			s.Quality = quality
			s.Wall += step.Milliseconds()
			return s
		}
		l := openLedger(t, &memory{}, tariff.Plan{ResetDay: 15}, clock)
		near, far := connect(t, l)
		defer near.Close()
		defer far.Close()
		for _, tt := range []struct {
			name          string
			wait, step    time.Duration
			quality       point.TimeQuality
			today, period bool // begins anew
		}{
			{"an hour later", time.Hour, 0, point.Synced, false, false},
			{"next day", 24 * time.Hour, 0, point.Holdover, true, false},
			{"clock unknown", 0, 400 * 24 * time.Hour, point.UnknownTime, false, false},
			{"clock back, not synced", 0, -365 * 24 * time.Hour, point.RTCOnly, false, false},
			{"clock right again", 0, 0, point.Synced, false, false},
			{"new period", 14 * 24 * time.Hour, 0, point.RTCOnly, true, true},
			{"clock a year ahead", 0, 366 * 24 * time.Hour, point.RTCOnly, true, true},
			{"clock set right", 0, 0, point.Synced, false, false},
			{"the day after", 24 * time.Hour, 0, point.Synced, true, false},
		} {
			before := l.Totals()
			time.Sleep(tt.wait)
			step, quality = tt.step, tt.quality
			send(t, near, 1)
			got := l.Totals()
			if anew := got.Today.Up == 53; anew != tt.today {
				t.Errorf("%s: %d bytes today after %d before", tt.name, got.Today.Up, before.Today.Up)
			}
			if anew := got.Period.Up == 53; anew != tt.period {
				t.Errorf("%s: %d bytes in the period after %d before", tt.name, got.Period.Up, before.Period.Up)
			}
		}
		if got, want := l.Totals().PeriodEnd, time.Date(2000, 2, 15, 0, 0, 0, 0, time.UTC); !got.Equal(want) {
			t.Errorf("period ends %v, want %v", got, want)
		}
	})
}

func TestDiskThatFailsIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := &memory{fails: errors.New("read-only file system")}
		l := openLedger(t, disk, tariff.Plan{}, now)
		near, far := connect(t, l)
		defer far.Close()
		if err := l.Err(); err != disk.fails {
			t.Errorf("got %v, want %v", err, disk.fails)
		}
		disk.fails = nil
		near.Close()
		if err := l.Err(); err != nil {
			t.Errorf("got %v after a save that went well", err)
		}
	})
}

func TestLedgerThatCantBeReadIsAnError(t *testing.T) {
	disk := &memory{values: map[string][]byte{"ledger": []byte("{")}}
	if _, err := link.OpenLedger(disk, "ledger", tariff.Plan{}, now); err == nil {
		t.Error("half a ledger was taken for one")
	}
}

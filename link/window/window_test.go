package window_test

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"skyhaul/link/window"

	"github.com/google/go-cmp/cmp"
)

func at(s string) time.Time {
	t, err := time.Parse(time.DateTime, s)
	if err != nil {
		panic(err)
	}
	return t
}

func every(t *testing.T, every, open, offset time.Duration) window.Window {
	t.Helper()
	w, err := window.NewEvery(every, open, offset)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func cron(t *testing.T, expr string, open time.Duration) window.Window {
	t.Helper()
	w, err := window.NewCron(expr, open)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func TestEveryIsAlignedToTheEpoch(t *testing.T) {
	w := every(t, 6*time.Hour, 10*time.Minute, time.Hour)
	got := window.Next(w, at("2026-11-22 07:05:00"), 3)
	want := []window.Span{
		{Start: at("2026-11-22 07:05:00"), End: at("2026-11-22 07:10:00")},
		{Start: at("2026-11-22 13:00:00"), End: at("2026-11-22 13:10:00")},
		{Start: at("2026-11-22 19:00:00"), End: at("2026-11-22 19:10:00")},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestCronOpensInUTC(t *testing.T) {
	w := cron(t, "30 2,14 * * *", 20*time.Minute)
	local := time.FixedZone("UTC+5", 5*3600)
	got := window.Next(w, at("2026-11-22 02:50:00").In(local), 2)
	want := []window.Span{
		{Start: at("2026-11-22 14:30:00"), End: at("2026-11-22 14:50:00")},
		{Start: at("2026-11-23 02:30:00"), End: at("2026-11-23 02:50:00")},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for _, s := range got {
		if s.Start.Location() != time.UTC || s.End.Location() != time.UTC {
			t.Errorf("span %v is not in UTC", s)
		}
	}
}

func TestOpeningsThatTouchAreOne(t *testing.T) {
	w := cron(t, "0,30 8-9 * * *", 30*time.Minute)
	got := window.Next(w, at("2026-11-22 00:00:00"), 1)
	want := []window.Span{{Start: at("2026-11-22 08:00:00"), End: at("2026-11-22 10:00:00")}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestNoEndInSight(t *testing.T) {
	for name, w := range map[string]window.Window{
		"always":            window.Always{},
		"minutes that join": cron(t, "* * * * *", time.Minute),
	} {
		now := at("2026-11-22 12:00:30")
		if diff := cmp.Diff([]window.Span{{Start: now}}, window.Next(w, now, 5)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// TestSpansAgreeWithAt takes windows and moments at random: spans rise and are
// apart, and At says open inside and closed outside them.
func TestSpansAgreeWithAt(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	windows := []window.Window{
		cron(t, "*/7 * * * *", 3*time.Minute),
		cron(t, "*/5 3,4 * * *", 5*time.Minute),
		cron(t, "10 4 1,15 * 1", 26*time.Hour),
		cron(t, "0 0 29 2 *", 90*time.Minute),
		cron(t, "59 23 31 12 *", 2*time.Hour),
		cron(t, "* * * * *", 300*time.Millisecond),
	}
	for range 20 {
		e := time.Duration(2 + r.Int64N(int64(30*time.Hour)))
		windows = append(windows, every(t, e, 1+time.Duration(r.Int64N(int64(e-1))), time.Duration(r.Int64N(int64(e)))))
	}
	for _, w := range windows {
		for range 50 {
			now := time.Unix(r.Int64N(4e9)-1e8, r.Int64N(1e9)).UTC()
			last := now
			for i, s := range window.Next(w, now, 4) {
				if s.Start.Before(last) || (i > 0 && !s.Start.After(last)) || !s.End.After(s.Start) {
					t.Fatalf("%+v from %v: span %d %v after %v", w, now, i, s, last)
				}
				if s.Start.After(last) {
					mid := last.Add(time.Duration(r.Int64N(int64(s.Start.Sub(last)))))
					want := window.State{Until: s.Start}
					if diff := cmp.Diff(want, w.At(mid)); diff != "" {
						t.Fatalf("%+v at %v, before %v: %s", w, mid, s, diff)
					}
				}
				mid := s.Start.Add(time.Duration(r.Int64N(int64(s.End.Sub(s.Start)))))
				want := window.State{Open: true, Until: s.End}
				if diff := cmp.Diff(want, w.At(mid)); diff != "" {
					t.Fatalf("%+v at %v, in %v: %s", w, mid, s, diff)
				}
				last = s.End
			}
		}
	}
}

func TestErrorsNameTheValue(t *testing.T) {
	_, zero := window.NewEvery(0, time.Second, 0)
	_, shut := window.NewEvery(time.Hour, -time.Second, 0)
	_, never := window.NewEvery(time.Minute, 2*time.Minute, 0)
	_, offset := window.NewEvery(time.Minute, time.Second, time.Hour)
	_, fields := window.NewCron("0 2 * *", time.Minute)
	_, zone := window.NewCron("TZ=Europe/Oslo 0 2 * * *", time.Minute)
	_, day := window.NewCron("0 2 30 2 *", time.Minute)
	_, open := window.NewCron("0 2 * * *", 0)
	_, month := window.NewCron("0 2 * * *", 800*time.Hour)
	for want, err := range map[string]error{
		"every = 0s":                 zero,
		"open = -1s":                 shut,
		"open = 2m0s":                never,
		"offset = 1h0m0s":            offset,
		`cron = "0 2 * *"`:           fields,
		`cron = "TZ=Europe/Oslo 0 2`: zone,
		`cron = "0 2 30 2 *"`:        day,
		"open = 0s":                  open,
		"open = 800h0m0s":            month,
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v doesn't name %s", err, want)
		}
	}
}

func FuzzNewCron(f *testing.F) {
	for _, s := range []string{"0 2 * * *", "*/5 8-17 * * mon-fri", "@daily", "TZ=", "CRON_TZ=UTC 1 1 1 1 1", "1-0 * * * *"} {
		f.Add(s, int64(time.Minute))
	}
	f.Fuzz(func(t *testing.T, expr string, open int64) {
		w, err := window.NewCron(expr, time.Duration(open))
		if err != nil {
			return
		}
		now := at("2026-11-22 12:00:00")
		for _, s := range window.Next(w, now, 2) {
			if s.Start.Before(now) || !s.End.IsZero() && !s.End.After(s.Start) {
				t.Errorf("span %v from %v", s, now)
			}
		}
	})
}

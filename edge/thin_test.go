package edge

import (
	"bytes"
	"context"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"skyhaul/bufferstore"
	"skyhaul/edge/point"
)

func TestCrowdedLaneGivesWayToMinutes(t *testing.T) {
	s := newSite(t)
	fast, slow := s.group("fast"), s.group("slow")
	for n := range 600 {
		s.pass(fast, 1, time.Duration(n)*time.Second, n)
		if n%10 == 3 {
			s.pass(slow, 1, time.Duration(n)*time.Second, n)
		}
	}
	s.mustSync()
	s.history.upTo = 200 // 66 to a minute: the drop goes on to the end of the fourth
	s.step(t.Context())
	s.mustSync()
	if diff := cmp.Diff(map[bufferstore.Reason]bufferstore.Seq{bufferstore.Thinned: 264}, lost(t, s.history)); diff != "" {
		t.Error(diff)
	}
	rows := s.rows()
	if len(rows) != 8 {
		t.Fatalf("%d summaries, want 8: %+v", len(rows), rows)
	}
	second := row{"fast", time.Minute, 1, time.Minute, nil, nil}
	second.Values = []uint64{51, 60, 0x42b2b4b4, 118, 60, 0x42000000 + 60, 0x4200005a, 0x42000000 + 119, 60, 0, 0x3f000000, 1}
	second.Quality = make([]point.Quality, 12)
	got := rows[2]
	got.Values[2] = second.Values[2] // the mean without the multiples of 7 is tested in package point
	got.Values[6] = second.Values[6]
	if diff := cmp.Diff(second, got); diff != "" {
		t.Error(diff)
	}
	if err := s.short.get(); err == nil {
		t.Error("nobody is told that space is short")
	}
	if err := s.failed.get(); err != nil {
		t.Error(err)
	}
}

func TestCrowdedTrendGivesWayToHours(t *testing.T) {
	s := newSite(t)
	g := s.group("g")
	for n := range 4 * 3600 / 5 {
		s.pass(g, 1, time.Duration(n)*5*time.Second, n)
	}
	s.mustSync()
	s.history.upTo = s.history.Durable() // the last minute isn't over and stays
	s.step(t.Context())
	s.mustSync()
	minutes := s.rows()
	if len(minutes) != 239 {
		t.Fatalf("%d summaries, want 239", len(minutes))
	}
	s.history.upTo, s.trend.upTo = 0, 100 // in the second hour
	s.step(t.Context())
	s.mustSync()
	rows := s.rows()
	if want := 239 - 120 + 2; len(rows) != want {
		t.Fatalf("%d summaries, want %d", len(rows), want)
	}
	for h, r := range rows[len(rows)-2:] {
		var good uint64
		for _, m := range minutes[60*h : 60*h+60] {
			good += m.Values[0]
		}
		if r.Interval != time.Hour || r.At != time.Duration(h)*time.Hour || r.Values[0] != good || r.Values[4] != 720 {
			t.Errorf("hour %d: %+v, want %d good readings", h, r, good)
		}
	}
	if diff := cmp.Diff(map[bufferstore.Reason]bufferstore.Seq{bufferstore.Thinned: 120}, lost(t, s.trend)); diff != "" {
		t.Error(diff)
	}
}

func TestGreatestLaneGivesWayFirst(t *testing.T) {
	s := newSite(t)
	g := s.group("g")
	for n := range 2 * 3600 {
		s.pass(g, 1, time.Duration(n)*time.Second, n)
	}
	s.mustSync()
	s.history.upTo = 5000
	s.step(t.Context())
	s.history.upTo, s.trend.upTo = 6000, 50
	s.step(t.Context())
	s.mustSync()
	if n := lost(t, s.trend); len(n) > 0 {
		t.Errorf("lane trend was thinned while lane history was greater: %v", n)
	}
	s.history.upTo = 6500
	for _, l := range s.lanes {
		if l.thinLane == s.trend {
			l.bytes = func() int64 { return 1 << 40 }
		}
	}
	s.step(t.Context())
	s.mustSync()
	if n := lost(t, s.trend); n[bufferstore.Thinned] != 60 {
		t.Errorf("given up of lane trend: %v, want the 60 minutes of the first hour", n)
	}
}

func TestWhatTheHubHasIsNotSummedUp(t *testing.T) {
	s := newSite(t)
	g := s.group("g")
	for n := range 600 {
		s.pass(g, 1, time.Duration(n)*time.Second, n)
	}
	s.mustSync()
	s.lanes[0].acked = func() bufferstore.Seq { return 200 }
	s.history.upTo, s.trend.upTo = 200, 1
	s.step(t.Context())
	if n := s.trend.Durable(); n != 0 || s.short.get() != nil {
		t.Errorf("%d summaries while the store has delivered records to give up; %v", n, s.short.get())
	}
	s.trend.upTo = 0
	s.history.upTo = 300
	s.step(t.Context())
	if rows := s.rows(); len(rows) != 2 || rows[0].At != 200*time.Second || rows[0].Values[4] != 40 {
		t.Errorf("got %+v, want the last 40 s of a minute and the next one", rows)
	}
}

func TestSlowGroupGivesWayToHoursAtOnce(t *testing.T) {
	s := newSite(t)
	g := s.group("slow")
	for n := range 600 {
		s.pass(g, 1, time.Duration(n)*time.Minute, n)
	}
	s.mustSync()
	s.history.upTo = 500
	s.step(t.Context())
	if rows := s.rows(); len(rows) != 9 || rows[0].Interval != time.Hour {
		t.Errorf("%d summaries: %+v", len(rows), rows[:min(1, len(rows))])
	}
}

func TestWhatSavesTooLittleStays(t *testing.T) {
	s := newSite(t)
	g := s.group("rare")
	for n := range 600 {
		s.pass(g, 1, time.Duration(n)*time.Hour, n)
	}
	s.mustSync()
	s.history.upTo = 500
	s.step(t.Context())
	if n := s.trend.Durable(); n != 0 || s.lanes[0].from != 1 || s.failed.get() != nil {
		t.Errorf("%d summaries, thinned up to %d, %v", n, s.lanes[0].from-1, s.failed.get())
	}
}

func TestWhatIsNoReadingGoesToTrendAsItIs(t *testing.T) {
	s := newSite(t)
	g := s.group("g")
	note := (&point.Note{Stamp: point.Stamp{Boot: 1}, Topic: "audit", Text: "x"}).Append(nil)
	strange := append([]byte{byte(point.KindScan)}, "a schema that nobody knows"...)
	for n := range 300 {
		s.pass(g, 1, time.Duration(n)*time.Second, n)
		switch n {
		case 10:
			s.history.Append(note)
		case 20:
			s.history.Append(strange)
		case 290: // in a minute that isn't over
			s.history.Append(note)
		}
	}
	s.mustSync()
	s.history.upTo = s.history.Durable()
	s.step(t.Context())
	var got [][]byte
	for rec, err := range s.trend.Records(1) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, bytes.Clone(rec.Data))
	}
	if len(got) != 6 || !bytes.Equal(got[0], note) || !bytes.Equal(got[1], strange) {
		t.Errorf("%d records in lane trend: %q", len(got), got)
	}
}

// TestFullStoreKeepsEveryReadingInSomeForm fills a store and goes on. What
// left lane history is in the counts of lane trend, to the reading.
func TestFullStoreKeepsEveryReadingInSomeForm(t *testing.T) {
	const passes = 40_000
	s := newSite(t)
	s.store.Close()
	s.quota = 1 << 20
	s.open()
	s.lanes[0].thinLane, s.lanes[0].acked = s.history.Lane, s.history.Cursor("hub").Acked
	s.lanes[1].thinLane, s.lanes[1].acked = s.trend.Lane, s.trend.Cursor("hub").Acked
	ctx, cancel := context.WithCancel(t.Context())
	stopped := make(chan error)
	go func() { stopped <- s.store.Run(ctx) }()
	g := s.group("g")
	r := rand.New(rand.NewPCG(1, 1))
	sc := point.Scan{Schema: g.ID(), Values: make([]uint64, 3), Quality: make([]point.Quality, 3)}
	for n := range passes {
		sc.Values[0], sc.Values[1] = uint64(r.Uint32N(1<<16)), 0x40000000+uint64(r.Uint32N(1<<22))
		sc.Stamp = point.Stamp{Boot: 1, Boottime: time.Duration(n) * time.Second}
		s.history.Append(sc.Append(nil, g))
		if n%600 == 599 {
			s.mustSync()
			s.step(ctx)
			s.mustSync()
		}
	}
	cancel()
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	gone := lost(t, s.history)
	var good uint64
	for _, row := range s.rows() {
		good += row.Values[0]
	}
	if n := gone[bufferstore.Thinned]; len(gone) != 1 || uint64(n) != good || n < 1000 {
		t.Errorf("of %d readings of a point %v left lane history and %d are in lane trend", passes, gone, good)
	}
	if err := s.failed.get(); err != nil {
		t.Error(err)
	}
}

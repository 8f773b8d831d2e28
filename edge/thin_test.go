package edge

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"skyhaul/bufferstore"
	"skyhaul/edge/point"
	"skyhaul/edge/stable"
	"skyhaul/link/batch"
)

// crowdedLane is a lane of a real store that is asked to give its oldest up.
type crowdedLane struct {
	*bufferstore.Lane
	upTo bufferstore.Seq
}

func (l *crowdedLane) Crowded() bufferstore.Seq { return l.upTo }

// none is acked.
func none() bufferstore.Seq { return 0 }

func little() int64 { return 1 }

// site is a store, the schemas of its records, and a thinner on both.
type site struct {
	t              *testing.T
	dir            string
	quota          int64
	log            bytes.Buffer
	schemas        *Schemas
	store          *bufferstore.Store
	history, trend *crowdedLane
	*thinner
}

func newSite(t *testing.T) *site {
	s := &site{t: t, dir: t.TempDir(), quota: 64 << 20}
	s.open()
	t.Cleanup(func() { s.store.Close() })
	return s
}

// open opens the site, again after a crash.
func (s *site) open() {
	s.t.Helper()
	log := slog.New(slog.NewTextHandler(&s.log, nil))
	state, err := stable.Open(s.dir + "/state")
	if err != nil {
		s.t.Fatal(err)
	}
	if s.schemas, err = OpenSchemas(state, log); err != nil {
		s.t.Fatal(err)
	}
	s.store, err = bufferstore.Open(s.dir+"/buffer", bufferstore.Options{
		Lanes: []bufferstore.LaneOptions{{Name: "trend", Policy: bufferstore.Thin}, {Name: "history", Policy: bufferstore.Thin}},
		Codec: batch.NewChunkCodec(s.schemas.Lookup), HeadBytes: 64 << 10, Quota: s.quota,
	})
	if err != nil {
		s.t.Fatal(err)
	}
	s.history, s.trend = &crowdedLane{Lane: s.store.Lane("history")}, &crowdedLane{Lane: s.store.Lane("trend")}
	s.thinner = &thinner{
		lanes: []*crowd{
			{thinLane: s.history, acked: none, bytes: bytesOf(s.store, point.History)},
			{thinLane: s.trend, acked: none, bytes: bytesOf(s.store, point.Trend)},
		},
		trend: s.trend,
		find:  s.schemas.Lookup, keep: s.schemas.keep, sync: s.store.Sync, log: log,
	}
}

// crash opens the site as it was durable.
func (s *site) crash() {
	s.t.Helper()
	s.store.Close()
	s.open()
}

func (s *site) mustSync() {
	s.t.Helper()
	if err := s.store.Sync(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
}

// group is a scan group of three points.
func (s *site) group(name string) *point.Schema {
	g := &point.Schema{Group: name, Columns: []point.Column{
		{ID: 1, Tag: name + "-1", Type: point.Uint16, Scale: point.NoScale},
		{ID: 2, Tag: name + "-2", Type: point.Float32, Scale: point.NoScale},
		{ID: 3, Tag: name + "-3", Type: point.Bool, Scale: point.NoScale},
	}}
	if err := s.schemas.keep(g); err != nil {
		s.t.Fatal(err)
	}
	return g
}

// pass appends a scan whose values follow from n.
func (s *site) pass(g *point.Schema, boot uint32, at time.Duration, n int) {
	sc := point.Scan{
		Schema: g.ID(), Stamp: point.Stamp{Boot: boot, Boottime: at, Wall: 1_700_000_000_000 + at.Milliseconds()},
		Values: []uint64{uint64(n) & 0xffff, 0x42000000 + uint64(n)&0xfffff, uint64(n) & 1}, Quality: make([]point.Quality, 3),
	}
	if n%7 == 0 {
		sc.Quality[0] = point.MakeQuality(point.Bad, point.SensorFailure)
	}
	s.history.Append(sc.Append(nil, g))
}

// row is a summary as the centre sees it.
type row struct {
	Group    string
	Interval time.Duration
	Boot     uint32
	At       time.Duration
	Values   []uint64
	Quality  []point.Quality
}

// rows reads the summaries of lane trend; those that came twice are in it once.
func (s *site) rows() (all []row) {
	s.t.Helper()
	for rec, err := range s.trend.Records(1) {
		if err != nil {
			s.t.Fatal(err)
		}
		if rec.Lost != bufferstore.Kept {
			continue
		}
		id, _ := point.ScanSchema(rec.Data)
		schema, ok := s.schemas.Lookup(id)
		var sc point.Scan
		if !ok || sc.Decode(rec.Data, schema) != nil {
			s.t.Fatalf("record %d of lane trend can't be read", rec.First)
		}
		r := row{schema.Group, schema.Interval, sc.Stamp.Boot, sc.Stamp.Boottime, sc.Values, sc.Quality}
		again := func(o row) bool {
			return o.Group == r.Group && o.Interval == r.Interval && o.Boot == r.Boot && o.At == r.At
		}
		if i := slices.IndexFunc(all, again); i < 0 {
			all = append(all, r)
		} else if diff := cmp.Diff(all[i], r); diff != "" {
			s.t.Errorf("made twice and not the same: %s", diff)
		}
	}
	return all
}

// lost is what lane l declares lost, by the reason.
func lost(t *testing.T, l *crowdedLane) map[bufferstore.Reason]bufferstore.Seq {
	t.Helper()
	n := map[bufferstore.Reason]bufferstore.Seq{}
	for rec, err := range l.Records(1) {
		if err != nil {
			t.Fatal(err)
		}
		if rec.Lost != bufferstore.Kept {
			n[rec.Lost] += rec.Last - rec.First + 1
		}
	}
	return n
}

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
	s.history.upTo = 200
	s.step(t.Context())
	if n := s.trend.Durable(); n != 0 {
		t.Errorf("%d summaries of what the hub has", n)
	}
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
	const passes = 36_000
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
	if n := gone[bufferstore.Thinned]; len(gone) != 1 || uint64(n) != good || n < passes/3 {
		t.Errorf("of %d readings of a point %v left lane history and %d are in lane trend", passes, gone, good)
	}
	if err := s.failed.get(); err != nil {
		t.Error(err)
	}
}

// events notes in which order a thinner calls.
type events struct {
	list []string
	crowdedLane
}

func (e *events) Drop(upTo bufferstore.Seq, why bufferstore.Reason) {
	e.list = append(e.list, fmt.Sprintf("drop to %d", upTo))
	e.crowdedLane.Drop(upTo, why)
}

type noted struct {
	*crowdedLane
	e *events
}

func (n noted) Append(rec ...[]byte) bufferstore.Seq {
	n.e.list = append(n.e.list, "append")
	return n.crowdedLane.Append(rec...)
}

func TestSummariesAreDurableBeforeTheirReadingsGo(t *testing.T) {
	s := newSite(t)
	g := s.group("g")
	for n := range 300 {
		s.pass(g, 1, time.Duration(n)*time.Second, n)
	}
	s.mustSync()
	e := &events{crowdedLane: crowdedLane{s.history.Lane, 100}}
	s.lanes[0].thinLane, s.thinner.trend = e, noted{s.trend, e}
	s.keep = func(sc *point.Schema) error {
		e.list = append(e.list, "keep schema")
		return s.schemas.keep(sc)
	}
	s.sync = func(ctx context.Context) error {
		e.list = append(e.list, "sync")
		return s.store.Sync(ctx)
	}
	s.step(t.Context())
	if diff := cmp.Diff([]string{"keep schema", "append", "sync", "drop to 120"}, e.list); diff != "" {
		t.Error(diff)
	}
}

// refusing is a lane trend that has no room.
type refusing struct{ last bufferstore.Seq }

func (r *refusing) Append(rec ...[]byte) bufferstore.Seq {
	r.last += bufferstore.Seq(len(rec))
	return r.last
}

func (r *refusing) Records(from bufferstore.Seq) iter.Seq2[bufferstore.Record, error] {
	return func(yield func(bufferstore.Record, error) bool) {
		yield(bufferstore.Record{First: from, Last: r.last, Lost: bufferstore.Refused}, nil)
	}
}

func TestReadingsStayWhereSummariesCanNotBeKept(t *testing.T) {
	fails := errors.New("input/output error")
	for name, break_ := range map[string]func(*site){
		"sync fails":           func(s *site) { s.sync = func(context.Context) error { return fails } },
		"schema can't be kept": func(s *site) { s.keep = func(*point.Schema) error { return fails } },
		"no room in trend":     func(s *site) { s.thinner.trend = &refusing{} },
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			g := s.group("g")
			for n := range 300 {
				s.pass(g, 1, time.Duration(n)*time.Second, n)
			}
			s.mustSync()
			s.history.upTo = 100
			break_(s)
			s.step(t.Context())
			s.mustSync()
			if n := lost(t, s.history); len(n) > 0 {
				t.Errorf("given up: %v", n)
			}
			if s.failed.get() == nil || strings.Count(s.log.String(), "summaries are not made") != 1 {
				t.Errorf("nobody is told: %s", &s.log)
			}
		})
	}
}

// TestCrashLeavesReadingOrSummary crashes before each sync and between each sync
// and drop; in the end the centre has the summaries that it would have had without.
func TestCrashLeavesReadingOrSummary(t *testing.T) {
	fill := func(s *site) {
		a, b := s.group("a"), s.group("b")
		r := rand.New(rand.NewPCG(1, 2))
		for n, at := 0, time.Duration(0); n < 1800; n++ {
			boot := uint32(1 + n/600)
			if at += time.Duration(r.IntN(3000)) * time.Millisecond; n%600 == 0 {
				at = time.Duration(r.IntN(100)) * time.Second
			}
			s.pass(a, boot, at, n)
			if n%5 == 0 { // ends long after it began, in the minute after as often as not
				s.pass(b, boot, max(0, at-30*time.Second), n)
			}
		}
		s.mustSync()
	}
	all := newSite(t)
	fill(all)
	all.history.upTo = 2000
	all.step(t.Context())
	want := all.rows()
	if len(want) < 80 {
		t.Fatalf("only %d summaries", len(want))
	}
	for at := range bufferstore.Seq(12) {
		s := newSite(t)
		fill(s)
		for step := range bufferstore.Seq(6) {
			s.history.upTo = 333 * (step + 1)
			if at == 2*step {
				s.sync = func(context.Context) error { return errors.New("crash") }
			}
			s.step(t.Context())
			if at/2 == step {
				s.crash() // before the sync that would make the drop durable
			}
		}
		s.history.upTo = 2000
		s.step(t.Context())
		if diff := cmp.Diff(want, s.rows()); diff != "" {
			t.Fatalf("crash %d: %s", at, diff)
		}
	}
}

// endless is a crowded lane of very many records that are not kept anywhere.
type endless struct {
	records int
	rec     func(n int) []byte
	dropped []bufferstore.Seq
}

func (e *endless) Crowded() bufferstore.Seq { return bufferstore.Seq(e.records) }

func (e *endless) Drop(upTo bufferstore.Seq, _ bufferstore.Reason) {
	e.dropped = append(e.dropped, upTo)
}

func (e *endless) Records(from bufferstore.Seq) iter.Seq2[bufferstore.Record, error] {
	return func(yield func(bufferstore.Record, error) bool) {
		for n := from; n <= bufferstore.Seq(e.records); n++ {
			if !yield(bufferstore.Record{First: n, Last: n, Data: e.rec(int(n))}, nil) {
				return
			}
		}
	}
}

// sizes is a lane trend that notes how much it was given at once.
type sizes struct {
	last     bufferstore.Seq
	greatest int
}

func (l *sizes) Append(rec ...[]byte) bufferstore.Seq {
	n := 0
	for _, r := range rec {
		n += len(r)
	}
	l.greatest = max(l.greatest, n)
	l.last += bufferstore.Seq(len(rec))
	return l.last
}

func (l *sizes) Records(from bufferstore.Seq) iter.Seq2[bufferstore.Record, error] {
	return func(yield func(bufferstore.Record, error) bool) {
		yield(bufferstore.Record{First: from, Last: l.last}, nil)
	}
}

func TestThinningHoldsLittleInMemory(t *testing.T) {
	g := &point.Schema{Group: "wide", Columns: make([]point.Column, 100)}
	for i := range g.Columns {
		g.Columns[i] = point.Column{ID: point.ID(i + 1), Type: point.Uint16, Scale: point.NoScale}
	}
	sc := point.Scan{Schema: g.ID(), Values: make([]uint64, 100), Quality: make([]point.Quality, 100)}
	var rec []byte
	e := &endless{records: 30_000}
	e.rec = func(n int) []byte {
		sc.Stamp = point.Stamp{Boot: 1, Boottime: time.Duration(n) * time.Second}
		rec = sc.Append(rec[:0], g)
		return rec
	}
	trend := &sizes{}
	th := &thinner{
		lanes: []*crowd{{thinLane: e, acked: none, bytes: little}}, trend: trend, log: slog.New(slog.DiscardHandler),
		find: func(id point.SchemaID) (*point.Schema, bool) { return g, id == sc.Schema },
		keep: func(*point.Schema) error { return nil }, sync: func(context.Context) error { return nil },
	}
	th.step(t.Context())
	if trend.last != 30_000/60 || len(e.dropped) < 3 {
		t.Errorf("%d summaries and %d drops", trend.last, len(e.dropped))
	}
	if trend.greatest > thinBatch+1<<14 {
		t.Errorf("%d bytes of summaries at once", trend.greatest)
	}

	read := 0
	e.rec = func(int) []byte { // nothing to sum up, and no end of an interval
		read++
		return bytes.Repeat([]byte{byte(point.KindArchive)}, 1000)
	}
	e.dropped, trend.last = nil, 0
	th.lanes[0].from = 1
	th.step(t.Context())
	if trend.last != 0 || len(e.dropped) != 0 || read > 2*thinMost/1000+4 {
		t.Errorf("%d records were read, %d went to lane trend, dropped to %v", read, trend.last, e.dropped)
	}
}

// passing is a lane that is crowded for its second minute, and has nothing to
// give up.
type passing struct {
	endless
	began time.Time
}

func (l *passing) Crowded() bufferstore.Seq {
	if time.Since(l.began).Truncate(time.Minute) == time.Minute {
		return 1
	}
	return 0
}

func TestShortageIsTwoLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		th := &thinner{
			lanes: []*crowd{{thinLane: &passing{began: time.Now()}, acked: none, bytes: little}}, trend: &sizes{},
			log: slog.New(slog.NewTextHandler(&log, nil)),
		}
		ctx, cancel := context.WithTimeout(t.Context(), relief+5*time.Minute)
		defer cancel()
		if err := th.Run(ctx); err != nil {
			t.Error(err)
		}
		if n := strings.Count(log.String(), "\n"); n != 2 || !strings.Contains(log.String(), "buffer is short of space: over") {
			t.Errorf("want two lines, got:\n%s", &log)
		}
	})
}

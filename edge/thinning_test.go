package edge

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"skyhaul/bufferstore"
	"skyhaul/edge/point"
)

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

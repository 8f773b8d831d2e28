package edge

import (
	"bytes"
	"log/slog"
	"slices"
	"testing"
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

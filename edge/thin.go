package edge

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"slices"
	"time"

	"skyhaul/bufferstore"
	"skyhaul/edge/point"
)

// thinLane is a lane that can give its oldest records up.
type thinLane interface {
	// Crowded returns up to which number the oldest records should be given up
	// now; zero while space suffices.
	Crowded() bufferstore.Seq
	Records(from bufferstore.Seq) iter.Seq2[bufferstore.Record, error]
	Drop(upTo bufferstore.Seq, why bufferstore.Reason)
}

// trendLane takes the summaries.
type trendLane interface {
	Append(rec ...[]byte) bufferstore.Seq
	Records(from bufferstore.Seq) iter.Seq2[bufferstore.Record, error]
}

// thinner has the oldest records of a crowded lane give way to summaries in lane
// trend: of a minute each, and of an hour where those of a minute would not save
// enough, as with minutes that are themselves summed up. A summary is durable
// before what it stands for is dropped, and a drop ends where an interval ends.
// So a cut between the two leaves both, and the summaries are made again; the
// centre tells them as point.Summary says.
//
// Delivered records go before all others, without summaries. What is no scan of
// a known schema goes to lane trend as it is. Where summaries save too little
// the records stay, and the store gives the oldest up by itself.
type thinner struct {
	lanes []*crowd
	trend trendLane
	find  point.Lookup
	keep  func(*point.Schema) error // makes a schema durable
	sync  func(context.Context) error
	log   *slog.Logger

	last   time.Time // when a lane was crowded; zero for never
	short  fault     // of space
	failed fault     // to make summaries
}

// crowd is a lane to be thinned.
type crowd struct {
	thinLane
	bytes func() int64           // that it takes on disk
	acked func() bufferstore.Seq // what the hub has
	from  bufferstore.Seq        // below, nothing is left to be thinned
}

// delivered reports whether the store has delivered records to give up first.
func (l *crowd) delivered() bool {
	upTo := l.Crowded()
	return upTo > 0 && upTo <= l.acked()
}

// newThinner thins the lanes whose policy has it. Without an uplink nothing is
// undelivered, and what is old goes.
func newThinner(d *Daemon) *thinner {
	t := &thinner{
		trend: d.store.Lane(point.Trend.String()), find: d.schemas.Lookup, keep: d.schemas.keep, sync: d.store.Sync, log: d.log,
	}
	if d.opts.Config.Uplink == nil {
		return t
	}
	for _, l := range []point.Lane{point.History, point.Trend} {
		lane := d.store.Lane(l.String())
		t.lanes = append(t.lanes, &crowd{thinLane: lane, bytes: bytesOf(d.store, l), acked: lane.Cursor(hubCursor).Acked})
	}
	return t
}

// bytesOf returns what tells how many bytes a lane takes on disk.
func bytesOf(s *bufferstore.Store, lane point.Lane) func() int64 {
	return func() int64 {
		lanes := s.Stats().Lanes
		i := slices.IndexFunc(lanes, func(l bufferstore.LaneStats) bool { return l.Name == lane.String() })
		return lanes[i].Bytes
	}
}

const (
	// thinEvery is how often the lanes are asked.
	thinEvery = 10 * time.Second
	// thinBatch is about how many bytes of summaries are made durable together,
	// and thinMost how many are held in memory for one interval.
	thinBatch, thinMost = 256 << 10, 4 << 20
	// thinGain is how much longer records must be than what they give way to.
	// Three times as raw records is about twice as packed chunks.
	thinGain = 3
	// relief is for how long no lane must have been crowded for the shortage to
	// be over.
	relief = time.Hour
)

// thinTo are the intervals of summaries.
var thinTo = []time.Duration{time.Minute, time.Hour}

var errShort = errors.New("the oldest readings give way to summaries")

// Run thins until ctx ends.
func (t *thinner) Run(ctx context.Context) error {
	ticker := time.NewTicker(thinEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			t.step(ctx)
		}
	}
}

// step thins the greatest lane in which that helps: readings as long as they
// take more than summaries. The next step comes when the store has taken the
// drop in.
func (t *thinner) step(ctx context.Context) {
	lanes := t.lanes
	if slices.ContainsFunc(lanes, (*crowd).delivered) {
		lanes = nil
	}
	slices.SortStableFunc(lanes, func(a, b *crowd) int { return cmp.Compare(b.bytes(), a.bytes()) })
	var err error
	for _, l := range lanes {
		upTo := l.Crowded()
		if l.from = max(l.from, l.acked()+1); upTo < l.from {
			continue
		}
		t.last = time.Now()
		t.short.set(t.log, "buffer is short of space", errShort)
		from := l.from
		if err = t.thin(ctx, l, upTo); err != nil || l.from > from {
			break
		}
	}
	if ctx.Err() != nil {
		return
	}
	t.failed.set(t.log, "summaries are not made", err)
	if time.Since(t.last) > relief {
		t.short.set(t.log, "buffer is short of space", nil)
	}
}

// thin sums up over the shortest interval that saves enough.
func (t *thinner) thin(ctx context.Context, l *crowd, upTo bufferstore.Seq) error {
	for _, interval := range thinTo {
		w := thinning{thinner: t, lane: l, interval: interval, open: map[point.SchemaID]*point.Summary{}}
		if saves, err := w.run(ctx, upTo); saves || err != nil {
			return err
		}
	}
	return nil
}

// append returns nil when recs are durable in lane trend.
func (t *thinner) append(ctx context.Context, recs [][]byte) error {
	if len(recs) == 0 {
		return nil
	}
	last := t.trend.Append(recs...)
	if err := t.sync(ctx); err != nil {
		return fmt.Errorf("make summaries durable: %w", err)
	}
	for rec, err := range t.trend.Records(last - bufferstore.Seq(len(recs)) + 1) {
		switch {
		case err != nil:
			return fmt.Errorf("read summaries back: %w", err)
		case rec.Lost == bufferstore.Refused || rec.Lost == bufferstore.Damaged:
			return fmt.Errorf("summaries %d to %d: %s", rec.First, rec.Last, rec.Lost)
		case rec.Last >= last:
			return nil
		}
	}
	return fmt.Errorf("summaries up to %d are not to be read back", last)
}

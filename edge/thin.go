package edge

import (
	"bytes"
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
// So a cut between the two leaves both, and the summaries are made again: the
// same ones, to be told by schema, boot and boottime, see point.Summary.
//
// What the hub has already goes without. What is no scan of a known schema goes to lane trend as it is. Where summaries
// save too little the records stay, and the store gives the oldest up by itself.
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
	acked func() bufferstore.Seq // what the hub has is not summed up
	from  bufferstore.Seq        // below, nothing is left to be thinned
}

// crowded returns up to which number the lane should be thinned, zero for not at
// all. Delivered records the store gives up by itself, before any others.
func (l *crowd) crowded() bufferstore.Seq {
	upTo := l.Crowded()
	if l.from = max(l.from, l.acked()+1); upTo < l.from {
		return 0
	}
	return upTo
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
	slices.SortStableFunc(t.lanes, func(a, b *crowd) int { return cmp.Compare(b.bytes(), a.bytes()) })
	var err error
	for _, l := range t.lanes {
		upTo := l.crowded()
		if upTo == 0 {
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

// thinning is one passage over the oldest records of a lane.
type thinning struct {
	*thinner
	lane     *crowd
	interval time.Duration
	open     map[point.SchemaID]*point.Summary // nil for what is not summed up
	order    []*point.Summary                  // those in open, as they were met
	scan     point.Scan

	boot    uint32        // of the newest scan
	current time.Duration // its interval, counted from the boot

	read int      // bytes of records since the last drop
	out  [][]byte // what they give way to
	size int      // bytes in out
	ends end      // of the last whole interval
}

// end is where an interval ended.
type end struct {
	seq             bufferstore.Seq // the last number in it
	read, out, size int             // as in thinning
}

// run thins at least up to upTo, to the end of an interval, or as far as intervals
// are over. saves is false where that would not save enough; what came before
// may have been thinned.
func (w *thinning) run(ctx context.Context, upTo bufferstore.Seq) (saves bool, err error) {
	for rec, err := range w.lane.Records(w.lane.from) {
		if err != nil {
			return false, fmt.Errorf("read records to be thinned: %w", err)
		}
		if rec.Lost != bufferstore.Kept {
			continue
		}
		if w.begins(rec.Data) {
			w.flush()
			w.ends = end{rec.First - 1, w.read, len(w.out), w.size}
			if w.size >= thinBatch || w.ends.seq >= upTo {
				if saves, err := w.commit(ctx); !saves || err != nil || w.lane.from > upTo {
					return saves, err
				}
			}
		}
		if w.size > thinMost {
			return false, nil
		}
		if err := w.take(rec.Data); err != nil {
			return false, err
		}
	}
	return w.commit(ctx)
}

// begins reports whether a record is the first of a newer interval.
func (w *thinning) begins(rec []byte) bool {
	at, ok := point.StampOf(rec)
	if !ok || point.KindOf(rec) != point.KindScan {
		return false
	}
	n := at.Boottime / w.interval
	if at.Boot == w.boot && n <= w.current {
		return false
	}
	first := w.read == 0
	w.boot, w.current = at.Boot, n
	return !first
}

// take sums a record up, or passes it on.
func (w *thinning) take(rec []byte) error {
	w.read += len(rec)
	m, err := w.summary(rec)
	if err != nil {
		return err
	}
	if m == nil {
		w.emit(bytes.Clone(rec))
		return nil
	}
	if !m.Add(&w.scan) {
		w.emit(m.Records()...)
		m.Add(&w.scan)
	}
	return nil
}

// summary returns the summary that a record belongs to, with the record in scan;
// nil for what can't be summed up.
func (w *thinning) summary(rec []byte) (*point.Summary, error) {
	id, ok := point.ScanSchema(rec)
	if !ok {
		return nil, nil
	}
	s, ok := w.find(id)
	if !ok || w.scan.Decode(rec, s) != nil {
		return nil, nil
	}
	m, met := w.open[id]
	if met {
		return m, nil
	}
	if m = point.NewSummary(s, w.interval); m != nil {
		for _, schema := range m.Schemas() {
			if err := w.keep(schema); err != nil {
				return nil, err
			}
		}
		w.order = append(w.order, m)
	}
	w.open[id] = m
	return m, nil
}

// flush ends all summaries.
func (w *thinning) flush() {
	for _, m := range w.order {
		w.emit(m.Records()...)
	}
}

func (w *thinning) emit(recs ...[]byte) {
	for _, r := range recs {
		w.out = append(w.out, r)
		w.size += len(r)
	}
}

// commit has the records up to the last whole interval give way to their
// summaries.
func (w *thinning) commit(ctx context.Context) (saves bool, err error) {
	e := w.ends
	if e.read == 0 {
		return true, nil // nothing is over yet
	}
	if e.read < thinGain*e.size {
		return false, nil
	}
	if err := w.append(ctx, w.out[:e.out]); err != nil {
		return false, err
	}
	w.lane.Drop(e.seq, bufferstore.Thinned)
	w.lane.from = e.seq + 1
	w.read, w.out, w.size, w.ends = w.read-e.read, w.out[e.out:], w.size-e.size, end{}
	return true, nil
}

// append returns nil when recs are durable in lane trend.
func (t *thinner) append(ctx context.Context, recs [][]byte) error {
	if len(recs) == 0 {
		return nil
	}
	last := t.trend.Append(recs...) // nothing else appends to lane trend
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

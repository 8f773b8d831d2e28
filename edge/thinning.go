package edge

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"skyhaul/bufferstore"
	"skyhaul/edge/point"
)

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
	if m = point.NewSummary(s, w.interval, point.Weighted); m != nil {
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

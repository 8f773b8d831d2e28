package sqlite

import (
	"context"
	"fmt"

	"skyhaul/bufferstore"
	"skyhaul/link/batch"
	"skyhaul/link/hub"
)

// Store writes a batch, see hub.Sink. When it returns nil the batch is on disk.
func (s *Sink) Store(ctx context.Context, site string, b *batch.Batch) (hub.Marks, error) {
	return s.store(ctx, site, b, nil)
}

// StoreLink writes a batch and its link, see hub.Chains.
func (s *Sink) StoreLink(ctx context.Context, site string, b *batch.Batch, l hub.Link) (hub.Marks, error) {
	return s.store(ctx, site, b, &l)
}

func (s *Sink) store(ctx context.Context, site string, b *batch.Batch, l *hub.Link) (hub.Marks, error) {
	var m siteMarks
	err := s.update(ctx, func(t *tx) (err error) {
		if m, err = t.load(site); err != nil {
			return err
		}
		if err := t.store(site, &m, b); err != nil || l == nil {
			return err
		}
		return t.link(m.site, b, l)
	})
	if err != nil {
		return hub.Marks{}, fmt.Errorf("store batch %d to %d of site %s, lane %s: %w", b.First, b.Last, site, b.Lane, err)
	}
	return m.Marks, nil
}

func (t *tx) store(site string, m *siteMarks, b *batch.Batch) error {
	before := m.Epochs
	e, err := m.Place(b)
	if err != nil {
		return err
	}
	if err := t.saveFresh(m, before); err != nil {
		return err
	}
	id, err := t.epochRow(m, e)
	if err != nil {
		return err
	}
	if err := t.saveSchemas(m.site, id, b); err != nil {
		return err
	}
	w := writer{tx: t, site: m.site, epoch: id}
	for i := range b.Records {
		if err := w.record(e, &b.Records[i]); err != nil {
			return err
		}
	}
	if err := w.flush(); err != nil {
		return err
	}
	stored := e.Stored
	e.Add(b.First, b.Last)
	if err := t.save(id, e, stored); err != nil {
		return err
	}
	if err := t.count(m.site, &w); err != nil {
		return err
	}
	return t.touch(site, m)
}

// record writes what of r is not in the marks yet.
func (w *writer) record(e *hub.EpochMarks, r *bufferstore.Record) error {
	if r.Lost != bufferstore.Kept {
		for _, lost := range e.Missing(r.First, r.Last) {
			if err := w.gap(lost, r.Lost); err != nil {
				return err
			}
		}
		return nil
	}
	if e.Has(r.First) {
		w.repeated++
		return nil
	}
	w.records++
	return w.content(int64(r.First), r.Data)
}

func (t *tx) count(site int64, w *writer) error {
	_, err := t.exec("UPDATE site SET batches = batches + 1, records = records + ?, readings = readings + ?, repeated = repeated + ?, last_batch_ms = ? WHERE id = ?",
		w.records, w.readings, w.repeated, t.now, site)
	return err
}

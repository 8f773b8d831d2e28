package sqlite

import (
	"context"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"skyhaul/bufferstore"
	"skyhaul/edge/point"
	"skyhaul/link/batch"
	"skyhaul/link/hub"
)

// siteMarks are the marks of a site with the ids of its rows.
type siteMarks struct {
	hub.Marks
	site   int64   // zero where there is no row yet
	epochs []int64 // as Marks.Epochs
}

// querier is a connection or a database.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// loadMarks reads the marks of a site. What it had read before spares it most
// of the work where nobody has changed them since.
func loadMarks(ctx context.Context, q querier, site string, before siteMarks) (siteMarks, error) {
	var m siteMarks
	err := q.QueryRowContext(ctx, "SELECT id, at FROM site WHERE site = ?", site).Scan(&m.site, &m.At)
	if errors.Is(err, sql.ErrNoRows) {
		return siteMarks{}, nil
	}
	if err != nil {
		return siteMarks{}, fmt.Errorf("marks of site %s: %w", site, err)
	}
	if before.site == m.site && before.At == m.At {
		return before, nil
	}
	if err := m.loadEpochs(ctx, q); err != nil {
		return siteMarks{}, fmt.Errorf("marks of site %s: %w", site, err)
	}
	return m, nil
}

func (m *siteMarks) loadEpochs(ctx context.Context, q querier) error {
	rows, err := q.QueryContext(ctx, "SELECT id, lane, epoch, parent, first, floor, acked, fresh FROM epoch WHERE site = ? ORDER BY id", m.site)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var id int64
		var lane, epoch, parent string
		var e hub.EpochMarks
		if err := rows.Scan(&id, &lane, &epoch, &parent, &e.First, &e.Floor, &e.Acked, &e.Fresh); err != nil {
			return err
		}
		var ok bool
		if e.Lane, ok = point.ParseLane(lane); !ok {
			return fmt.Errorf("epoch row %d: unknown lane %q", id, lane)
		}
		if e.Epoch, err = parseEpoch(epoch); err != nil {
			return fmt.Errorf("epoch row %d: %w", id, err)
		}
		if e.Parent, err = parseEpoch(parent); err != nil {
			return fmt.Errorf("epoch row %d: %w", id, err)
		}
		m.Epochs = append(m.Epochs, e)
		m.epochs = append(m.epochs, id)
	}
	if err := rows.Err(); err != nil {
		return err
	}
	return m.loadStored(ctx, q)
}

func (m *siteMarks) loadStored(ctx context.Context, q querier) error {
	rows, err := q.QueryContext(ctx, "SELECT stored.epoch, stored.first, stored.last FROM stored JOIN epoch ON epoch.id = stored.epoch WHERE epoch.site = ? ORDER BY stored.epoch, stored.first", m.site)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var id int64
		var r batch.Range
		if err := rows.Scan(&id, &r.First, &r.Last); err != nil {
			return err
		}
		if i, ok := slices.BinarySearch(m.epochs, id); ok {
			m.Epochs[i].Stored = append(m.Epochs[i].Stored, r)
		}
	}
	return rows.Err()
}

func parseEpoch(s string) (e bufferstore.Epoch, err error) {
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != len(e) {
		return e, fmt.Errorf("epoch %q is not 16 hexadecimal digits", s)
	}
	return bufferstore.Epoch(b), nil
}

// load reads the marks of a site within a transaction and sees to it that there
// is a row for the site.
func (t *tx) load(site string) (siteMarks, error) {
	m, err := loadMarks(t.ctx, t.s.conn, site, t.s.marks[site])
	if err != nil || m.site != 0 {
		return m, err
	}
	res, err := t.exec("INSERT INTO site (site, at, first_heard_ms) VALUES (?, 0, ?)", site, t.now)
	if err != nil {
		return m, err
	}
	m.site, err = res.LastInsertId()
	return m, err
}

// epochRow returns the id of the row of e, the last or an earlier one of m's.
func (t *tx) epochRow(m *siteMarks, e *hub.EpochMarks) (int64, error) {
	i := slices.IndexFunc(m.Epochs, func(x hub.EpochMarks) bool { return x.Lane == e.Lane && x.Epoch == e.Epoch })
	if i < len(m.epochs) {
		return m.epochs[i], nil
	}
	res, err := t.exec("INSERT INTO epoch (site, lane, epoch, parent, first, floor, acked, fresh) VALUES (?, ?, ?, '', 0, 0, 0, 0)",
		m.site, e.Lane.String(), e.Epoch.String())
	if err != nil {
		return 0, err
	}
	id, err := res.LastInsertId()
	m.epochs = append(m.epochs, id)
	return id, err
}

// save writes the marks e to its row; stored is what e.Stored was before.
func (t *tx) save(id int64, e *hub.EpochMarks, stored []batch.Range) error {
	_, err := t.exec("UPDATE epoch SET parent = ?, first = ?, floor = ?, acked = ?, fresh = ? WHERE id = ?",
		e.Parent.String(), int64(e.First), int64(e.Floor), int64(e.Acked), e.Fresh, id)
	if err != nil {
		return err
	}
	before, now := changed(stored, e.Stored)
	for _, r := range before {
		if _, err := t.exec("DELETE FROM stored WHERE epoch = ? AND first = ?", id, int64(r.First)); err != nil {
			return err
		}
	}
	for _, r := range now {
		if _, err := t.exec("INSERT INTO stored VALUES (?, ?, ?)", id, int64(r.First), int64(r.Last)); err != nil {
			return err
		}
	}
	return nil
}

// saveFresh writes where Fresh has ended in the marks of a zero epoch.
func (t *tx) saveFresh(m *siteMarks, before []hub.EpochMarks) error {
	for i := range before {
		if e := &m.Epochs[i]; e.Epoch == (bufferstore.Epoch{}) && e.Fresh != before[i].Fresh {
			return t.save(m.epochs[i], e, e.Stored)
		}
	}
	return nil
}

// changed cuts off what two lists have in common at their ends.
func changed(a, b []batch.Range) (_, _ []batch.Range) {
	for len(a) > 0 && len(b) > 0 && a[0] == b[0] {
		a, b = a[1:], b[1:]
	}
	for len(a) > 0 && len(b) > 0 && a[len(a)-1] == b[len(b)-1] {
		a, b = a[:len(a)-1], b[:len(b)-1]
	}
	return a, b
}

// touch gives the marks a new time, which is later than any before, and keeps
// them when the transaction is committed.
func (t *tx) touch(site string, m *siteMarks) error {
	m.At = max(t.now, m.At+1)
	_, err := t.exec("UPDATE site SET at = ? WHERE id = ?", m.At, m.site)
	t.after = append(t.after, func() { t.s.marks[site] = *m })
	return err
}

// Marks returns what the database holds of every lane of a site.
func (s *Sink) Marks(ctx context.Context, site string) (hub.Marks, error) {
	var m siteMarks
	err := s.update(ctx, func(t *tx) (err error) {
		m, err = loadMarks(t.ctx, s.conn, site, s.marks[site])
		t.after = append(t.after, func() { s.marks[site] = m })
		return err
	})
	return m.Marks, err
}

// AskFresh notes that a site is to start an epoch afresh.
func (s *Sink) AskFresh(ctx context.Context, site string, lane point.Lane, epoch bufferstore.Epoch) error {
	err := s.update(ctx, func(t *tx) error {
		m, err := t.load(site)
		if err != nil {
			return err
		}
		e := m.AskFresh(lane, epoch)
		id, err := t.epochRow(&m, e)
		if err != nil {
			return err
		}
		if err := t.save(id, e, e.Stored); err != nil {
			return err
		}
		if epoch == (bufferstore.Epoch{}) {
			if _, err := t.exec("UPDATE site SET unchained = unchained + 1 WHERE id = ?", m.site); err != nil {
				return err
			}
		}
		return t.touch(site, &m)
	})
	if err != nil {
		return fmt.Errorf("ask site %s to start lane %s epoch %s afresh: %w", site, lane, epoch, err)
	}
	return nil
}

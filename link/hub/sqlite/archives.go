package sqlite

import (
	"database/sql"
	"errors"
	"strings"

	"skyhaul/edge/point"
)

// archive writes a record of an instrument, unless it is there already.
func (w *writer) archive(seq int64, a *point.Archive) error {
	res, err := w.exec("UPDATE archive_record SET repeated = repeated + 1 WHERE site = ? AND archive_id = ? AND idx = ? AND raw = ?",
		w.site, int64(a.ID), int64(a.Index), nonNil(a.Raw))
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil || n > 0 {
		w.records--
		w.repeated++
		return err
	}
	id, err := w.archiveRow(a)
	if err != nil {
		return err
	}
	var device any
	if a.TimeQuality.Status() != point.Bad {
		device = a.Time
	}
	s := &a.Stamp
	_, err = w.exec("INSERT INTO archive_record VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0)",
		w.epoch, seq, w.site, int64(a.ID), int64(a.Index), nonNil(a.Raw), id, device, int64(a.TimeQuality),
		int64(s.Boot), s.Boottime.Milliseconds(), s.Wall, int64(s.Quality), bound(s), w.now)
	if err != nil {
		return err
	}
	for i, raw := range a.Layout.Values(a.Raw) {
		f := &a.Layout[i]
		_, err := w.exec("INSERT INTO archive_value VALUES (?, ?, ?, ?, ?, ?)", w.epoch, seq, int64(i), int64(raw), number(f.Type.Float(raw)), f.Set(raw))
		if err != nil {
			return err
		}
	}
	return nil
}

// archiveRow returns the row of the archive as a describes it.
func (w *writer) archiveRow(a *point.Archive) (id int64, err error) {
	var fields []string
	for i := range a.Layout {
		fields = append(fields, a.Layout[i].String())
	}
	as := []any{
		w.site, int64(a.ID), a.Source, a.Name, a.Kind.String(), a.Zone, int64(a.DayStart.Minutes()), strings.Join(fields, "\n"),
	}
	err = w.row(`SELECT id FROM archive WHERE site = ? AND archive_id = ? AND source = ? AND name = ? AND kind = ? AND zone = ?
		AND day_start_min = ? AND layout = ?`, as, &id)
	if !errors.Is(err, sql.ErrNoRows) {
		return id, err
	}
	res, err := w.exec("INSERT INTO archive (site, archive_id, source, name, kind, zone, day_start_min, layout) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", as...)
	if err != nil {
		return 0, err
	}
	if id, err = res.LastInsertId(); err != nil {
		return 0, err
	}
	for i := range a.Layout {
		f := &a.Layout[i]
		if _, err := w.exec("INSERT INTO archive_field VALUES (?, ?, ?, ?, ?)", id, int64(i), f.Name, f.Type.String(), f.Unit); err != nil {
			return 0, err
		}
	}
	return id, nil
}

// strange is a record that the version of before did not know.
type strange struct {
	epoch, site, seq, received int64
	record                     []byte
}

// readAgain gives those records their rows that were opaque to the version of
// before: sites may be of a newer one than their hub.
func (t *tx) readAgain() error {
	all, err := t.opaque(point.KindArchive)
	if err != nil {
		return err
	}
	now := t.now
	defer func() { t.now = now }()
	for _, o := range all {
		var a point.Archive
		if a.Decode(o.record) != nil {
			continue
		}
		t.now = o.received
		if err := (&writer{tx: t, site: o.site, epoch: o.epoch}).archive(o.seq, &a); err != nil {
			return err
		}
		if _, err := t.exec("DELETE FROM opaque WHERE epoch = ? AND seq = ?", o.epoch, o.seq); err != nil {
			return err
		}
	}
	return nil
}

func (t *tx) opaque(k point.Kind) (all []strange, err error) {
	rows, err := t.s.conn.QueryContext(t.ctx, `SELECT opaque.epoch, epoch.site, opaque.seq, opaque.received_ms, opaque.record
		FROM opaque JOIN epoch ON epoch.id = opaque.epoch WHERE opaque.kind = ? ORDER BY opaque.epoch, opaque.seq`, int64(k))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var o strange
		if err := rows.Scan(&o.epoch, &o.site, &o.seq, &o.received, &o.record); err != nil {
			return nil, err
		}
		all = append(all, o)
	}
	return all, rows.Err()
}

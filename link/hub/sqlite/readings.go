package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"iter"
	"math"
	"time"

	"skyhaul/bufferstore"
	"skyhaul/edge/point"
	"skyhaul/link/hub"
)

// Query says which readings are wanted.
type Query struct {
	Site     string
	From, To time.Time // wall time at the site, From included, To not; zero for no limit
}

// span returns the times in Unix milliseconds.
func (q *Query) span() (from, to int64) {
	from, to = math.MinInt64, math.MaxInt64
	if !q.From.IsZero() {
		from = q.From.UnixMilli()
	}
	if !q.To.IsZero() {
		to = q.To.UnixMilli()
	}
	return from, to
}

// Reading is one value with all that was said of it when it was taken. It is
// valid until the next one is asked for.
type Reading struct {
	Lane       point.Lane
	Epoch      bufferstore.Epoch
	Seq        bufferstore.Seq
	Stamp      point.Stamp
	Group      string
	Column     *point.Column // of a summary, its Statistic and Tag say what the value is
	Raw        uint64
	Value      float64 // scaled; NaN where there is none
	Quality    point.Quality
	ReceivedAt time.Time
}

// Readings yields the readings of a site epoch by epoch, as the epochs were
// met, and in each by sequence number. It ends with the first error.
func (v *View) Readings(ctx context.Context, q Query) iter.Seq2[*Reading, error] {
	return func(yield func(*Reading, error) bool) {
		if err := v.readings(ctx, q, yield); err != nil {
			yield(nil, fmt.Errorf("readings of site %s: %w", q.Site, err))
		}
	}
}

// readings returns nil too where yield wants no more. All it reads is as it was
// at one moment.
func (v *View) readings(ctx context.Context, q Query, yield func(*Reading, error) bool) error {
	t, err := v.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer t.Rollback()
	m, err := loadMarks(ctx, t, q.Site, siteMarks{})
	if err != nil {
		return err
	}
	schemas, err := loadSchemas(ctx, t, m.site)
	if err != nil {
		return err
	}
	from, to := q.span()
	for i := range m.Epochs {
		c := cutting{q: t, schemas: schemas, epoch: m.epochs[i], from: from, to: to}
		if more, err := c.yield(ctx, &m.Epochs[i], yield); err != nil || !more {
			return err
		}
	}
	return nil
}

// loadSchemas reads the schemas of a site by their rows.
func loadSchemas(ctx context.Context, q querier, site int64) (map[int64]*point.Schema, error) {
	rows, err := q.QueryContext(ctx, "SELECT id, body FROM schema WHERE site = ?", site)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	all := make(map[int64]*point.Schema)
	for rows.Next() {
		var id int64
		var body []byte
		if err := rows.Scan(&id, &body); err != nil {
			return nil, err
		}
		if all[id], _, err = point.ParseSchema(body); err != nil {
			return nil, err
		}
	}
	return all, rows.Err()
}

// cutting is the readings of one epoch in a range of time.
type cutting struct {
	q        querier
	schemas  map[int64]*point.Schema
	epoch    int64 // row
	from, to int64 // Unix milliseconds
}

// yield finds the range of numbers by time first: the readings can then be read
// as they lie, whatever the wall clock did.
func (c *cutting) yield(ctx context.Context, e *hub.EpochMarks, yield func(*Reading, error) bool) (more bool, err error) {
	var first, last sql.NullInt64
	err = c.q.QueryRowContext(ctx, "SELECT min(seq), max(seq) FROM scan WHERE epoch = ? AND wall_ms >= ? AND wall_ms < ?", c.epoch, c.from, c.to).Scan(&first, &last)
	if err != nil || !first.Valid {
		return true, err
	}
	rows, err := c.q.QueryContext(ctx, `SELECT scan.seq, scan.schema, scan.boot, scan.boottime_ms, scan.wall_ms, scan.time_quality, scan.bound, scan.received_ms,
			reading.col, reading.raw, reading.value, reading.quality
		FROM scan CROSS JOIN reading ON reading.epoch = scan.epoch AND reading.seq = scan.seq
		WHERE scan.epoch = ? AND scan.seq BETWEEN ? AND ? AND +scan.wall_ms >= ? AND +scan.wall_ms < ?
		ORDER BY scan.seq, reading.col`, c.epoch, first.Int64, last.Int64, c.from, c.to)
	if err != nil {
		return false, err
	}
	defer rows.Close()
	r := Reading{Lane: e.Lane, Epoch: e.Epoch}
	for rows.Next() {
		if err := c.scan(rows, &r); err != nil {
			return false, err
		}
		if !yield(&r, nil) {
			return false, nil
		}
	}
	return true, rows.Err()
}

func (c *cutting) scan(rows *sql.Rows, r *Reading) error {
	var schema, boottime, received, raw int64
	var bound sql.NullInt64
	var value sql.NullFloat64
	var col int
	s := &r.Stamp
	err := rows.Scan(&r.Seq, &schema, &s.Boot, &boottime, &s.Wall, &s.Quality, &bound, &received, &col, &raw, &value, &r.Quality)
	if err != nil {
		return err
	}
	sc := c.schemas[schema]
	if sc == nil || col < 0 || col >= len(sc.Columns) {
		return fmt.Errorf("scan %d has column %d of schema row %d, which is not there", r.Seq, col, schema)
	}
	r.Group, r.Column = sc.Group, &sc.Columns[col]
	s.Boottime = time.Duration(boottime) * time.Millisecond
	s.BoundExp = point.UnknownBound
	if bound.Valid {
		s.BoundExp = uint8(bound.Int64)
	}
	r.Raw, r.Value = uint64(raw), math.NaN()
	if value.Valid {
		r.Value = value.Float64
	}
	r.ReceivedAt = time.UnixMilli(received).UTC()
	return nil
}

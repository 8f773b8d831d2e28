package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"iter"
	"math"
	"time"

	"skyhaul/edge/point"
)

// Query says which readings are wanted.
type Query struct {
	Site     string
	From, To time.Time // wall time at the site, From included, To not; zero for no limit
}

// Reading is one value with all that was said of it when it was taken.
type Reading struct {
	Lane       string
	Epoch      string
	Seq        int64
	Stamp      point.Stamp
	Group      string
	Column     point.Column
	Raw        uint64
	Value      float64 // scaled; NaN where there is none
	Quality    point.Quality
	ReceivedAt time.Time
}

const readingsQuery = `SELECT epoch.lane, epoch.epoch, scan.seq,
	scan.boot, scan.boottime_ms, scan.wall_ms, scan.time_quality, scan.bound, scan.received_ms,
	schema.grp, point.point_id, point.tag, point.description, point.unit, point.type, point.decimals,
	reading.raw, reading.value, reading.quality
FROM site
JOIN epoch ON epoch.site = site.id
JOIN scan ON scan.epoch = epoch.id
JOIN schema ON schema.id = scan.schema
JOIN reading ON reading.epoch = scan.epoch AND reading.seq = scan.seq
JOIN point ON point.schema = scan.schema AND point.col = reading.col
WHERE site.site = ? AND scan.wall_ms >= ? AND scan.wall_ms < ?
ORDER BY epoch.id, scan.seq, reading.col`

// Readings yields the readings of a site epoch by epoch, as their epochs were
// met, and in each by sequence number. It ends with the first error.
func (v *View) Readings(ctx context.Context, q Query) iter.Seq2[*Reading, error] {
	return func(yield func(*Reading, error) bool) {
		from, to := int64(math.MinInt64), int64(math.MaxInt64)
		if !q.From.IsZero() {
			from = q.From.UnixMilli()
		}
		if !q.To.IsZero() {
			to = q.To.UnixMilli()
		}
		rows, err := v.db.QueryContext(ctx, readingsQuery, q.Site, from, to)
		if err != nil {
			yield(nil, fmt.Errorf("readings of site %s: %w", q.Site, err))
			return
		}
		defer rows.Close()
		var r Reading
		for rows.Next() {
			if err := r.scan(rows); err != nil {
				yield(nil, fmt.Errorf("readings of site %s: %w", q.Site, err))
				return
			}
			if !yield(&r, nil) {
				return
			}
		}
		if err := rows.Err(); err != nil {
			yield(nil, fmt.Errorf("readings of site %s: %w", q.Site, err))
		}
	}
}

func (r *Reading) scan(rows *sql.Rows) error {
	var boottime, received, raw int64
	var bound sql.NullInt64
	var value sql.NullFloat64
	var typ string
	c, s := &r.Column, &r.Stamp
	err := rows.Scan(&r.Lane, &r.Epoch, &r.Seq,
		&s.Boot, &boottime, &s.Wall, &s.Quality, &bound, &received,
		&r.Group, &c.ID, &c.Tag, &c.Description, &c.Unit, &typ, &c.Decimals,
		&raw, &value, &r.Quality)
	if err != nil {
		return err
	}
	var ok bool
	if c.Type, ok = point.ParseType(typ); !ok {
		return fmt.Errorf("unknown type %q", typ)
	}
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

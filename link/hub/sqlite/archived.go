package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"iter"
	"strings"
	"time"

	"skyhaul/bufferstore"
	"skyhaul/edge/point"
)

// ArchiveRecord is a record that an instrument kept, with how it came here.
type ArchiveRecord struct {
	point.Archive
	Lane  point.Lane
	Epoch bufferstore.Epoch
	Seq   bufferstore.Seq
	// Version is 1, or more where there is a record of the same number and time
	// before it with other content.
	Version    int
	Repeated   int // how often it came again
	ReceivedAt time.Time
}

// Archives yields the records of the instruments of a site, archive by archive
// and by the instruments' own times, which is what the query's are compared with.
// Where that can't be read the time of reading it stands for it. It ends with the
// first error.
func (v *View) Archives(ctx context.Context, q Query) iter.Seq2[*ArchiveRecord, error] {
	return func(yield func(*ArchiveRecord, error) bool) {
		if err := v.archives(ctx, q, yield); err != nil {
			yield(nil, fmt.Errorf("archives of site %s: %w", q.Site, err))
		}
	}
}

// archives returns nil too where yield wants no more.
func (v *View) archives(ctx context.Context, q Query, yield func(*ArchiveRecord, error) bool) error {
	from, to := q.span()
	rows, err := v.db.QueryContext(ctx, `SELECT r.archive_id, a.source, a.name, a.kind, a.zone, a.day_start_min, a.layout,
			r.idx, r.raw, r.device_ms, r.device_quality, r.boot, r.boottime_ms, r.wall_ms, r.time_quality, r.bound,
			r.repeated, r.received_ms, epoch.lane, epoch.epoch, r.seq
		FROM archive_record AS r JOIN archive AS a ON a.id = r.archive JOIN epoch ON epoch.id = r.epoch JOIN site ON site.id = r.site
		WHERE site.site = ? AND coalesce(r.device_ms, r.wall_ms) >= ? AND coalesce(r.device_ms, r.wall_ms) < ?
		ORDER BY r.archive_id, coalesce(r.device_ms, r.wall_ms), r.idx, r.epoch, r.seq`, q.Site, from, to)
	if err != nil {
		return err
	}
	defer rows.Close()
	var before ArchiveRecord
	for rows.Next() {
		r := ArchiveRecord{Version: 1}
		if err := r.scan(rows); err != nil {
			return err
		}
		if r.ID == before.ID && r.Index == before.Index && r.Time == before.Time {
			r.Version = before.Version + 1
		}
		before = r
		if !yield(&r, nil) {
			return nil
		}
	}
	return rows.Err()
}

func (r *ArchiveRecord) scan(rows *sql.Rows) error {
	var kind, layout, lane, epoch string
	var day, boottime, received int64
	var device, bound sql.NullInt64
	s := &r.Stamp
	err := rows.Scan(&r.ID, &r.Source, &r.Name, &kind, &r.Zone, &day, &layout,
		&r.Index, &r.Raw, &device, &r.TimeQuality, &s.Boot, &boottime, &s.Wall, &s.Quality, &bound,
		&r.Repeated, &received, &lane, &epoch, &r.Seq)
	if err != nil {
		return err
	}
	if kind == point.Events.String() {
		r.Kind = point.Events
	}
	if layout != "" {
		if r.Layout, err = point.ParseLayout(strings.Split(layout, "\n")); err != nil {
			return fmt.Errorf("layout of archive %d: %w", r.ID, err)
		}
	}
	if r.Epoch, err = parseEpoch(epoch); err != nil {
		return err
	}
	r.Lane, _ = point.ParseLane(lane)
	r.DayStart, r.Time = time.Duration(day)*time.Minute, device.Int64
	s.Boottime, s.BoundExp = time.Duration(boottime)*time.Millisecond, point.UnknownBound
	if bound.Valid {
		s.BoundExp = uint8(bound.Int64)
	}
	r.ReceivedAt = time.UnixMilli(received).UTC()
	return nil
}

package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"skyhaul/bufferstore"
	"skyhaul/edge/point"
	"skyhaul/link/batch"
	"skyhaul/link/hub"
)

// View reads a database, also while a Sink writes it. It is safe for concurrent use.
type View struct{ db *sql.DB }

// OpenView opens the database at path, which must be there.
func OpenView(ctx context.Context, path string) (*View, error) {
	db, err := open(path, "rw", "query_only(1)")
	if err != nil {
		return nil, err
	}
	var found int
	err = db.QueryRowContext(ctx, "PRAGMA user_version").Scan(&found)
	if err == nil && found != version {
		err = fmt.Errorf("it is of version %d, this program knows %d", found, version)
	}
	if err != nil {
		db.Close()
		return nil, fmt.Errorf("database %s: %w", path, err)
	}
	return &View{db: db}, nil
}

// Close closes the database.
func (v *View) Close() error { return v.db.Close() }

// Sites returns all sites that have been heard of, by their ids.
func (v *View) Sites(ctx context.Context) ([]hub.Site, error) { return loadSites(ctx, v.db) }

// Marks returns what the database holds of every lane of a site.
func (v *View) Marks(ctx context.Context, site string) (hub.Marks, error) {
	t, err := v.db.BeginTx(ctx, nil)
	if err != nil {
		return hub.Marks{}, err
	}
	defer t.Rollback()
	m, err := loadMarks(ctx, t, site, siteMarks{})
	return m.Marks, err
}

// Gap is a range of records that a site declared lost.
type Gap struct {
	Lane  point.Lane
	Epoch bufferstore.Epoch
	batch.Range
	Reason   string
	Declared time.Time
}

// Gaps returns what a site has declared lost, by lane and number.
func (v *View) Gaps(ctx context.Context, site string) ([]Gap, error) {
	rows, err := v.db.QueryContext(ctx, `SELECT epoch.lane, epoch.epoch, gap.first, gap.last, gap.reason, gap.declared_ms
		FROM gap JOIN epoch ON epoch.id = gap.epoch JOIN site ON site.id = epoch.site
		WHERE site.site = ? ORDER BY epoch.id, gap.first`, site)
	if err != nil {
		return nil, fmt.Errorf("gaps of site %s: %w", site, err)
	}
	defer rows.Close()
	var gaps []Gap
	for rows.Next() {
		var g Gap
		var lane, epoch string
		var declared sql.NullInt64
		if err := rows.Scan(&lane, &epoch, &g.First, &g.Last, &g.Reason, &declared); err != nil {
			return nil, fmt.Errorf("gaps of site %s: %w", site, err)
		}
		if g.Epoch, err = parseEpoch(epoch); err != nil {
			return nil, fmt.Errorf("gaps of site %s: %w", site, err)
		}
		g.Lane, _ = point.ParseLane(lane)
		g.Declared = timeOf(declared)
		gaps = append(gaps, g)
	}
	return gaps, rows.Err()
}

package sqlite

import (
	"context"
	"database/sql"
	"encoding/hex"
	"fmt"
	"time"

	"skyhaul/link/batch"
	"skyhaul/link/hub"
)

// Sites returns all sites that have been heard of, by their ids.
func (s *Sink) Sites(ctx context.Context) (sites []hub.Site, err error) {
	err = s.update(ctx, func(t *tx) (err error) {
		sites, err = loadSites(t.ctx, s.conn)
		return err
	})
	return sites, err
}

func loadSites(ctx context.Context, q querier) ([]hub.Site, error) {
	rows, err := q.QueryContext(ctx, `SELECT site, first_heard_ms, last_batch_ms, batches, records, readings, repeated,
		online, coalesce(config, ''), contact_ms, next_contact_ms, down_at, unchained FROM site ORDER BY site`)
	if err != nil {
		return nil, fmt.Errorf("sites: %w", err)
	}
	defer rows.Close()
	var sites []hub.Site
	for rows.Next() {
		var s hub.Site
		var heard, last, contact, next sql.NullInt64
		if err := rows.Scan(&s.ID, &heard, &last, &s.Batches, &s.Records, &s.Readings, &s.Repeated, &s.Online, &s.Config, &contact, &next, &s.DownAt, &s.Unchained); err != nil {
			return nil, fmt.Errorf("sites: %w", err)
		}
		s.Heard, s.LastBatch, s.Contact, s.Next = timeOf(heard), timeOf(last), timeOf(contact), timeOf(next)
		sites = append(sites, s)
	}
	return sites, rows.Err()
}

func timeOf(ms sql.NullInt64) time.Time {
	if !ms.Valid {
		return time.Time{}
	}
	return time.UnixMilli(ms.Int64).UTC()
}

// Contact notes what a site says of its session.
func (s *Sink) Contact(ctx context.Context, site string, st batch.State) error {
	err := s.update(ctx, func(t *tx) error {
		m, err := t.load(site)
		if err != nil {
			return err
		}
		var next any
		if st.Next > 0 {
			next = t.now + st.Next.Milliseconds()
		}
		_, err = t.exec("UPDATE site SET online = ?, config = ?, contact_ms = ?, next_contact_ms = ? WHERE id = ?",
			st.Online, hex.EncodeToString(st.Config[:]), t.now, next, m.site)
		return err
	})
	if err != nil {
		return fmt.Errorf("contact of site %s: %w", site, err)
	}
	return nil
}

// The bounds of table rejected: 16 MiB at most.
const (
	maxRejected      = 256
	maxRejectedBytes = 64 << 10
)

// Reject keeps a payload aside, cut to 64 KiB; the newest 256 are kept.
func (s *Sink) Reject(ctx context.Context, r hub.Rejected) error {
	err := s.update(ctx, func(t *tx) error {
		payload := r.Payload[:min(len(r.Payload), maxRejectedBytes)]
		_, err := t.exec("INSERT INTO rejected (site, topic, cause, received_ms, bytes, payload) VALUES (?, ?, ?, ?, ?, ?)",
			r.Site, r.Topic, r.Cause, t.now, len(r.Payload), nonNil(payload))
		if err != nil {
			return err
		}
		_, err = t.exec("DELETE FROM rejected WHERE id <= (SELECT max(id) FROM rejected) - ?", maxRejected)
		return err
	})
	if err != nil {
		return fmt.Errorf("keep aside a payload of site %s: %w", r.Site, err)
	}
	return nil
}

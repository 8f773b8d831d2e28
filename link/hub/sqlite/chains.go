package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"skyhaul/bufferstore"
	"skyhaul/edge/point"
	"skyhaul/link/batch"
	"skyhaul/link/hub"
)

// beginning and unknown stand for the id of a link's base.
const (
	beginning = 0
	unknown   = -1
)

// link keeps a link, and now and then forgets old ones.
func (t *tx) link(site int64, b *batch.Batch, l *hub.Link) error {
	lane := b.Lane.String()
	if id, _, err := t.find(site, lane, l.Payload); err != nil || id != unknown {
		return err
	}
	base := int64(beginning)
	if l.Base != 0 {
		err := t.row("SELECT coalesce(max(id), ?) FROM link WHERE site = ? AND lane = ? AND tag = ? AND name = ?",
			[]any{unknown, site, lane, l.Base & 0xffff, l.Base}, &base)
		if err != nil {
			return err
		}
	}
	name := batch.Name(l.Payload)
	var snapshot any
	if l.Snapshot != nil {
		snapshot = l.Snapshot
	}
	_, err := t.exec("INSERT INTO link (site, lane, tag, name, base, records, payload, snapshot) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
		site, lane, name&0xffff, name, base, kept(b), l.Payload, snapshot)
	if err != nil {
		return err
	}
	return t.forget(site, lane, l.Snapshot != nil)
}

// forget deletes old links where there is a new snapshot, or are too many
// without: chains that begin again and again never come to one.
func (t *tx) forget(site int64, lane string, snapshot bool) error {
	if !snapshot {
		var links int
		err := t.row("SELECT count(*) FROM link WHERE site = ? AND lane = ?", []any{site, lane}, &links)
		if err != nil || links <= 2*maxLinks {
			return err
		}
	}
	_, err := t.exec(prune, site, lane, maxLinks, maxLinkBytes)
	return err
}

// kept returns how many records are in a batch.
func kept(b *batch.Batch) (n int) {
	for i := range b.Records {
		if b.Records[i].Lost == bufferstore.Kept {
			n++
		}
	}
	return n
}

// find returns the newest link with a payload, and how many records are in it.
func (t *tx) find(site int64, lane string, payload []byte) (id, records int64, err error) {
	name := batch.Name(payload)
	err = t.row("SELECT id, records FROM link WHERE site = ? AND lane = ? AND tag = ? AND name = ? AND payload = ? ORDER BY id DESC LIMIT 1",
		[]any{site, lane, name & 0xffff, name, payload}, &id, &records)
	if errors.Is(err, sql.ErrNoRows) {
		return unknown, 0, nil
	}
	return id, records, err
}

// The links of a lane that are kept: the newest, and those on their paths. A site
// may go back to the last batch that it knows to be acknowledged.
const (
	maxLinks     = 1024    // of an hour, at most; a site keeps its chain each hour
	maxLinkBytes = 4 << 20 // of payloads and snapshots; the newest is kept whatever its size
)

const prune = `
	WITH RECURSIVE
		ranked AS (SELECT id, base, snapshot IS NOT NULL AS ends,
			row_number() OVER newest AS rank, sum(length(payload) + coalesce(length(snapshot), 0)) OVER newest AS total
			FROM link WHERE site = ?1 AND lane = ?2 WINDOW newest AS (ORDER BY id DESC)),
		needed (id, base, ends) AS (
			SELECT id, base, ends FROM ranked WHERE rank = 1 OR rank <= ?3 AND total <= ?4
			UNION
			SELECT link.id, link.base, link.snapshot IS NOT NULL FROM needed JOIN link ON link.id = needed.base WHERE NOT needed.ends)
	DELETE FROM link WHERE site = ?1 AND lane = ?2 AND id NOT IN (SELECT id FROM needed)`

// Repeated counts a payload that was stored before, see hub.Chains.
func (s *Sink) Repeated(ctx context.Context, site string, lane point.Lane, payload []byte) (marks hub.Marks, found bool, err error) {
	err = s.update(ctx, func(t *tx) error {
		m, err := t.load(site)
		if err != nil {
			return err
		}
		id, records, err := t.find(m.site, lane.String(), payload)
		if err != nil || id == unknown {
			return err
		}
		if err := t.count(m.site, &writer{repeated: records}); err != nil {
			return err
		}
		err = t.touch(site, &m)
		marks, found = m.Marks, true
		return err
	})
	if err != nil {
		return marks, false, fmt.Errorf("links of site %s, lane %s: %w", site, lane, err)
	}
	return marks, found, nil
}

// maxPaths bounds what is tried where links have the same tag by chance.
const maxPaths = 4

// Paths returns how to make chains again, see hub.Chains.
func (s *Sink) Paths(ctx context.Context, site string, lane point.Lane, tag uint16) (paths []hub.Path, err error) {
	err = s.update(ctx, func(t *tx) error {
		ids, err := t.tagged(site, lane, tag)
		if err != nil {
			return err
		}
		for _, id := range ids {
			p, whole, err := t.path(id)
			if err != nil {
				return err
			}
			if whole {
				paths = append(paths, p)
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("chain %04x of site %s, lane %s: %w", tag, site, lane, err)
	}
	return paths, nil
}

// tagged returns the links of a tag, the newest first.
func (t *tx) tagged(site string, lane point.Lane, tag uint16) (ids []int64, err error) {
	rows, err := t.s.conn.QueryContext(t.ctx, `SELECT id FROM link WHERE site = (SELECT id FROM site WHERE site = ?) AND lane = ? AND tag = ?
		ORDER BY id DESC LIMIT ?`, site, lane.String(), tag, maxPaths)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, rows.Err()
}

// path goes back from a link to a snapshot or the beginning of the chain; whole
// is false where neither is here any more.
func (t *tx) path(id int64) (p hub.Path, whole bool, err error) {
	rows, err := t.s.conn.QueryContext(t.ctx, `
		WITH RECURSIVE path (id, base, payload, snapshot) AS (
			SELECT id, base, payload, snapshot FROM link WHERE id = ?
			UNION ALL
			SELECT link.id, link.base, link.payload, link.snapshot FROM path JOIN link ON link.id = path.base WHERE path.snapshot IS NULL)
		SELECT base, iif(snapshot IS NULL, payload, NULL), snapshot FROM path ORDER BY id`, id)
	if err != nil {
		return p, false, err
	}
	defer rows.Close()
	for n := 0; rows.Next(); n++ {
		var base int64
		var payload, snapshot []byte
		if err := rows.Scan(&base, &payload, &snapshot); err != nil {
			return p, false, err
		}
		if snapshot != nil {
			p.Snapshot = snapshot
		} else {
			p.Payloads = append(p.Payloads, payload)
		}
		whole = whole || n == 0 && (snapshot != nil || base == beginning)
	}
	return p, whole, rows.Err()
}

// absence is how long a hub may be silent before others work as if it were gone.
const absence = 5 * time.Minute

// Alone notes that a hub is at work, see hub.Chains. Clocks of several machines
// differ, so what lies in the future counts as the past does.
func (s *Sink) Alone(ctx context.Context, name string) (alone bool, err error) {
	err = s.update(ctx, func(t *tx) error {
		_, err := t.exec("DELETE FROM hub WHERE name = ? OR abs(seen_ms - ?) > ?", name, t.now, absence.Milliseconds())
		if err != nil {
			return err
		}
		if err := t.row("SELECT count(*) = 0 FROM hub", nil, &alone); err != nil {
			return err
		}
		_, err = t.exec("INSERT INTO hub VALUES (?, ?)", name, t.now)
		return err
	})
	if err != nil {
		return false, fmt.Errorf("hubs at work: %w", err)
	}
	return alone, nil
}

// Kept is what is here of chains.
type Kept struct {
	Links int64
	Bytes int64 // of payloads and snapshots
}

// Chains returns what is kept of the chains of a site.
func (v *View) Chains(ctx context.Context, site string) (k Kept, err error) {
	err = v.db.QueryRowContext(ctx, "SELECT count(*), coalesce(sum(length(payload) + coalesce(length(snapshot), 0)), 0) FROM link WHERE site = (SELECT id FROM site WHERE site = ?)", site).Scan(&k.Links, &k.Bytes)
	if err != nil {
		return k, fmt.Errorf("chains of site %s: %w", site, err)
	}
	return k, nil
}

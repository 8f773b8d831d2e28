package sqlite

import (
	"context"
	"errors"
	"fmt"
	"time"

	"skyhaul/link/batch"
)

// Limits of the commands of one site: they all go down in one document.
const (
	maxOpen = 16
	maxBody = 1 << 10 // see batch.Command
)

// Queue adds a command to the open ones of a site and returns it with its id. A
// skyhub that runs on the same database publishes it within seconds.
func (s *Sink) Queue(ctx context.Context, site string, body []byte, deadline time.Time) (batch.Command, error) {
	c := batch.Command{Deadline: deadline.UnixMilli(), Body: body}
	err := s.update(ctx, func(t *tx) error {
		if len(body) > maxBody {
			return fmt.Errorf("body of %d bytes, at most %d go", len(body), maxBody)
		}
		if c.Deadline <= t.now {
			return fmt.Errorf("deadline %s has passed", deadline.UTC().Format(time.RFC3339))
		}
		var id, open int64
		err := t.row("SELECT id, (SELECT count(*) FROM command WHERE command.site = site.id AND deadline_ms > ?) FROM site WHERE site = ?", []any{t.now, site}, &id, &open)
		if err != nil {
			return fmt.Errorf("unknown site: %w", err)
		}
		if open >= maxOpen {
			return errors.New("it has 16 open commands already; wait for a deadline to pass")
		}
		res, err := t.exec("INSERT INTO command (site, deadline_ms, body, queued_ms) VALUES (?, ?, ?, ?)", id, c.Deadline, nonNil(body), t.now)
		if err != nil {
			return err
		}
		n, err := res.LastInsertId()
		c.ID = uint64(n)
		if err != nil {
			return err
		}
		_, err = t.exec("UPDATE site SET down_at = max(?, down_at + 1) WHERE id = ?", t.now, id)
		return err
	})
	if err != nil {
		return c, fmt.Errorf("command for site %s: %w", site, err)
	}
	return c, nil
}

// Down returns the open commands of a site, the oldest first.
func (s *Sink) Down(ctx context.Context, site string) (*batch.Down, error) {
	d := &batch.Down{}
	err := s.update(ctx, func(t *tx) error {
		if err := t.row("SELECT coalesce(max(down_at), 0) FROM site WHERE site = ?", []any{site}, &d.At); err != nil {
			return err
		}
		var err error
		d.Commands, err = t.commands(site)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("commands of site %s: %w", site, err)
	}
	return d, nil
}

func (t *tx) commands(site string) ([]batch.Command, error) {
	rows, err := t.s.conn.QueryContext(t.ctx, `SELECT command.id, deadline_ms, body FROM command JOIN site ON site.id = command.site
		WHERE site.site = ? AND deadline_ms > ? ORDER BY command.id`, site, t.now)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []batch.Command
	for rows.Next() {
		var c batch.Command
		if err := rows.Scan(&c.ID, &c.Deadline, &c.Body); err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	return all, rows.Err()
}

package sqlite

import (
	_ "embed"
	"errors"
	"fmt"

	"skyhaul/edge/point"
)

//go:embed schema.sql
var ddl string

// version is the PRAGMA user_version of schema.sql.
const version = 1

var errForeign = errors.New("it holds tables of another program")

// create makes the tables in an empty database and refuses a strange one.
func create(t *tx) error {
	var found, tables int
	if err := t.row("PRAGMA user_version", nil, &found); err != nil {
		return err
	}
	if err := t.row("SELECT count(*) FROM sqlite_schema", nil, &tables); err != nil {
		return err
	}
	switch {
	case found == version:
		return nil
	case found != 0:
		return fmt.Errorf("it is of version %d, this program knows %d", found, version)
	case tables != 0:
		return errForeign
	}
	if _, err := t.s.conn.ExecContext(t.ctx, ddl); err != nil {
		return err
	}
	if err := t.words(); err != nil {
		return err
	}
	_, err := t.s.conn.ExecContext(t.ctx, fmt.Sprintf("PRAGMA user_version = %d", version))
	return err
}

// words fills the tables that say what the numbers mean.
func (t *tx) words() error {
	for q := point.Quality(0); q.Status() <= point.Bad; q++ {
		if !q.Valid() {
			continue
		}
		if _, err := t.exec("INSERT INTO quality VALUES (?, ?, ?)", int64(q), q.Status().String(), q.Reason().String()); err != nil {
			return err
		}
	}
	for q := point.Synced; q <= point.Repaired; q++ {
		if _, err := t.exec("INSERT INTO time_quality VALUES (?, ?)", int64(q), q.String()); err != nil {
			return err
		}
	}
	return nil
}

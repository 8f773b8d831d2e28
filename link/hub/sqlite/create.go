package sqlite

import (
	_ "embed"
	"errors"
	"fmt"
	"strings"

	"skyhaul/edge/point"
)

var (
	//go:embed schema.sql
	tables string
	//go:embed chains.sql
	chains string
	//go:embed archives.sql
	archives string
	//go:embed views.sql
	views string
)

// version is the PRAGMA user_version of schema.sql, chains.sql and archives.sql.
const version = 4

// upgrades give tables of version 1, 2 ... what those of the next have.
var upgrades = []string{
	`ALTER TABLE schema ADD COLUMN interval_ms INTEGER NOT NULL DEFAULT 0;
	ALTER TABLE point ADD COLUMN statistic TEXT NOT NULL DEFAULT '';`,

	`ALTER TABLE point ADD COLUMN rule TEXT NOT NULL DEFAULT '';
	ALTER TABLE point ADD COLUMN error REAL NOT NULL DEFAULT 0;
	ALTER TABLE point ADD COLUMN silence_ms INTEGER NOT NULL DEFAULT 0;
	ALTER TABLE site ADD COLUMN unchained INTEGER NOT NULL DEFAULT 0;` + chains,

	archives,
}

var errForeign = errors.New("it holds tables of another program")

// create makes the tables in an empty database, upgrades those of an older
// version and refuses a strange one.
func create(t *tx) error {
	var found, others int
	if err := t.row("PRAGMA user_version", nil, &found); err != nil {
		return err
	}
	if err := t.row("SELECT count(*) FROM sqlite_schema", nil, &others); err != nil {
		return err
	}
	switch {
	case found == version:
		return nil
	case found > 0 && found < version:
		if err := t.script(strings.Join(upgrades[found-1:], "\n")); err != nil {
			return err
		}
		return t.readAgain()
	case found != 0:
		return fmt.Errorf("it is of version %d, this program knows %d", found, version)
	case others != 0:
		return errForeign
	}
	if err := t.script(tables + chains + archives); err != nil {
		return err
	}
	return t.words()
}

// script changes the tables; what they are then is of this version.
func (t *tx) script(ddl string) error {
	_, err := t.s.conn.ExecContext(t.ctx, fmt.Sprintf("%s\n%s\nPRAGMA user_version = %d", ddl, views, version))
	return err
}

// words fills the tables that say what the numbers mean.
func (t *tx) words() error {
	for q := point.Quality(0); q.Status() <= point.Bad; q++ {
		if !q.Valid() || q == point.Unrecorded {
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

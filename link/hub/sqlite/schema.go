package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"skyhaul/edge/point"
	"skyhaul/link/batch"
)

// schemaKey names a schema: sites keep their own, though the content be equal.
type schemaKey struct {
	site int64
	id   point.SchemaID
}

// schema is a schema that the database has.
type schema struct {
	*point.Schema
	row int64
}

// maxSchemas bounds what is kept in memory; beyond, all is forgotten and read anew.
const maxSchemas = 4096

// Schema finds a schema that an earlier batch of the site carried.
func (s *Sink) Schema(ctx context.Context, site string, id point.SchemaID) (*point.Schema, bool, error) {
	var found *point.Schema
	err := s.update(ctx, func(t *tx) error {
		var row int64
		err := t.row("SELECT id FROM site WHERE site = ?", []any{site}, &row)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		sc, _, err := t.schema(row, id)
		found = sc.Schema
		return err
	})
	if err != nil {
		return nil, false, fmt.Errorf("schema %s of site %s: %w", id, site, err)
	}
	return found, found != nil, nil
}

// schema finds a schema in memory or in the database.
func (t *tx) schema(site int64, id point.SchemaID) (schema, bool, error) {
	key := schemaKey{site, id}
	if sc, ok := t.s.schemas[key]; ok {
		return sc, true, nil
	}
	if sc, ok := t.schemas[key]; ok {
		return sc, true, nil
	}
	var sc schema
	var body []byte
	err := t.row("SELECT id, body FROM schema WHERE site = ? AND schema = ?", []any{site, id.String()}, &sc.row, &body)
	if errors.Is(err, sql.ErrNoRows) {
		return schema{}, false, nil
	}
	if err != nil {
		return schema{}, false, err
	}
	if sc.Schema, _, err = point.ParseSchema(body); err != nil {
		return schema{}, false, err
	}
	t.keep(key, sc)
	return sc, true, nil
}

// keep remembers a schema for this transaction, and for ever once it is committed.
func (t *tx) keep(key schemaKey, sc schema) {
	t.schemas[key] = sc
	t.after = append(t.after, func() {
		if len(t.s.schemas) >= maxSchemas {
			clear(t.s.schemas)
		}
		t.s.schemas[key] = sc
	})
}

// saveSchemas writes the schemas that came with a batch and are not there yet.
func (t *tx) saveSchemas(site, epoch int64, b *batch.Batch) error {
	for _, sc := range b.Schemas {
		id := sc.ID()
		_, found, err := t.schema(site, id)
		if err != nil {
			return err
		}
		if found {
			continue
		}
		res, err := t.exec("INSERT INTO schema (site, schema, grp, body, epoch, seq, interval_ms) VALUES (?, ?, ?, ?, ?, ?, ?)",
			site, id.String(), sc.Group, sc.Append(nil), epoch, firstSeen(id, b), sc.Interval.Milliseconds())
		if err != nil {
			return err
		}
		row, err := res.LastInsertId()
		if err != nil {
			return err
		}
		if err := t.savePoints(row, sc); err != nil {
			return err
		}
		t.keep(schemaKey{site, id}, schema{Schema: sc, row: row})
	}
	return nil
}

func (t *tx) savePoints(row int64, sc *point.Schema) error {
	for i := range sc.Columns {
		c := &sc.Columns[i]
		_, err := t.exec("INSERT INTO point VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
			row, int64(i), int64(c.ID), c.Tag, c.Description, c.Unit, c.Type.String(), number(c.Scale.Factor), number(c.Scale.Offset), int64(c.Decimals),
			c.Statistic.String(), c.Rule.Method.String(), c.Rule.Error, c.Rule.Silence.Milliseconds())
		if err != nil {
			return err
		}
	}
	return nil
}

// firstSeen returns the first record of b that names the schema.
func firstSeen(id point.SchemaID, b *batch.Batch) int64 {
	for _, r := range b.Records {
		if named, ok := point.ScanSchema(r.Data); ok && named == id {
			return int64(r.First)
		}
	}
	return int64(b.First)
}

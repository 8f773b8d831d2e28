package edge

import (
	"fmt"
	"log/slog"
	"strings"
	"sync"

	"skyhaul/edge/point"
	"skyhaul/edge/stable"
)

// Schemas holds every schema that a record in the buffer may name. A schema is
// on disk before the first record that names it. Safe for concurrent use.
type Schemas struct {
	dir *stable.Dir

	mu   sync.RWMutex
	byID map[point.SchemaID]*point.Schema // guarded by mu
}

const schemaPrefix = "schema-"

// OpenSchemas loads what earlier runs kept. A schema that can't be read costs
// its records their columns, not their bytes: they travel as they are.
func OpenSchemas(dir *stable.Dir, log *slog.Logger) (*Schemas, error) {
	names, err := dir.List(schemaPrefix)
	if err != nil {
		return nil, fmt.Errorf("list schemas: %w", err)
	}
	s := &Schemas{dir: dir, byID: map[point.SchemaID]*point.Schema{}}
	for _, name := range names {
		b, err := dir.Load(name)
		if err == nil {
			var schema *point.Schema
			if schema, _, err = point.ParseSchema(b); err == nil {
				s.byID[schema.ID()] = schema
				continue
			}
		}
		log.Warn("schema is unreadable", "schema", strings.TrimPrefix(name, schemaPrefix), "err", err)
	}
	return s, nil
}

// keep makes a schema durable.
func (s *Schemas) keep(schema *point.Schema) error {
	id := schema.ID()
	if _, ok := s.Lookup(id); ok {
		return nil
	}
	if err := s.dir.Save(schemaPrefix+id.String(), schema.Append(nil)); err != nil {
		return fmt.Errorf("keep schema of group %q: %w", schema.Group, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.byID[id] = schema
	return nil
}

// Lookup is a point.Lookup.
func (s *Schemas) Lookup(id point.SchemaID) (*point.Schema, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	schema, ok := s.byID[id]
	return schema, ok
}

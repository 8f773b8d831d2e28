package batch

import (
	"slices"

	"skyhaul/bufferstore"
	"skyhaul/edge/point"
)

// entry is a record or gap on its way into a body.
type entry struct {
	bufferstore.Record
	group   *group // of a scan that goes column by column; nil for all else
	stamp   point.Stamp
	quality []point.Quality // nil where all are good
}

// group is the scans of one schema.
type group struct {
	id     point.SchemaID
	schema *point.Schema // nil in a reader
	types  []point.Type  // of the columns
	tail   int           // bytes that the values take at the end of a record
	first  int           // place among the entries of the first that is its own
	// carried is the schema's place, from 1, among those that the batch
	// carries; 0 where the other side holds it.
	carried int
	symbol  int      // in the order of the body
	scans   []*entry // those of the body being written
}

// intake sorts records into groups. It copies nothing but qualities.
type intake struct {
	schemas point.Lookup
	groups  map[point.SchemaID]*group // nil for a schema that isn't known
	entries []entry
	bytes   int // of the records
	scan    point.Scan
}

func newIntake(schemas point.Lookup) intake {
	return intake{schemas: schemas, groups: make(map[point.SchemaID]*group)}
}

func (in *intake) reset() {
	clear(in.groups)
	clear(in.entries)
	in.entries, in.bytes = in.entries[:0], 0
}

// add takes a record or gap; its data must stay as they are until the reset.
func (in *intake) add(rec bufferstore.Record) {
	e := entry{Record: rec}
	if id, ok := point.ScanSchema(rec.Data); ok && rec.Lost == bufferstore.Kept {
		g := in.group(id)
		if g != nil && in.scan.Decode(rec.Data, g.schema) == nil {
			e.group, e.stamp = g, in.scan.Stamp
			if slices.ContainsFunc(in.scan.Quality, func(q point.Quality) bool { return q != 0 }) {
				e.quality = slices.Clone(in.scan.Quality)
			}
		}
	}
	in.entries = append(in.entries, e)
	in.bytes += len(rec.Data)
}

func (in *intake) group(id point.SchemaID) *group {
	g, ok := in.groups[id]
	if !ok {
		if s := lookUp(in.schemas, id); s != nil && len(in.groups) < maxGroups {
			g = newGroup(id, typesOf(s))
			g.schema, g.first = s, len(in.entries)
		}
		in.groups[id] = g
	}
	return g
}

// lookUp returns the schema of an id, nil where it isn't found or isn't what its
// id says: that would make batches that no one can read.
func lookUp(schemas point.Lookup, id point.SchemaID) *point.Schema {
	s, ok := schemas(id)
	if !ok || len(s.Columns) > point.MaxColumns || s.ID() != id {
		return nil
	}
	return s
}

func newGroup(id point.SchemaID, types []point.Type) *group {
	g := &group{id: id, types: types}
	for _, t := range types {
		g.tail += t.Size()
	}
	return g
}

func typesOf(s *point.Schema) []point.Type {
	types := make([]point.Type, len(s.Columns))
	for i := range s.Columns {
		types[i] = s.Columns[i].Type
	}
	return types
}

package batch

import (
	"math"
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
	first  int           // place among the entries of the first that is its own, or unused
	// carried is the schema's place, from 1, among those that the batch
	// carries; 0 where the other side holds it.
	carried int
	symbol  int      // in the order of the body
	scans   []*entry // those of the body being written
}

// unused is the place of the first entry of a group that has none.
const unused = math.MaxInt

// intake sorts records into groups. It copies nothing but qualities.
type intake struct {
	schemas point.Lookup
	groups  map[point.SchemaID]*group // nil for a schema that isn't known; the others outlive the records
	used    int                       // how many of the groups have entries
	entries []entry
	quality []point.Quality // of all entries
	bytes   int             // of the records
	scan    point.Scan
}

func newIntake(schemas point.Lookup) intake {
	return intake{schemas: schemas, groups: make(map[point.SchemaID]*group)}
}

// reset lets go of the records.
func (in *intake) reset() {
	if len(in.groups) > maxGroups {
		clear(in.groups)
	}
	for id, g := range in.groups {
		if g == nil {
			delete(in.groups, id) // it may be known by the next time
			continue
		}
		g.first = unused
	}
	clear(in.entries)
	in.entries, in.quality, in.bytes, in.used = in.entries[:0], in.quality[:0], 0, 0
}

// add takes a record or gap; its data must stay as they are until the reset.
func (in *intake) add(rec bufferstore.Record) {
	e := entry{Record: rec}
	if id, ok := point.ScanSchema(rec.Data); ok && rec.Lost == bufferstore.Kept {
		g := in.group(id)
		if g != nil && in.scan.Decode(rec.Data, g.schema) == nil && in.use(g) {
			e.group, e.stamp, e.quality = g, in.scan.Stamp, in.own(in.scan.Quality)
		}
	}
	in.entries = append(in.entries, e)
	in.bytes += len(rec.Data)
}

// bytesOf returns the bytes of the first n records.
func (in *intake) bytesOf(n int) int {
	if n == len(in.entries) {
		return in.bytes
	}
	sum := 0
	for i := range in.entries[:n] {
		sum += len(in.entries[i].Data)
	}
	return sum
}

// group returns the group of a schema, nil if that isn't known.
func (in *intake) group(id point.SchemaID) *group {
	g, ok := in.groups[id]
	if !ok {
		if s := lookUp(in.schemas, id); s != nil {
			made := newGroup(id, typesOf(s))
			g = &made
			g.schema, g.first = s, unused
		}
		in.groups[id] = g
	}
	return g
}

// use notes that the next entry is of g; false if that were too many groups.
func (in *intake) use(g *group) bool {
	if g.first != unused {
		return true
	}
	if in.used == maxGroups {
		return false
	}
	g.first = len(in.entries)
	in.used++
	return true
}

// own returns a copy of the qualities of a scan, nil where all are good.
func (in *intake) own(row []point.Quality) []point.Quality {
	if !slices.ContainsFunc(row, func(q point.Quality) bool { return q != 0 }) {
		return nil
	}
	at := len(in.quality)
	in.quality = append(in.quality, row...) // those of earlier entries stay where they are
	return in.quality[at:len(in.quality):len(in.quality)]
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

func newGroup(id point.SchemaID, types []point.Type) group {
	g := group{id: id, types: types}
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

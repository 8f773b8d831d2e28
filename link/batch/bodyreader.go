package batch

import (
	"slices"

	"skyhaul/bufferstore"
	"skyhaul/edge/point"
)

// bodyReader reads bodies, reusing its memory. It makes records without
// epoch and numbers: First is 0, and Last is how many more numbers a gap takes.
type bodyReader struct {
	// lend says that records are done with before the next body is read, so that
	// their memory serves that too.
	lend   bool
	unpack unpacker
	page   pageReader

	runs    []run
	groups  []*group
	records [][][]byte // of each group, in order
	merged  []bufferstore.Record
	left    int // bytes that records may still take
}

// run is one line of the order section.
type run struct {
	symbol int
	n      int
	gap    uint64 // numbers of a gap
	lost   bufferstore.Reason
}

// finder returns the types of the columns of a schema that the body names, but
// that isn't carried. It is called once for each, in order.
type finder func(point.SchemaID) (types []point.Type, ok bool)

// read takes a body off src. It returns nil records, with src.bad set, for what
// no writer made, and a SchemaError with nothing but an id for a schema that
// is neither carried nor found.
func (r *bodyReader) read(src *source, carried []*point.Schema, find finder) ([]bufferstore.Record, error) {
	r.left = maxBytes
	if err := r.readGroups(src, carried, find); err != nil || src.bad {
		return nil, err
	}
	counts := r.readOrder(src)
	if src.bad {
		return nil, nil
	}
	r.records = resize(r.records, len(r.groups))
	if len(r.groups) > 0 {
		r.readScans(src, counts[symbolScan:])
	}
	var opaque [][]byte
	if counts[symbolOpaque] > 0 {
		opaque = r.readOpaque(src, counts[symbolOpaque])
	}
	if src.bad {
		return nil, nil
	}
	return r.merge(opaque), nil
}

func (r *bodyReader) readGroups(src *source, carried []*point.Schema, find finder) error {
	used := 0
	r.groups = r.groups[:0]
	for range src.count(maxGroups) {
		if place := src.count(len(carried)); place > 0 {
			if place != used+1 { // each is named once, in order
				src.bad = true
				return nil
			}
			used = place
			r.groups = append(r.groups, newGroup(carried[place-1].ID(), typesOf(carried[place-1])))
			continue
		}
		var id point.SchemaID
		copy(id[:], src.take(uint64(len(id))))
		if src.bad {
			return nil
		}
		types, ok := find(id)
		if !ok {
			return SchemaError{ID: id}
		}
		r.groups = append(r.groups, newGroup(id, types))
	}
	return nil
}

// readOrder fills r.runs and returns how many records there are of each symbol.
func (r *bodyReader) readOrder(src *source) []int {
	order := source{b: r.unpack.next(src)}
	counts := make([]int, symbolScan+len(r.groups))
	r.runs = r.runs[:0]
	for total := 0; len(order.b) > 0 && !order.bad; {
		u := run{symbol: order.count(len(counts) - 1), n: 1}
		if u.symbol == symbolGap {
			u.gap = order.uvarint()
			u.lost = bufferstore.Reason(order.byte())
			order.bad = order.bad || u.gap == 0 || u.lost == bufferstore.Kept || !u.lost.Valid()
		} else {
			u.n = order.count(maxRecords)
		}
		if total += u.n; total > maxRecords {
			order.bad = true
		}
		counts[u.symbol] += u.n
		r.runs = append(r.runs, u)
	}
	src.bad = src.bad || order.bad
	return counts
}

func (r *bodyReader) readOpaque(src *source, n int) [][]byte {
	lengths := source{b: r.unpack.next(src)}
	all := source{b: r.unpack.next(src)}
	if !r.lend { // never src's memory
		all.b = slices.Clone(all.b)
	}
	opaque := make([][]byte, n)
	for i := range opaque {
		opaque[i] = all.take(uint64(lengths.count(maxBytes)))
	}
	src.bad = src.bad || lengths.bad || all.bad || len(all.b) > 0
	return opaque
}

// readScans fills r.records; counts are the scans of each group.
func (r *bodyReader) readScans(src *source, counts []int) {
	quality := source{b: r.unpack.next(src)}
	c := &r.page.columns
	c.modes = source{b: r.unpack.next(src)}
	c.exponents = source{b: r.unpack.next(src)}
	c.numbers = source{b: r.unpack.next(src)}
	r.readPools(src)
	r.page.b = r.page.b[:0]
	for i, g := range r.groups {
		if src.bad || int64(counts[i])*int64(minScan+g.tail) > int64(r.left) {
			src.bad = true
			return
		}
		rows := readQuality(&quality, counts[i], len(g.types))
		records := r.records[i][:0]
		if !r.lend {
			r.page.b, records = nil, nil
		}
		r.page.room(counts[i] * (usualScan + g.tail))
		for at := 0; at < counts[i] && !src.bad && !quality.bad; at += pageScans {
			records = r.readPage(records, g, rows[at:min(at+pageScans, counts[i])])
			src.bad = c.bad() || r.left < 0
		}
		src.bad = src.bad || quality.bad
		r.records[i] = records
	}
}

// What a scan record takes beside its values: at least, and as a rule.
const (
	minScan   = 15
	usualScan = 30
)

func (r *bodyReader) readPools(src *source) {
	c := &r.page.columns
	c.planes = planeReader{pools: c.planes.pools[:0]}
	c.bits.reset(nil)
	pools := int(src.byte())
	if pools == 0 {
		return
	}
	c.planes.assign = r.unpack.next(src)
	for range pools {
		c.planes.pools = append(c.planes.pools, r.unpack.next(src))
	}
	c.bits.reset(r.unpack.next(src))
}

// readPage reads a page and appends its records; rows are their qualities.
func (r *bodyReader) readPage(records [][]byte, g *group, rows [][]point.Quality) [][]byte {
	begin := len(r.page.b)
	r.page.heads(g, rows)
	if r.left -= len(r.page.b) - begin; r.left < 0 {
		return records
	}
	r.page.values(g, rows)
	for _, tail := range r.page.tails {
		end := tail + g.tail
		records = append(records, r.page.b[begin:end:end])
		begin = end
	}
	return records
}

// merge puts the records of all symbols back into their order.
func (r *bodyReader) merge(opaque [][]byte) []bufferstore.Record {
	recs := r.merged[:0]
	for _, u := range r.runs {
		if u.symbol == symbolGap {
			recs = append(recs, bufferstore.Record{Last: bufferstore.Seq(u.gap - 1), Lost: u.lost})
			continue
		}
		from := &opaque
		if u.symbol >= symbolScan {
			from = &r.records[u.symbol-symbolScan]
		}
		for _, data := range (*from)[:u.n] {
			recs = append(recs, bufferstore.Record{Data: data})
		}
		*from = (*from)[u.n:]
	}
	if r.lend {
		r.merged = recs
	}
	return recs
}

func resize[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}

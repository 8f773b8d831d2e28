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
	groups  []group
	counts  []int // of the records of each symbol
	rows    [][]point.Quality
	records [][]byte   // of all symbols
	of      [][][]byte // of each symbol, in order: parts of records
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
	r.readOrder(src)
	if src.bad {
		return nil, nil
	}
	r.share()
	if len(r.groups) > 0 {
		r.readScans(src)
	}
	if r.counts[symbolOpaque] > 0 {
		r.readOpaque(src)
	}
	if src.bad {
		return nil, nil
	}
	return r.merge(), nil
}

// share gives each symbol its part of r.records.
func (r *bodyReader) share() {
	total := 0
	for _, n := range r.counts {
		total += n
	}
	r.records, r.of = resize(r.records, total), r.of[:0]
	rest := r.records
	for _, n := range r.counts {
		r.of, rest = append(r.of, rest[:n:n]), rest[n:]
	}
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

// readOrder fills r.runs and r.counts.
func (r *bodyReader) readOrder(src *source) {
	order := source{b: r.unpack.next(src)}
	r.counts = resize(r.counts, symbolScan+len(r.groups))
	clear(r.counts)
	r.runs = r.runs[:0]
	for total := 0; len(order.b) > 0 && !order.bad; {
		u := run{symbol: order.count(len(r.counts) - 1), n: 1}
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
		r.counts[u.symbol] += u.n
		r.runs = append(r.runs, u)
	}
	src.bad = src.bad || order.bad
}

func (r *bodyReader) readOpaque(src *source) {
	lengths := source{b: r.unpack.next(src)}
	all := source{b: r.unpack.next(src)}
	if !r.lend { // never src's memory
		all.b = slices.Clone(all.b)
	}
	for i := range r.of[symbolOpaque] {
		r.of[symbolOpaque][i] = all.take(uint64(lengths.count(maxBytes)))
	}
	src.bad = src.bad || lengths.bad || all.bad || len(all.b) > 0
}

// readScans fills r.of of the groups.
func (r *bodyReader) readScans(src *source) {
	quality := source{b: r.unpack.next(src)}
	c := &r.page.columns
	c.modes = source{b: r.unpack.next(src)}
	c.exponents = source{b: r.unpack.next(src)}
	c.numbers = source{b: r.unpack.next(src)}
	r.readPools(src)
	r.page.b = r.page.b[:0]
	for i := range r.groups {
		g, n := &r.groups[i], r.counts[symbolScan+i]
		if src.bad || int64(n)*int64(minScan+g.tail) > int64(r.left) {
			src.bad = true
			return
		}
		r.rows = readQuality(&quality, r.rows, n, len(g.types))
		if !r.lend {
			r.page.b = nil
		}
		r.page.room(n * (usualScan + g.tail))
		records := r.of[symbolScan+i][:0]
		for at := 0; at < n && !src.bad && !quality.bad; at += pageScans {
			records = r.readPage(records, g, r.rows[at:min(at+pageScans, n)])
			src.bad = c.bad() || r.left < 0
		}
		src.bad = src.bad || quality.bad
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
func (r *bodyReader) merge() []bufferstore.Record {
	recs := slices.Grow(r.merged[:0], len(r.records))
	for _, u := range r.runs {
		if u.symbol == symbolGap {
			recs = append(recs, bufferstore.Record{Last: bufferstore.Seq(u.gap - 1), Lost: u.lost})
			continue
		}
		from := &r.of[u.symbol]
		for _, data := range (*from)[:u.n] {
			recs = append(recs, bufferstore.Record{Data: data})
		}
		*from = (*from)[u.n:]
	}
	clear(r.records) // they are the caller's
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

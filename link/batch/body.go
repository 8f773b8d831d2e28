package batch

import (
	"encoding/binary"

	"skyhaul/bufferstore"
	"skyhaul/edge/point"
)

// What a body may come to. A decoder refuses more, so a small payload can't
// make it take more than about three times maxBytes of memory.
const (
	maxBytes   = 16 << 20 // of records; and again of unpacked sections
	maxRecords = 1 << 16  // records and gaps
	maxGroups  = 1024     // schemas of scans that go column by column
)

// The symbols of the order section: what comes next. The values are part of the format.
const (
	symbolGap    = iota
	symbolOpaque // a record of any kind, byte for byte
	symbolScan   // of group 0; the other groups follow
)

// bodyWriter writes bodies, reusing its memory.
type bodyWriter struct {
	pack    packer
	pooler  pooler
	scans   scanWriter
	order   []byte
	lengths []byte // of opaque records
	opaque  []byte
	groups  []*group // of the body, in order of appearance
}

// sort puts entries into their groups and the order section:
//
//	{ 0 | numbers uvarint | reason u8 }    a gap
//	{ 1 | n uvarint }                      n opaque records
//	{ 2 + group | n uvarint }              n scans
func (w *bodyWriter) sort(entries []entry) {
	w.order, w.lengths, w.opaque, w.groups = w.order[:0], w.lengths[:0], w.opaque[:0], w.groups[:0]
	for i := range entries {
		if g := entries[i].group; g != nil {
			g.symbol, g.scans = 0, g.scans[:0]
		}
	}
	for i := 0; i < len(entries); {
		symbol, n := w.symbol(&entries[i]), 1
		if symbol == symbolGap {
			w.order = append(w.order, symbolGap)
			w.order = binary.AppendUvarint(w.order, uint64(entries[i].Last-entries[i].First)+1)
			w.order = append(w.order, byte(entries[i].Lost))
			i++
			continue
		}
		for i+n < len(entries) && w.symbol(&entries[i+n]) == symbol {
			n++
		}
		w.order = binary.AppendUvarint(w.order, uint64(symbol))
		w.order = binary.AppendUvarint(w.order, uint64(n))
		w.take(entries[i : i+n])
		i += n
	}
}

// symbol returns the symbol of an entry, opening its group if it is the first of it.
func (w *bodyWriter) symbol(e *entry) int {
	switch g := e.group; {
	case e.Lost != bufferstore.Kept:
		return symbolGap
	case g == nil:
		return symbolOpaque
	default:
		if g.symbol == 0 {
			g.symbol = symbolScan + len(w.groups)
			w.groups = append(w.groups, g)
		}
		return g.symbol
	}
}

// take puts entries of one symbol where they belong.
func (w *bodyWriter) take(entries []entry) {
	for i := range entries {
		e := &entries[i]
		if e.group != nil {
			e.group.scans = append(e.group.scans, e)
			continue
		}
		w.lengths = binary.AppendUvarint(w.lengths, uint64(len(e.Data)))
		w.opaque = append(w.opaque, e.Data...)
	}
}

// carry decides which schemas the payload carries and returns their canonical
// forms.
func (w *bodyWriter) carry(wanted func(point.SchemaID) bool) (forms []byte) {
	place := 0
	for _, g := range w.groups {
		g.carried = 0
		if wanted(g.id) {
			place++
			g.carried = place
			forms = g.schema.Append(forms)
		}
	}
	return forms
}

// types returns the types of all groups, as carry does their schemas:
//
//	{ columns uvarint | type u8 a column }*
func (w *bodyWriter) types() (types []byte) {
	for _, g := range w.groups {
		g.carried = 0
		types = binary.AppendUvarint(types, uint64(len(g.types)))
		for _, t := range g.types {
			types = append(types, byte(t))
		}
	}
	return types
}

// append appends the schemas or types that are carried, if any, and the body of
// what sort has sorted; doc.go has the layout.
func (w *bodyWriter) append(dst, carried []byte) []byte {
	w.pack.unpacked = 0
	if len(carried) > 0 {
		dst = w.pack.append(dst, carried)
	}
	dst = binary.AppendUvarint(dst, uint64(len(w.groups)))
	for _, g := range w.groups {
		dst = binary.AppendUvarint(dst, uint64(g.carried))
		if g.carried == 0 {
			dst = append(dst, g.id[:]...)
		}
	}
	dst = w.pack.append(dst, w.order)
	if len(w.groups) > 0 {
		dst = w.appendScans(dst)
	}
	if len(w.lengths) > 0 {
		dst = w.pack.append(dst, w.lengths)
		dst = w.pack.append(dst, w.opaque)
	}
	return dst
}

func (w *bodyWriter) appendScans(dst []byte) []byte {
	w.scans.reset()
	for _, g := range w.groups {
		w.scans.add(g)
	}
	c := &w.scans.columns
	dst = w.pack.append(dst, w.scans.quality)
	dst = w.pack.append(dst, c.modes)
	dst = w.pack.append(dst, c.exponents)
	dst = w.pack.append(dst, c.numbers)
	pools := w.pooler.sort(c.planes)
	dst = append(dst, byte(len(pools)))
	if len(pools) == 0 {
		return dst
	}
	dst = w.pack.append(dst, w.pooler.assign)
	for _, p := range pools {
		dst = w.pack.append(dst, p.b)
	}
	return w.pack.append(dst, c.bits.bytes())
}

package bufferstore

import (
	"encoding/binary"
	"maps"
	"slices"
	"time"
)

// found is what is known of a lane on disk, but for its records.
type found struct {
	state   state
	spans   []span
	cursors map[string]marks
}

func newFound() *found {
	return &found{state: state{first: 1, next: 1}, cursors: map[string]marks{}}
}

// appendCheckpoint writes what is known of all lanes. Lists begin with their length, u32:
//
//	checkpoint: age u64, ns | list of lanes
//	lane:       lane | first u64 | end u64 | next segment u64 | spans | gaps | cursors | segments
//	span:       epoch [8] | parent [8] | first u64
//	gap:        first u64 | last u64 | reason u8
//	cursor:     name | marks: see kindCursor
//	segment:    see kindSealed
func appendCheckpoint(b []byte, age time.Duration, all map[string]*found) []byte {
	b = appendU64(b, uint64(age))
	b = binary.BigEndian.AppendUint32(b, uint32(len(all)))
	for _, name := range slices.Sorted(maps.Keys(all)) {
		f := all[name]
		b = appendText(b, name)
		b = appendU64(b, uint64(f.state.first), uint64(f.state.end), f.state.next)
		b = appendSpans(b, f.spans)
		b = binary.BigEndian.AppendUint32(b, uint32(len(f.state.gaps)))
		for _, g := range f.state.gaps {
			b = appendGapBody(b, g)
		}
		b = appendCursors(b, f.cursors)
		b = binary.BigEndian.AppendUint32(b, uint32(len(f.state.segments)))
		for _, g := range f.state.segments {
			b = appendSegment(b, g)
		}
	}
	return b
}

// decodeCheckpoint reads what appendCheckpoint wrote.
func decodeCheckpoint(b []byte) (age time.Duration, all map[string]*found, ok bool) {
	d := fields{b: b}
	age, all = time.Duration(d.u64()), map[string]*found{}
	for range d.length(41) {
		name, f := d.text(), newFound()
		f.state.first, f.state.end, f.state.next = d.seq(), d.seq(), d.u64()
		f.spans = d.spans(f.state.end)
		f.state.gaps = d.gaps(f.state.end)
		f.cursors = d.cursors()
		for range d.length(44) {
			f.state.segments = append(f.state.segments, d.segment())
		}
		all[name] = f
	}
	return age, all, d.whole() && age >= 0
}

func appendSpans(b []byte, spans []span) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(len(spans)))
	for _, sp := range spans {
		b = append(append(b, sp.epoch[:]...), sp.parent[:]...)
		b = appendU64(b, uint64(sp.first))
	}
	return b
}

// spans reads those of a lane, which are in order. The last may be without a number yet.
func (f *fields) spans(end Seq) (all []span) {
	var before Seq
	for range f.length(24) {
		sp := span{f.epoch(), f.epoch(), f.seq()}
		f.short = f.short || sp.first < before || sp.first > end+1
		all, before = append(all, sp), sp.first
	}
	return all
}

// gaps reads those of a lane, which are in order and apart.
func (f *fields) gaps(end Seq) (all []gap) {
	var before Seq
	for range f.length(17) {
		g := f.gap()
		f.short = f.short || g.first <= before || g.last > end
		all, before = append(all, g), g.last
	}
	return all
}

func appendGapBody(b []byte, g gap) []byte {
	return append(appendU64(b, uint64(g.first), uint64(g.last)), byte(g.why))
}

func (f *fields) gap() gap {
	g := gap{f.seq(), f.seq(), Reason(f.u8())}
	f.short = f.short || g.first < 1 || g.last < g.first || !g.why.Valid() || g.why == Kept
	return g
}

func appendCursors(b []byte, all map[string]marks) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(len(all)))
	for _, name := range slices.Sorted(maps.Keys(all)) {
		b = appendMarks(appendText(b, name), all[name])
	}
	return b
}

func (f *fields) cursors() map[string]marks {
	all := map[string]marks{}
	for range f.length(33) {
		all[f.text()] = f.marks()
	}
	return all
}

func appendMarks(b []byte, m marks) []byte {
	return appendU64(b, uint64(m.sent), uint64(m.acked), uint64(m.maxAge), uint64(m.maxBytes))
}

func (f *fields) marks() marks {
	return marks{f.seq(), f.seq(), time.Duration(f.u64()), int64(f.u64())}
}

func appendSegment(b []byte, g segment) []byte {
	b = appendU64(b, g.number, uint64(g.first), uint64(g.last), uint64(g.age), uint64(g.bytes))
	return binary.BigEndian.AppendUint32(b, uint32(g.chunks))
}

func (f *fields) segment() segment {
	g := segment{
		number: f.u64(), first: f.seq(), last: f.seq(),
		age: time.Duration(f.u64()), bytes: int64(f.u64()), chunks: int(f.u32()),
	}
	f.short = f.short || g.first < 1 || g.last < g.first || g.bytes < 0
	return g
}

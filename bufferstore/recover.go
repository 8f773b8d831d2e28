package bufferstore

import (
	"cmp"
	"errors"
	"maps"
	"slices"
	"time"
)

// image is what the files of a store hold.
type image struct {
	age     time.Duration
	whole   bool // a checkpoint was intact
	lanes   map[string]*found
	records map[string]map[Seq]named // candidates: what the head files hold
	current time.Duration            // age of the commit that is being replayed
}

// named is a record under its full name.
type named struct {
	kept
	epoch Epoch
}

// errVersion reports content of a newer version.
var errVersion = errors.New("written by a newer version")

// replay makes an image of the frames of the head, oldest first. Each says what
// changed, so that a damaged one costs what it said and no more; a checkpoint
// says it all again.
func replay(all []frame, open func(frame) ([]byte, error)) (*image, error) {
	m := &image{lanes: map[string]*found{}, records: map[string]map[Seq]named{}}
	for _, fr := range all {
		if fr.tag[3] > headVersion {
			return nil, errVersion
		}
		body, err := open(fr)
		if err != nil {
			return nil, err
		}
		m.apply(kind(byte(fr.kind)&^encryptedFrame), fr.tag.generation(), fields{b: body})
	}
	return m, nil
}

// lane returns what is known of a lane.
func (m *image) lane(name string) *found {
	if m.lanes[name] == nil {
		m.lanes[name] = newFound()
	}
	return m.lanes[name]
}

// apply takes in one event. One that isn't whole was made by nobody and is ignored.
func (m *image) apply(k kind, generation uint32, d fields) {
	switch k {
	case kindAge:
		if age := time.Duration(d.u64()); d.whole() && age >= 0 {
			m.current, m.age = age, max(m.age, age)
		}
		return
	case kindPacked:
		_ = unpackRecords(d.b, func(body []byte) { // what isn't whole is missing, which settle declares
			m.apply(kindRecord, generation, fields{b: body})
		})
		return
	case kindCheckpoint:
		if age, lanes, ok := decodeCheckpoint(d.b); ok {
			m.age, m.lanes, m.whole = max(m.age, age), lanes, true
		}
		return
	}
	name := d.text()
	if name == "" || d.short {
		return
	}
	f := m.lane(name)
	switch k {
	case kindRecord:
		if e, seq := d.epoch(), d.seq(); !d.short && seq > 0 {
			m.record(name, named{kept{seq, generation, m.current, d.b}, e})
		}
	case kindGap:
		if g := d.gap(); d.whole() {
			f.state.gaps = declare(f.state.gaps, g.first, g.last, g.why)
			f.state.end = max(f.state.end, g.last)
		}
	case kindCut:
		if first, from, why := d.seq(), d.seq(), Reason(d.u8()); d.whole() && first > 0 {
			if from > 0 && from < first && why.Valid() && why != Kept {
				f.state.gaps = declare(f.state.gaps, from, first-1, why)
			}
			f.state.cut(first - 1)
			f.state.end = max(f.state.end, first-1)
		}
	case kindCursor:
		if cursor, c := d.text(), d.marks(); d.whole() {
			f.cursors[cursor] = c
		}
	case kindNoCursor:
		if cursor := d.text(); d.whole() {
			delete(f.cursors, cursor)
		}
	case kindSealed:
		if g := d.segment(); d.whole() {
			f.state.set(g)
		}
	}
}

// record takes in a record. Its epoch begins a span where none is known.
func (m *image) record(lane string, r named) {
	if m.records[lane] == nil {
		m.records[lane] = map[Seq]named{}
	}
	m.records[lane][r.seq] = r
	f := m.lane(lane)
	if r.seq > f.state.end {
		f.reach(r.seq, r.epoch)
		f.state.end = r.seq
	}
}

// reach makes sure that the epoch of a number behind the end has a span.
func (f *found) reach(seq Seq, e Epoch) {
	n := len(f.spans)
	if n > 0 && f.spans[n-1].epoch == e {
		return
	}
	sp := span{epoch: e, first: seq}
	if n > 0 {
		sp.parent = f.spans[n-1].epoch
	}
	f.spans = append(f.spans, sp)
}

// set adds a segment, in the place of one of that number if there is one.
func (st *state) set(g segment) {
	i, ok := slices.BinarySearchFunc(st.segments, g.number, func(o segment, n uint64) int { return cmp.Compare(o.number, n) })
	if ok {
		st.segments[i] = g
	} else {
		st.segments = slices.Insert(st.segments, i, g)
	}
	st.end = max(st.end, g.last)
	st.next = max(st.next, g.number+1)
}

// recall takes in what the marks know of a lane beyond its head, and all they
// know where no checkpoint is left. Marks of another history are ignored.
func (f *found) recall(m *found, whole bool) {
	if whole && m.state.end <= f.state.end {
		return
	}
	own := f.spans
	if n := len(own); n > 0 {
		i := slices.IndexFunc(m.spans, func(sp span) bool { return sp.epoch == own[n-1].epoch })
		switch {
		case i < 0 && whole:
			return
		case whole:
			f.spans = append(own, m.spans[i+1:]...)
		case i >= 0:
			f.spans = m.spans
		default: // the marks end before the newest epochs
			f.spans = slices.Clone(m.spans)
			for _, sp := range own {
				f.reach(sp.first, sp.epoch)
			}
		}
	} else {
		f.spans = m.spans
	}
	maps.Copy(f.cursors, m.cursors)
	f.state.first = max(f.state.first, m.state.first)
	f.state.end = max(f.state.end, m.state.end)
}

// settle brings a lane in order, with the segments that are there: what was
// found is put where it belongs, and what is missing is declared. It returns
// the numbers declared anew, and the segments without use.
func (f *found) settle(there []present, records map[Seq]named) (lost []gap, useless []uint64) {
	st := &f.state
	useless = f.adopt(there)
	st.first = max(1, min(st.first, st.end+1))
	st.fill(records, f.spans)
	for pos := st.first; pos <= st.end; {
		p := st.at(pos)
		if p.lost == Damaged && !slices.ContainsFunc(st.gaps, func(g gap) bool { return g.first <= pos && pos <= g.last }) {
			lost = append(lost, gap{pos, p.last, Damaged})
			st.gaps = declare(st.gaps, pos, p.last, Damaged)
		}
		pos = p.last + 1
	}
	for name, c := range f.cursors {
		c.acked = min(c.acked, st.end)
		c.sent = max(c.acked, min(c.sent, st.end))
		f.cursors[name] = c
	}
	st.bytes = 0
	for p := range st.pieces {
		st.bytes += p.bytes
	}
	return lost, useless
}

// present is a segment on disk. Of one that the head doesn't know, the epochs
// of its chunks were read.
type present struct {
	segment
	epochs []extent
}

// adopt keeps the segments that are there: those that are known, and those that
// a cut kept from being noted. Where two of these overlap the older one stays. It
// returns those without use: what they hold is given up, or in one that is known.
func (f *found) adopt(there []present) (useless []uint64) {
	st := &f.state
	var known []segment
	for _, g := range there {
		if g.epochs == nil {
			known = append(known, g.segment)
		}
	}
	st.segments = nil
	next := Seq(1)
	var before []span
	for _, g := range there {
		st.next = max(st.next, g.number+1)
		if g.last < st.first || g.epochs != nil && slices.ContainsFunc(known, g.within) {
			if !slices.ContainsFunc(g.epochs, f.foreign) {
				useless = append(useless, g.number)
			}
			continue
		}
		if g.first < next {
			continue
		}
		for _, c := range g.epochs {
			if len(f.spans) > 0 && f.spans[0].first <= c.first {
				if c.first > st.end {
					f.reach(c.first, c.epoch)
				}
			} else if n := len(before); n == 0 || before[n-1].epoch != c.epoch {
				before = append(before, span{epoch: c.epoch, first: c.first})
			}
		}
		st.segments = append(st.segments, g.segment)
		st.end, next = max(st.end, g.last), g.last+1
	}
	f.precede(before)
	return useless
}

// foreign reports whether a chunk is of another history than the lane.
func (f *found) foreign(c extent) bool {
	sp, _ := spanAt(f.spans, c.first, c.last)
	return sp.epoch != c.epoch && sp.epoch != Epoch{}
}

// within reports whether another segment holds what g does.
func (g segment) within(other segment) bool { return other.first <= g.first && g.last <= other.last }

// precede puts spans that the segments tell before those that are known.
func (f *found) precede(before []span) {
	if len(before) == 0 {
		return
	}
	for i := 1; i < len(before); i++ {
		before[i].parent = before[i-1].epoch
	}
	last := before[len(before)-1]
	if len(f.spans) > 0 && f.spans[0].epoch == last.epoch {
		f.spans = slices.Clone(f.spans[1:])
	} else if len(f.spans) > 0 {
		f.spans = slices.Clone(f.spans)
		f.spans[0].parent = last.epoch
	}
	f.spans = append(before, f.spans...)
}

// fill puts the records that nothing else holds into the head, which is newer
// than all segments. Where a segment is gone, some of its records may still lie
// behind newer ones in a file of the head: those before other segments stay lost.
func (st *state) fill(records map[Seq]named, spans []span) {
	st.head = nil
	from := st.first
	if n := len(st.segments); n > 0 {
		from = max(from, st.segments[n-1].last+1)
	}
	for _, seq := range slices.Sorted(maps.Keys(records)) {
		r := records[seq]
		sp, _ := spanAt(spans, seq, st.end)
		if seq < from || seq > st.end || sp.epoch != r.epoch || st.declared(seq) {
			continue
		}
		st.head = append(st.head, r.kept)
	}
}

// declared reports whether a number lies in a gap.
func (st *state) declared(seq Seq) bool {
	g, ok := slices.BinarySearchFunc(st.gaps, seq, func(g gap, s Seq) int { return cmp.Compare(g.last, s) })
	return ok || g < len(st.gaps) && st.gaps[g].first <= seq
}

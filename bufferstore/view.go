package bufferstore

import (
	"errors"
	"fmt"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// View is a store as it was at one moment, for looking into it: running, stopped
// or damaged. It writes nothing, locks nothing and takes no space. What the
// store gives up meanwhile reads as Expired. It is safe for concurrent use.
type View struct {
	s        *Store
	headless bool
}

// viewTries is how often a store is looked at until two looks agree.
const viewTries = 10

// OpenView looks into the store in dir. Of Options it needs Codec and Key. The
// error is [ErrKey] where the head needs another key.
func OpenView(dir string, o Options) (*View, error) {
	v, err := openView(dir, o)
	if errors.Is(err, errVersion) {
		err = fmt.Errorf("%w: that one can look into it", err)
	}
	if err != nil {
		return nil, fmt.Errorf("store %s: %w", dir, err)
	}
	return v, nil
}

// openView looks until the head hasn't gone on to another file meanwhile. Damage
// is what two looks agree on: one alone may have read what was being written.
func openView(dir string, o Options) (*View, error) {
	o.Lanes = nil
	o, err := o.checked()
	if err != nil {
		return nil, err
	}
	var before *View
	for range viewTries {
		v, same, err := look(dir, o)
		if err != nil {
			return nil, err
		}
		if same && (len(v.s.lost) == 0 || before != nil && maps.EqualFunc(v.s.lost, before.s.lost, slices.Equal)) {
			return v, nil
		}
		before = v
	}
	return nil, errors.New("it changes too fast to be looked into: try again")
}

// look reads the store once and reports whether the head is still the same.
func look(dir string, o Options) (v *View, same bool, err error) {
	s := &Store{
		dir: dir, options: o, engine: segmentEngine, started: time.Now(), looking: true,
		witness: witness{dir: dir}, waker: make(chan struct{}, 1), damaged: map[segmentID]bool{}, lost: map[string][]gap{},
	}
	if err := s.recover(); err != nil {
		return nil, false, err
	}
	now, all, err := openHead(dir, o.HeadBytes, os.O_RDONLY)
	if err != nil {
		return nil, false, errors.Join(err, s.head.close())
	}
	whole := slices.ContainsFunc(all, func(fr frame) bool { return byte(fr.kind)&^encryptedFrame == byte(kindCheckpoint) })
	s.disk.Store(s.used())
	return &View{s, !whole && len(s.lanes) > 0}, now.latest == s.head.latest, errors.Join(now.close(), s.head.close())
}

// left tells what can be salvaged of a segment whose description is damaged.
func (s *Store) left(lane string, number uint64) (segment, []extent, error) {
	s.noteDamaged(segmentID{lane, number})
	chunks, err := rest(s.segments(), lane, number)
	if err != nil || len(chunks) == 0 {
		return segment{}, nil, errors.Join(err, errDamaged)
	}
	g := segment{number: number, first: chunks[0].first, last: chunks[len(chunks)-1].last, chunks: len(chunks)}
	var all []extent
	for _, c := range chunks {
		all = append(all, extent{c.epoch, c.first, c.last, len(c.value)})
		g.age, g.bytes = max(g.age, c.age), g.bytes+int64(len(c.value))
	}
	return g, all, nil
}

// Headless reports that nothing is left of what the head told of the lanes:
// cursors and declared gaps are those of the marks, or none.
func (v *View) Headless() bool { return v.headless }

// Records is as [Lane.Records], of the lane of that name; it yields nothing
// where there is none.
func (v *View) Records(lane string, from Seq) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		if l := v.s.find(lane); l != nil {
			l.Records(from)(yield)
		}
	}
}

// Spans is as [Lane.Spans].
func (v *View) Spans(lane string) []Span {
	if l := v.s.find(lane); l != nil {
		return l.Spans()
	}
	return nil
}

// Stats returns the state of the store, with all lanes that have records, but
// for its quota.
func (v *View) Stats() Stats { return v.s.Stats() }

// LaneView is a lane of a View.
type LaneView struct {
	LaneStats
	Records  uint64            // that are kept
	Segments int               // that hold them, beside the head
	Age      time.Duration     // running time of the store since the oldest was written
	Declared map[Reason]uint64 // numbers declared lost, as far as that is remembered
	Missing  uint64            // numbers that are gone without having been declared
}

// Lanes returns all lanes that have records, by name.
func (v *View) Lanes() (all []LaneView) {
	for i, st := range v.Stats().Lanes {
		l := v.s.lanes[i]
		lv := LaneView{LaneStats: st, Segments: len(l.state.segments), Declared: map[Reason]uint64{}}
		for _, g := range l.state.gaps {
			lv.Declared[g.why] += uint64(g.last - g.first + 1)
		}
		lv.Missing = overlap(v.s.lost[l.name], 1, maxSeq)
		if lv.Declared[Damaged] -= lv.Missing; lv.Declared[Damaged] == 0 {
			delete(lv.Declared, Damaged)
		}
		lv.Records = uint64(st.Durable-st.First+1) - overlap(l.state.gaps, st.First, st.Durable)
		if p, ok := l.state.oldest(); ok {
			lv.Age = v.s.base - p.age
		}
		all = append(all, lv)
	}
	return all
}

// overlap returns how many of the numbers first to last lie in gaps.
func overlap(gaps []gap, first, last Seq) (n uint64) {
	for _, g := range gaps {
		if from, to := max(g.first, first), min(g.last, last); from <= to {
			n += uint64(to - from + 1)
		}
	}
	return n
}

// Disk is what a store takes of the disk, in bytes.
type Disk struct {
	Head, Segments, Ballast int64
	Quarantine              map[string]int64 // what was set aside, by name
}

// Disk returns what the store takes of the disk.
func (v *View) Disk() Disk {
	d := Disk{Head: v.s.head.bytes(), Ballast: treeBytes(filepath.Join(v.s.dir, ballastName)), Quarantine: map[string]int64{}}
	for _, l := range v.s.lanes {
		for _, g := range l.state.segments {
			d.Segments += g.bytes
		}
	}
	for _, name := range v.s.quarantined {
		d.Quarantine[name] = treeBytes(filepath.Join(v.s.dir, quarantineDir, name))
	}
	return d
}

// Part is a stretch of a lane that was verified: a segment, or what is in no
// segment, as the head.
type Part struct {
	Lane        string
	Segment     string // its folder in segments; empty for what is in none
	First, Last Seq    // zero for a segment of which nothing is left
	Bytes       int64  // of the segment on disk
	Damaged     bool   // the segment's files aren't as they were written
	Records     uint64 // that can be read
	Lost        uint64 // numbers that can't be, though that isn't declared
}

// Verify reads every byte of every segment, compares it with what was written,
// and reads every record. It yields part after part, lane by lane, each in order,
// and in the end the segments of which nothing is left. An error, [ErrKey] among
// others, ends it.
func (v *View) Verify() iter.Seq2[Part, error] {
	return func(yield func(Part, error) bool) {
		told := map[string]bool{}
		for _, l := range v.s.lanes {
			for _, p := range l.state.parts(l.name) {
				told[p.Segment] = true
				err := v.verify(l, &p)
				if !yield(p, err) || err != nil {
					return
				}
			}
		}
		for name, lane := range v.damaged() {
			if !told[name] && !yield(Part{Lane: lane, Segment: name, Damaged: true}, nil) {
				return
			}
		}
	}
}

// parts cuts what is kept at the ends of segments.
func (st *state) parts(lane string) (all []Part) {
	pos := st.first
	for _, g := range st.segments {
		if pos < g.first {
			all = append(all, Part{Lane: lane, First: pos, Last: g.first - 1})
		}
		name := segmentName(lane, g.number)
		all = append(all, Part{Lane: lane, Segment: name, First: max(pos, g.first), Last: g.last, Bytes: g.bytes})
		pos = g.last + 1
	}
	if pos <= st.end {
		all = append(all, Part{Lane: lane, First: pos, Last: st.end})
	}
	return all
}

func (v *View) verify(l *Lane, p *Part) (failure error) {
	l.between(p.First, p.Last, func(rec Record, err error) bool {
		switch {
		case err != nil:
			failure = err
		case rec.Lost == Kept:
			p.Records++
		case rec.Lost == Damaged:
			undeclared := uint64(rec.Last-rec.First+1) - overlap(l.state.gaps, rec.First, rec.Last)
			p.Lost += undeclared + overlap(v.s.lost[l.name], rec.First, rec.Last)
		}
		return failure == nil
	})
	_, p.Damaged = v.damaged()[p.Segment]
	return failure
}

// damaged returns the segments that were found damaged, by name, with their lanes.
func (v *View) damaged() map[string]string {
	v.s.mu.Lock()
	defer v.s.mu.Unlock()
	all := map[string]string{}
	for id := range v.s.damaged {
		all[segmentName(id.lane, id.number)] = id.lane
	}
	return all
}

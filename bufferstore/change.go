package bufferstore

import (
	"errors"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"time"
)

// maxGaps is how many declared gaps a lane remembers when all cursors have
// passed them; older ones then read as Expired.
const maxGaps = 4096

// change is what one commit makes of the store: the events that make it durable,
// and what the lanes become by them. Store.writer is held from begin to commit.
type change struct {
	s        *Store
	age      time.Duration
	events   []event
	next     map[*Lane]*state
	dropped  []segmentID       // segments that go
	cursors  map[*Cursor]marks // as they are to be saved
	removed  map[*Lane]int     // cursors that go
	added    bool              // records
	refused  error             // why records were not added
	measured bool              // the quota
	sealing  bool              // room in the head that is kept for it may be used
	cuts     int
}

func (s *Store) begin() *change {
	return &change{
		s: s, age: s.age(), next: map[*Lane]*state{},
		cursors: map[*Cursor]marks{}, removed: map[*Lane]int{},
	}
}

// lane returns the state that l is to have.
func (t *change) lane(l *Lane) *state {
	if t.next[l] == nil {
		st := *l.current()
		t.next[l] = &st
	}
	return t.next[l]
}

// held is as Lane.held, for the state that l is to have.
func (t *change) held(l *Lane) (free, acked Seq) {
	st := t.lane(l)
	t.s.mu.Lock()
	defer t.s.mu.Unlock()
	return l.held(st, t.age)
}

func (t *change) event(k kind, lane string, body func(b []byte) []byte) {
	t.events = append(t.events, event{k, body(appendText(nil, lane))})
}

// record adds a record, which is the lane's next or, carried into a younger
// head file, one that it has.
func (t *change) record(l *Lane, k kept) {
	sp, _ := spanAt(l.spans, k.seq, k.seq)
	t.event(kindRecord, l.name, func(b []byte) []byte {
		return append(appendU64(append(b, sp.epoch[:]...), uint64(k.seq)), k.data...)
	})
}

// lose declares numbers lost.
func (t *change) lose(l *Lane, g gap) {
	st := t.lane(l)
	st.gaps = t.trim(l, declare(st.gaps, g.first, g.last, g.why))
	t.event(kindGap, l.name, func(b []byte) []byte { return appendGapBody(b, g) })
}

// cut gives up what l holds up to upTo. Numbers above acked become a gap.
func (t *change) cut(l *Lane, upTo, acked Seq, why Reason) {
	st := t.lane(l)
	if upTo < st.first {
		return
	}
	from := max(st.first, acked+1)
	if from <= upTo {
		st.gaps = t.trim(l, declare(st.gaps, from, upTo, why))
	}
	for _, g := range st.cut(upTo) {
		t.dropped = append(t.dropped, segmentID{l.name, g.number})
	}
	t.cuts++
	t.event(kindCut, l.name, func(b []byte) []byte {
		return append(appendU64(b, uint64(st.first), uint64(from)), byte(why))
	})
}

// trim forgets the oldest gaps that all cursors have passed, beyond maxGaps.
func (t *change) trim(l *Lane, gaps []gap) []gap {
	if len(gaps) <= maxGaps {
		return gaps
	}
	st := t.lane(l)
	_, acked := t.held(l)
	for len(gaps) > maxGaps && gaps[0].last < st.first && (gaps[0].last <= acked || len(l.cursors) == 0) {
		gaps = gaps[1:]
	}
	return gaps
}

// commit makes the change durable and publishes it. It writes nothing where
// nothing changes. [errNoHead] says that the head must be sealed before.
func (t *change) commit() error {
	t.moveCursors()
	if len(t.events) == 0 {
		t.s.garbage = append(t.s.garbage, t.dropped...)
		return nil
	}
	if err := t.write(); err != nil {
		return err
	}
	s := t.s
	s.opened, s.stale, s.savedAge = true, true, t.age
	t.publish()
	s.head.drop(s.needed())
	s.garbage = append(s.garbage, t.dropped...)
	s.disk.Store(s.used())
	return nil
}

// write appends the events to the head: to the file being filled or, where it is
// full or has failed, behind a checkpoint to the next one.
func (t *change) write() error {
	s := t.s
	if !s.opened {
		if err := s.settleDisk(); err != nil {
			return err
		}
	}
	events := append([]event{ageEvent(t.age)}, pack(t.events)...)
	if !s.opened {
		events = slices.Insert(events, 1, s.checkpoint(t.age))
	}
	var failure error
	if s.head.fits(t.cost(events)) {
		if failure = s.head.commit(events); failure == nil {
			t.stamp(false)
			s.head.raw += commitCost(t.events)
			return nil
		}
	}
	again := s.head.failed()
	if s.opened {
		events = slices.Insert(events, 1, s.checkpoint(t.age))
	}
	if again {
		events = slices.Insert(events, 2, pack(s.keptEvents(t.age))...)
	}
	if err := s.head.turn(s.needed(), commitCost(events), t.sealing); err != nil {
		return errors.Join(failure, err)
	}
	if err := s.head.commit(events); err != nil {
		return errors.Join(failure, err)
	}
	t.stamp(again)
	s.head.raw = commitCost(t.events)
	s.wake()
	return nil
}

// settleDisk makes durable, before the first commit of an opening, what was found.
func (s *Store) settleDisk() error {
	_ = syncDir(filepath.Dir(s.dir)) // which may be nobody's to open
	if err := syncDir(s.segments()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return s.head.settle()
}

func commitCost(events []event) (n int64) {
	for _, e := range events {
		n += frameCost(e)
	}
	return n
}

// cost is what a commit needs of the head. While the file before is not sealed
// yet, room is kept for the commit that says that it is.
func (t *change) cost(events []event) int64 {
	n := commitCost(events)
	if last := t.s.head.last(); last != nil && t.s.needed() < last.generation && !t.sealing {
		n += t.s.head.size / 8
	}
	return n
}

// stamp notes in which generation the new records, or all, are.
func (t *change) stamp(all bool) {
	for _, l := range t.s.lanes {
		if t.next[l] == nil && !all {
			continue
		}
		st := t.lane(l)
		if all {
			st.head = slices.Clone(st.head)
		}
		for i := range st.head {
			if k := &st.head[i]; k.generation == 0 || all {
				k.generation = t.s.head.latest
			}
		}
	}
}

// needed returns the oldest generation of the head that holds a record which
// nothing else holds.
func (s *Store) needed() uint32 {
	oldest := s.head.latest
	for _, l := range s.lanes {
		for _, k := range l.current().head {
			oldest = min(oldest, k.generation)
		}
	}
	return oldest
}

// checkpoint is all that is durable now, but for the records.
func (s *Store) checkpoint(age time.Duration) event {
	return event{kindCheckpoint, appendCheckpoint(nil, age, s.known())}
}

// known returns what is durable.
func (s *Store) known() map[string]*found {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := map[string]*found{}
	for _, l := range s.lanes {
		f := &found{state: *l.state, spans: l.spans, cursors: map[string]marks{}}
		for name, c := range l.cursors {
			if c.saved != unsaved {
				f.cursors[name] = c.saved
			}
		}
		all[l.name] = f
	}
	return all
}

// keptEvents are the records of the head.
func (s *Store) keptEvents(age time.Duration) []event {
	t := &change{s: s, age: age}
	for _, l := range s.lanes {
		t.carry(l, l.current().head)
	}
	return t.events
}

// carry writes records of the head once more, under their age.
func (t *change) carry(l *Lane, recs []kept) {
	age := t.age
	for _, k := range recs {
		if k.age != age {
			age = k.age
			t.events = append(t.events, ageEvent(age))
		}
		t.record(l, k)
	}
	if age != t.age {
		t.events = append(t.events, ageEvent(t.age))
	}
}

func ageEvent(age time.Duration) event { return event{kindAge, appendU64(nil, uint64(age))} }

// moveCursors adds the events for all cursors that have moved or are gone.
func (t *change) moveCursors() {
	t.s.mu.Lock()
	defer t.s.mu.Unlock()
	for _, l := range t.s.lanes {
		t.removed[l] = len(l.removed)
		for _, name := range l.removed {
			t.event(kindNoCursor, l.name, func(b []byte) []byte { return appendText(b, name) })
		}
		for _, name := range slices.Sorted(maps.Keys(l.cursors)) {
			c := l.cursors[name]
			if m := c.marks; m != c.saved {
				t.cursors[c] = m
				t.event(kindCursor, l.name, func(b []byte) []byte { return appendMarks(appendText(b, name), m) })
			}
		}
	}
}

// publish shows what is durable now.
func (t *change) publish() {
	t.s.mu.Lock()
	defer t.s.mu.Unlock()
	for c, m := range t.cursors {
		c.saved = m
	}
	for l, n := range t.removed {
		l.removed = l.removed[n:]
	}
	for l, st := range t.next {
		l.land(st)
	}
}

// land publishes the durable state and takes what it covers out of the pending
// entries. Called with Store.mu.
func (l *Lane) land(st *state) {
	l.state = st
	n := 0
	for n < len(l.pending) && l.pending[n].last <= st.end {
		l.s.pending -= l.pending[n].cost()
		n++
	}
	l.pending = slices.Delete(l.pending, 0, n)
	l.flying = max(0, l.flying-n)
	l.drops = slices.DeleteFunc(l.drops, func(d drop) bool { return d.upTo < st.first })
}

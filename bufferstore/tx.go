package bufferstore

import (
	"encoding/binary"
	"slices"
	"time"
)

// maxGaps is how many declared gaps a lane remembers when all cursors have
// passed them; older ones then read as Expired.
const maxGaps = 4096

// tx is a change of the store: what the lanes become, and the operations that
// make it durable in one step. Store.writer is held from begin to commit.
type tx struct {
	s        *Store
	age      time.Duration
	ops      []op
	next     map[*Lane]*state
	dropped  int64             // bytes of segments that go
	cursors  map[*Cursor]marks // as they are to be saved
	removed  map[*Lane]int     // cursors that go
	added    bool              // records
	refused  error             // why records were not added
	measured bool              // the quota
}

func (s *Store) begin() *tx {
	return &tx{
		s: s, age: s.age(), next: map[*Lane]*state{},
		cursors: map[*Cursor]marks{}, removed: map[*Lane]int{},
	}
}

// lane returns the state that l is to have.
func (t *tx) lane(l *Lane) *state {
	if t.next[l] == nil {
		st := *l.current()
		t.next[l] = &st
	}
	return t.next[l]
}

// held is as Lane.held, for the state that l is to have.
func (t *tx) held(l *Lane) (free, acked Seq) {
	st := t.lane(l)
	t.s.mu.Lock()
	defer t.s.mu.Unlock()
	return l.held(st, t.age)
}

// cut gives up what l holds up to upTo. Numbers above acked become a gap.
func (t *tx) cut(l *Lane, upTo, acked Seq, why Reason) {
	st := t.lane(l)
	if from := max(st.first, acked+1); from <= upTo {
		st.gaps = declare(st.gaps, from, upTo, why)
	}
	head, segments := st.cut(upTo)
	for _, c := range head {
		t.ops = append(t.ops, op{key: seqKey(keyHead, l.name, c.first)})
	}
	for _, g := range segments {
		t.ops = append(t.ops, op{key: segmentKey(keySegment, l.name, g.number)})
		t.dropped += g.bytes
	}
}

// commit makes the change durable and publishes it. It writes nothing where
// nothing changes, and refuses with less than need bytes free.
func (t *tx) commit(need int64) error {
	for l, st := range t.next {
		t.forget(l, st)
		t.describe(l, l.current(), st)
	}
	t.moveCursors()
	if len(t.ops) == 0 {
		return nil
	}
	if err := checkFree(t.s.dir, need); err != nil {
		return err
	}
	t.ops = append(t.ops, put([]byte{keyAge}, encodeNumbers(uint64(t.age))))
	if err := t.s.engine.apply(t.ops); err != nil {
		t.s.fail()
		return err
	}
	t.s.savedAge, t.s.stale = t.age, true
	t.s.dropped += t.dropped
	t.publish()
	return nil
}

// forget bounds the gaps that all cursors have passed.
func (t *tx) forget(l *Lane, st *state) {
	if len(st.gaps) <= maxGaps {
		return
	}
	_, acked := t.held(l)
	for len(st.gaps) > maxGaps && st.gaps[0].last < st.first && st.gaps[0].last <= acked {
		st.gaps = st.gaps[1:]
	}
}

// describe adds the operations that take the description of l from old to st.
func (t *tx) describe(l *Lane, old, st *state) {
	if old.first != st.first || old.end != st.end || old.low != st.low || old.live != st.live || old.next != st.next {
		t.ops = append(t.ops, laneOp(l, st))
	}
	if slices.Equal(old.gaps, st.gaps) {
		return
	}
	was := map[Seq]gap{}
	for _, g := range old.gaps {
		was[g.first] = g
	}
	for _, g := range st.gaps {
		if was[g.first] != g {
			t.ops = append(t.ops, gapOp(l, g))
		}
		delete(was, g.first)
	}
	for _, g := range was {
		t.ops = append(t.ops, op{key: seqKey(keyGap, l.name, g.first)})
	}
}

// gapOp writes a gap: see keyGap.
func gapOp(l *Lane, g gap) op {
	return put(seqKey(keyGap, l.name, g.first), append(encodeNumbers(uint64(g.last)), byte(g.why)))
}

// laneOp writes a lane's numbers: see keyLane.
func laneOp(l *Lane, st *state) op {
	v := encodeNumbers(uint64(st.first), uint64(st.end), uint64(st.low)<<32|uint64(st.live))
	v = binary.BigEndian.AppendUint32(v, st.next)
	return put(laneKey(keyLane, l.name), append(v, l.spans[len(l.spans)-1].epoch[:]...))
}

// moveCursors adds the operations for all cursors that have moved or are gone.
func (t *tx) moveCursors() {
	t.s.mu.Lock()
	defer t.s.mu.Unlock()
	for _, l := range t.s.lanes {
		t.removed[l] = len(l.removed)
		for _, name := range l.removed {
			t.ops = append(t.ops, op{key: cursorKey(l.name, name)})
		}
		for name, c := range l.cursors {
			if m := c.marks; m != c.saved {
				t.cursors[c] = m
				t.ops = append(t.ops, put(cursorKey(l.name, name), m.encode()))
			}
		}
	}
}

func cursorKey(lane, name string) []byte {
	return append(laneKey(keyCursor, lane), name...)
}

// publish shows what is durable now.
func (t *tx) publish() {
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
	if len(l.pending) > 0 {
		l.pending[0].first = st.end + 1 // a gap may be durable in part
	}
	l.flying = max(0, l.flying-n)
	l.drops = slices.DeleteFunc(l.drops, func(d drop) bool { return d.upTo < st.first })
}

package bufferstore

import (
	"crypto/rand"
	"time"
)

// maxSpans is how many spans a lane keeps though nobody may ask for them.
const maxSpans = 64

// newEpoch draws an epoch.
func newEpoch() (e Epoch) {
	_, _ = rand.Read(e[:]) // never fails
	return e
}

// beginEpoch makes a new epoch durable in every lane.
func (s *Store) beginEpoch(all []*found) error {
	s.epoch, s.started = newEpoch(), time.Now()
	s.sweptAge = s.base - reclaimEvery // at once: a cut may have left something
	for i, o := range s.options.Lanes {
		l := newLane(s, o, all[i])
		s.lanes = append(s.lanes, l)
		if all[i].recalled {
			if err := s.repeat(l); err != nil {
				return err
			}
		}
	}
	t := s.begin()
	t.ops = append(t.ops, put([]byte{keyVersion}, []byte{formatVersion}))
	for _, l := range s.lanes {
		t.span(l)
	}
	return t.commit(reserve)
}

// repeat writes all that describes a lane.
func (s *Store) repeat(l *Lane) error {
	t := s.begin()
	t.ops = append(t.ops, put([]byte{keyVersion}, []byte{formatVersion}), laneOp(l, l.state))
	for _, sp := range l.spans {
		t.ops = append(t.ops, spanOp(l, sp))
	}
	for _, g := range l.state.gaps {
		t.ops = append(t.ops, gapOp(l, g))
	}
	for _, c := range l.cursors {
		c.saved = unsaved
	}
	return t.commit(reserve)
}

func spanOp(l *Lane, sp span) op {
	return put(seqKey(keySpan, l.name, sp.first), append(sp.epoch[:], sp.parent[:]...))
}

func newLane(s *Store, o LaneOptions, f *found) *Lane {
	l := &Lane{s: s, name: o.Name, options: o, spans: f.spans, last: f.state.end, state: &f.state, cursors: map[string]*Cursor{}}
	for name, m := range f.cursors {
		l.cursors[name] = &Cursor{lane: l, marks: m, saved: m}
	}
	return l
}

// span adds this epoch to a lane. One that appended nothing gives way to it,
// and old ones that nobody may ask for are forgotten.
func (t *tx) span(l *Lane) {
	next := span{epoch: t.s.epoch, first: l.state.end + 1}
	if n := len(l.spans); n > 0 && l.spans[n-1].first == next.first {
		l.spans = l.spans[:n-1]
	}
	if n := len(l.spans); n > 0 {
		next.parent = l.spans[n-1].epoch
	}
	l.spans = append(l.spans, next)
	t.ops = append(t.ops, laneOp(l, l.state), spanOp(l, next))

	needed := l.state.first
	if _, acked := t.held(l); len(l.cursors) > 0 {
		needed = min(needed, acked+1)
	}
	for len(l.spans) > maxSpans+1 && l.spans[1].first <= needed {
		t.ops = append(t.ops, op{key: seqKey(keySpan, l.name, l.spans[0].first)})
		l.spans = l.spans[1:]
	}
}

package bufferstore

import (
	"errors"
	"maps"
	"slices"
)

// segmentID names a segment.
type segmentID struct {
	lane   string
	number uint64
}

// noteDamaged remembers, for Run, a segment that can't be read as it was written.
func (s *Store) noteDamaged(id segmentID) {
	s.mu.Lock()
	known := s.damaged[id]
	s.damaged[id] = true
	s.mu.Unlock()
	if !known {
		s.wake()
	}
}

// damages returns the segments that noteDamaged was told of.
func (s *Store) damages() []segmentID {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Keys(s.damaged))
}

// mended forgets that a segment is damaged.
func (s *Store) mended(id segmentID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.damaged, id)
}

// repair replaces segments that were found damaged by what is left of them, and
// declares the rest lost. What fails is tried again with the next round of Run,
// and where the disk doesn't read, when somebody has tried to.
func (s *Store) repair() (failure error) {
	s.sealing.Lock()
	defer s.sealing.Unlock()
	for _, id := range s.damages() {
		now, err := repairSegment(s.segments(), s.engine, id.lane, id.number)
		if err == nil {
			err = s.locked(func() error { return s.replace(id, now) })
		}
		if err == nil || errors.Is(err, errUnreadable) {
			s.mended(id)
		}
		failure = errors.Join(failure, err)
	}
	return failure
}

// replace makes durable that a segment is now what its repair has left, no chunks if nothing.
func (s *Store) replace(id segmentID, now segment) error {
	l, t := s.find(id.lane), s.begin()
	st := t.lane(l)
	i := slices.IndexFunc(st.segments, func(g segment) bool { return g.number == id.number })
	if i < 0 {
		return nil // given up meanwhile
	}
	was := st.segments[i]
	left, err := s.extents(id, now)
	if err != nil {
		return err
	}
	next, lost := was.first, Seq(0)
	for _, c := range append(left, extent{first: was.last + 1}) {
		if next < c.first {
			t.lose(l, gap{next, c.first - 1, Damaged})
			lost += c.first - next
		}
		next = c.last + 1
	}
	st.segments = slices.Clone(st.segments)
	st.bytes -= was.bytes
	if now.chunks == 0 {
		st.segments = slices.Delete(st.segments, i, i+1)
	} else {
		st.segments[i] = now
		st.bytes += now.bytes
		t.event(kindSealed, l.name, func(b []byte) []byte { return appendSegment(b, now) })
	}
	s.options.Logger.Error("segment was damaged", "lane", id.lane, "number", id.number, "lost", lost, "kept", was.last-was.first+1-lost)
	return t.commit()
}

// extents returns where the chunks of a repaired segment lie.
func (s *Store) extents(id segmentID, now segment) ([]extent, error) {
	if now.chunks == 0 {
		return nil, nil
	}
	_, chunks, err := describe(s.segments(), id.lane, id.number)
	return chunks, err
}

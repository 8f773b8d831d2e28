package bufferstore

import "slices"

// segmentID names a segment.
type segmentID struct {
	lane   string
	number uint64
}

// noteDamaged remembers, for Run, a segment that can't be read as it was written.
func (s *Store) noteDamaged(id segmentID) {
	s.mu.Lock()
	s.damaged[id] = true
	s.mu.Unlock()
	s.wake()
}

// takeDamaged returns the segments that noteDamaged was told of.
func (s *Store) takeDamaged() (all []segmentID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id := range s.damaged {
		all = append(all, id)
	}
	clear(s.damaged)
	return all
}

// repair replaces segments that were found damaged by what is left of them, and
// declares the rest lost.
func (s *Store) repair() error {
	s.sealing.Lock()
	defer s.sealing.Unlock()
	for _, id := range s.takeDamaged() {
		now, err := repairSegment(s.segments(), s.engine, id.lane, id.number)
		if err == nil {
			err = s.locked(func() error { return s.replace(id, now) })
		}
		if err != nil {
			s.noteDamaged(id)
			return err
		}
	}
	return nil
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

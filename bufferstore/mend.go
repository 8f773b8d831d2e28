package bufferstore

import "time"

// reopenWait is how long a Sync waits for an engine that is opened again.
const reopenWait = 2 * time.Second

// reopened is the outcome of opening the engine again.
type reopened struct {
	engine engine
	err    error
}

// fail notes that a write has failed. What it wrote may be durable or not, and
// the kernel forgets what it couldn't write, so that the next good sync proves
// nothing about it.
func (s *Store) fail() {
	s.broken = true
	s.mu.Lock()
	s.suspect = true
	s.mu.Unlock()
}

// mend opens the engine again after a failed write, as soon as the disk takes
// writes: closing it writes all it has in memory to new files. What is durable
// is then read back, and the rest stays pending. Until then the old engine
// serves readers. Called with Store.writer.
func (s *Store) mend() error {
	if !s.broken {
		return nil
	}
	if s.reopened == nil {
		if err := s.writable(); err != nil {
			return err
		}
		s.reopen()
	}
	select {
	case r := <-s.reopened:
		s.reopened = nil
		if r.err != nil {
			return r.err
		}
		return s.adopt(r.engine)
	case <-time.After(reopenWait):
		return errAway
	}
}

// reopen closes the engine and opens it again, which may take as long as the
// disk is slow.
func (s *Store) reopen() {
	s.access.Lock()
	old := s.engine
	s.engine = nil
	s.access.Unlock()
	done := make(chan reopened, 1)
	s.reopened = done
	go func() {
		if old != nil {
			if err := old.close(); err != nil {
				s.options.Logger.Debug("closing a failed store", "err", err)
			}
		}
		e, err := s.open(s.path, s.options.Logger)
		done <- reopened{e, err}
	}()
}

// adopt takes an engine that was opened again. Numbers that were durable and
// are not found any more read as damaged.
func (s *Store) adopt(e engine) error {
	states := make([]*state, len(s.lanes))
	for i, l := range s.lanes {
		found, err := load(e, l.name)
		if err != nil {
			return err
		}
		states[i] = &found.state
		states[i].end = max(states[i].end, l.Durable())
		states[i].first = max(states[i].first, l.current().first)
	}
	s.access.Lock()
	s.engine = e
	s.access.Unlock()
	s.broken = false

	s.mu.Lock()
	defer s.mu.Unlock()
	s.suspect = false
	for i, l := range s.lanes {
		l.land(states[i])
		for _, c := range l.cursors {
			c.saved = unsaved
		}
	}
	return nil
}

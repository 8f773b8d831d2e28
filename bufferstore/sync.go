package bufferstore

import (
	"context"
	"errors"
)

// flush is one run of Sync that its callers share.
type flush struct {
	done chan struct{}
	err  error // set before done is closed
}

// Sync makes everything appended, acknowledged and dropped before the call
// durable, by one write and one fdatasync for all lanes; concurrent callers
// share one flush. Nothing is durable before it returns nil. Where the disk
// refuses the write, all that only the head holds is written to another file
// of the head before Sync returns nil. On an error, or when ctx ends, records
// stay in memory and the next Sync tries again.
func (s *Store) Sync(ctx context.Context) error {
	f := s.join()
	if f == nil {
		return errClosed
	}
	select {
	case <-f.done:
		return f.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// join returns a flush that begins after the call, nil once the store is closed.
func (s *Store) join() *flush {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.waiting == nil && !s.closed {
		f := &flush{done: make(chan struct{})}
		s.waiting = f
		s.flushes.Go(func() { s.run(f) })
	}
	return s.waiting
}

func (s *Store) run(f *flush) {
	s.writer.Lock()
	defer s.writer.Unlock()
	s.mu.Lock()
	s.waiting = nil
	s.mu.Unlock()

	f.err = s.flush()
	if s.stale {
		s.stale = false
		if err := s.witness.write(s.known()); err != nil {
			s.options.Logger.Debug("writing marks", "err", err)
		}
	}
	s.writing.report(s.options.Logger, "writing the store", f.err)
	s.mu.Lock()
	s.syncErr = f.err
	s.mu.Unlock()
	close(f.done)
}

// flush writes what was pending as it began, in one commit, or in several where
// it is too much for one.
func (s *Store) flush() error {
	target := s.appended()
	for sealed := 0; ; {
		t := s.begin()
		more := t.take(target)
		err := t.commit()
		s.grounded()
		if errors.Is(err, errNoHead) && sealed < 2 {
			if err := s.makeHead(); err != nil {
				return err
			}
			sealed++
			continue
		}
		if err != nil {
			return err
		}
		if t.added || t.refused != nil {
			s.keeping.report(s.options.Logger, "keeping records", t.refused)
		}
		if !more {
			return nil
		}
		sealed = 0
	}
}

// makeHead seals the head while a flush waits. Its writer is given back meanwhile.
func (s *Store) makeHead() error {
	s.writer.Unlock()
	defer s.writer.Lock()
	return s.seal(true)
}

// appended returns the last number given out in each lane.
func (s *Store) appended() map[*Lane]Seq {
	s.mu.Lock()
	defer s.mu.Unlock()
	last := map[*Lane]Seq{}
	for _, l := range s.lanes {
		last[l] = l.last
	}
	return last
}

// grounded ends the flight of entries: they are durable or must wait again.
func (s *Store) grounded() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.lanes {
		l.flying = 0
	}
}

// take adds pending entries up to the target and pending drops. It reports
// whether entries are left for another commit.
func (t *change) take(target map[*Lane]Seq) (more bool) {
	room := t.s.options.HeadBytes / 4
	whole := room
	for _, l := range t.s.lanes {
		entries, drops, left := l.takeOff(target[l], &room, whole)
		if len(entries) > 0 {
			t.add(l, entries)
		}
		for _, d := range drops {
			t.cut(l, min(d.upTo, t.lane(l).end), 0, d.why)
		}
		more = more || left
	}
	return more
}

// takeOff marks the entries that are to be written as flying and returns them.
// It takes as many as there is room for, at least one if nothing was taken yet.
func (l *Lane) takeOff(target Seq, room *int64, whole int64) (entries []entry, drops []drop, left bool) {
	l.s.mu.Lock()
	defer l.s.mu.Unlock()
	n := 0
	for ; n < len(l.pending) && l.pending[n].first <= target; n++ {
		size := l.pending[n].cost()
		if size > *room && *room < whole {
			left = true
			break
		}
		*room -= size
	}
	l.flying = n
	return l.pending[:n:n], l.drops, left
}

// add writes entries of a lane. Records that find no room are refused.
func (t *change) add(l *Lane, entries []entry) {
	for _, e := range entries {
		st := t.lane(l)
		switch {
		case e.lost != Kept:
			t.lose(l, gap{e.first, e.last, e.lost})
		case !t.makeRoom(e.cost()):
			t.refused = errFull
			t.lose(l, gap{e.first, e.last, Refused})
		default:
			t.added = true
			k := kept{seq: e.first, age: t.age, data: e.data}
			t.record(l, k)
			st.grow(k)
		}
		st.end = e.last
	}
}

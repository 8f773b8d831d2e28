package bufferstore

import "context"

const (
	// reserve is what must be free on the file system before records are
	// written: what the engine may write until the next look, which is a log, its
	// tables, and what a compaction writes before it deletes. Without it the
	// engine meets the full disk in a memory map, which ends the process.
	reserve = 64 << 20
	// txBytes bounds the records of one transaction; it may hold more only for a
	// single record. The engine takes 300 KiB.
	txBytes = 192 << 10
	// chunkBytes is the length of the records in a chunk, unless one alone is longer.
	chunkBytes = 64 << 10
)

// flush is one run of Sync that its callers share.
type flush struct {
	done chan struct{}
	err  error // set before done is closed
}

// Sync makes everything appended, acknowledged and dropped before the call
// durable; concurrent callers share one flush. Nothing is durable before it
// returns nil. On an error, or when ctx ends, records stay in memory and the next
// Sync tries again. A [*FullError] says that the disk is full.
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
		s.writeMarks()
		s.stale = false
	}
	s.writing.report(s.options.Logger, "writing the store", f.err)
	s.mu.Lock()
	s.syncErr = f.err
	s.mu.Unlock()
	close(f.done)
}

// flush writes what was pending as it began, in one transaction, or in
// several where it is too much for one.
func (s *Store) flush() error {
	if err := s.mend(); err != nil {
		return err
	}
	target := s.appended()
	for {
		t := s.begin()
		more := t.write(target)
		err := t.commit(reserve)
		s.grounded()
		if err != nil {
			return err
		}
		if t.added || t.refused != nil {
			s.keeping.report(s.options.Logger, "keeping records", t.refused)
		}
		if !more {
			return nil
		}
	}
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

// write adds pending entries up to the target and pending drops. It reports
// whether entries are left for another transaction.
func (t *tx) write(target map[*Lane]Seq) (more bool) {
	room := int64(txBytes)
	for _, l := range t.s.lanes {
		entries, drops, left := l.takeOff(target[l], &room)
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
func (l *Lane) takeOff(target Seq, room *int64) (entries []entry, drops []drop, left bool) {
	l.s.mu.Lock()
	defer l.s.mu.Unlock()
	n := 0
	for ; n < len(l.pending) && l.pending[n].first <= target; n++ {
		size := l.pending[n].size()
		if size > *room && *room < txBytes {
			left = true
			break
		}
		*room -= size
	}
	l.flying = n
	return l.pending[:n:n], l.drops, left
}

// add writes entries of a lane: records as chunks, gaps as declared. Records
// that find no room are refused.
func (t *tx) add(l *Lane, entries []entry) {
	st := t.lane(l)
	for len(entries) > 0 {
		n, size := run(entries)
		first, last := entries[0].first, entries[n-1].last
		switch {
		case entries[0].lost != Kept:
			st.gaps = declare(st.gaps, first, last, entries[0].lost)
		case !t.makeRoom(size + 2*chunkHeader):
			t.refused = errFull
			st.gaps = declare(st.gaps, first, last, Refused)
		default:
			t.added = true
			t.addChunk(l, entries[:n])
		}
		st.end = last
		entries = entries[n:]
	}
}

// run returns how many entries go together, a gap alone or the records of a
// chunk, and about how many bytes they take.
func run(entries []entry) (n int, size int64) {
	if entries[0].lost != Kept {
		return 1, 0
	}
	for n < len(entries) && entries[n].lost == Kept {
		if size += int64(len(entries[n].data)) + 2; n > 0 && size > chunkBytes {
			break
		}
		n++
	}
	return n, size
}

func (t *tx) addChunk(l *Lane, entries []entry) {
	var body []byte
	for _, e := range entries {
		body = appendRaw(body, e.data)
	}
	c := chunk{epoch: t.s.epoch, first: entries[0].first, last: entries[len(entries)-1].last, age: t.age}
	value := encodeChunk(l.name, c, formRaw, body)
	c.bytes = int64(len(value))
	t.ops = append(t.ops, op{seqKey(keyHead, l.name, c.first), value})
	t.lane(l).grow(c)
}

package bufferstore

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"time"
)

const (
	tick     = 10 * time.Second // of Run
	reserve  = 32 << 20         // of the file system is left free, but no more than an eighth of it
	maxCuts  = 1000             // in one commit
	ageEvery = 10 * time.Minute // a quiet store's age is saved so often
)

// Run brings records from the head into segments, gives space back, repairs
// damaged segments and keeps retention and quota until ctx ends; it then
// returns nil.
func (s *Store) Run(ctx context.Context) error {
	t := time.NewTicker(tick)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		case <-s.waker:
		}
		s.maintain()
	}
}

// wake has Run look at once.
func (s *Store) wake() {
	select {
	case s.waker <- struct{}{}:
	default:
	}
}

// maintain does one round of Run.
func (s *Store) maintain() {
	s.upkeep.Lock()
	defer s.upkeep.Unlock()
	var err error
	for _, step := range []func() error{
		func() error { return s.locked(s.retain) },
		func() error { return s.seal(false) },
		s.repair,
		s.sweep,
		s.trimQuarantine,
		s.keepBallast,
	} {
		err = errors.Join(err, step())
	}
	s.running.report(s.options.Logger, "maintaining the store", err)
}

// locked changes the disk. It is called for one step at a time, for Sync waits meanwhile.
func (s *Store) locked(step func() error) error {
	s.writer.Lock()
	defer s.writer.Unlock()
	if s.gone {
		return errClosed
	}
	return step()
}

// retain gives up what is delivered and past its retention, and what is over the quota.
func (s *Store) retain() error {
	t, cuts := s.begin(), 0
	for _, l := range s.lanes {
		free, acked := t.held(l)
		var upTo Seq
		for p := range t.lane(l).pieces {
			if p.last > free || t.age-p.age < l.options.Retain || cuts >= maxCuts {
				break
			}
			upTo, cuts = p.last, cuts+1
		}
		t.cut(l, upTo, acked, Evicted)
	}
	if err := s.measure(); err != nil {
		return err
	}
	t.makeRoom(0)
	if len(t.events) == 0 && t.age-s.savedAge >= ageEvery {
		t.events = append(t.events, ageEvent(t.age))
	}
	return t.commit()
}

// sweep removes segments without use. Nobody waits for it.
func (s *Store) sweep() error {
	var errs []error
	var left []segmentID
	for {
		id, ok := s.useless()
		if !ok {
			break
		}
		if err := removeSegment(s.segments(), id.lane, id.number); err != nil {
			errs, left = append(errs, err), append(left, id)
		}
	}
	s.writer.Lock()
	defer s.writer.Unlock()
	s.garbage = append(s.garbage, left...)
	return errors.Join(errs...)
}

// useless takes a segment off the list of those to be removed.
func (s *Store) useless() (id segmentID, ok bool) {
	s.writer.Lock()
	defer s.writer.Unlock()
	n := len(s.garbage) - 1
	if n < 0 {
		return id, false
	}
	id, s.garbage = s.garbage[n], s.garbage[:n]
	return id, true
}

// measure sets the quota: what Options say, and never more than the file system has.
func (s *Store) measure() error {
	free, err := freeBytes(s.dir)
	if err != nil {
		return err
	}
	used := s.used()
	quota := used + free - min(reserve, (used+free)/8)
	if s.options.Quota > 0 {
		quota = min(quota, s.options.Quota)
	}
	s.quota.Store(quota)
	s.disk.Store(used)
	return nil
}

// used is what the store takes on disk.
func (s *Store) used() int64 {
	sum := s.head.bytes()
	if info, err := os.Stat(filepath.Join(s.dir, ballastName)); err == nil {
		sum += info.Size()
	}
	for _, l := range s.lanes {
		for _, g := range l.current().segments {
			sum += g.bytes
		}
	}
	return sum
}

// budget is what records may take of the quota: the rest is for the head's
// files and a segment being built, the ballast and quarantine, but no more than half.
func (s *Store) budget() int64 {
	quota := s.quota.Load()
	return quota - min(4*s.options.HeadBytes+s.ballastBytes()+quota/quarantineShare, quota/2)
}

func (s *Store) ballastBytes() int64 { return min(4*s.options.HeadBytes, s.quota.Load()/16) }

// Crowded returns up to which number the lane's oldest records ought to be
// thinned now, so that newer ones will find room: a sixteenth of the store at a
// time, from the moment on when seven eighths of it are records that are wanted
// somewhere. It is zero while space suffices, and for lanes whose policy isn't
// [Thin].
func (l *Lane) Crowded() (upTo Seq) {
	if l.options.Policy != Thin {
		return 0
	}
	var sum int64
	budget := l.s.budget()
	for _, other := range l.s.lanes {
		for p := range other.wanted {
			sum += p.bytes
		}
	}
	if sum <= budget/8*7 {
		return 0
	}
	sum = 0
	for p := range l.wanted {
		if upTo, sum = p.last, sum+p.bytes; sum >= budget/16 {
			break
		}
	}
	return upTo
}

// wanted yields the pieces that a cursor holds, oldest first.
func (l *Lane) wanted(yield func(piece) bool) {
	l.s.mu.Lock()
	st := l.state
	free, _ := l.held(st, l.s.age())
	l.s.mu.Unlock()
	for p := range st.pieces {
		if p.last > free && !yield(p) {
			return
		}
	}
}

// makeRoom gives records up until need bytes more fit into the budget:
// delivered ones first, then those of lanes that may drop, always the oldest. It
// reports whether they fit.
func (t *change) makeRoom(need int64) bool {
	if t.bytes()+need > t.s.budget() && !t.measured {
		t.measured = true
		if err := t.s.measure(); err != nil {
			t.s.options.Logger.Debug("measuring the store", "err", err)
		}
	}
	for t.bytes()+need > t.s.budget() {
		if !t.giveUp(func(l *Lane, p piece, free Seq) bool { return p.last <= free }) &&
			!t.giveUp(func(l *Lane, _ piece, _ Seq) bool { return l.options.Policy != Keep }) {
			return false
		}
	}
	return true
}

// bytes is what the records of all lanes are to take.
func (t *change) bytes() (sum int64) {
	for _, l := range t.s.lanes {
		sum += t.lane(l).bytes
	}
	return sum
}

// giveUp cuts the oldest piece of all lanes that may go, if there is one.
func (t *change) giveUp(may func(l *Lane, p piece, free Seq) bool) bool {
	var victim *Lane
	var upTo, ackedTo Seq
	age := time.Duration(math.MaxInt64)
	for _, l := range t.s.lanes {
		free, acked := t.held(l)
		if p, ok := t.lane(l).oldest(); ok && p.age < age && may(l, p, free) {
			victim, upTo, ackedTo, age = l, p.last, acked, p.age
		}
	}
	if victim == nil || t.cuts > maxCuts {
		return false
	}
	t.cut(victim, upTo, ackedTo, Evicted)
	return true
}

// makeSpace sees to it that the file system has need bytes free for a segment:
// by the ballast, which is kept for this, and then by giving up segments of
// delivered records, or of lanes that may drop.
func (s *Store) makeSpace(need int64) error {
	err := checkFree(s.dir, need)
	if err == nil {
		return nil
	}
	if err := s.dropBallast(); err != nil {
		return err
	}
	for {
		if err = checkFree(s.dir, need); err == nil {
			return nil
		}
		given := false
		if err := s.locked(func() error {
			t := s.begin()
			t.sealing = true
			old := func(l *Lane, p piece) bool {
				return len(t.lane(l).segments) > 0 && p.last == t.lane(l).segments[0].last
			}
			given = t.giveUp(func(l *Lane, p piece, free Seq) bool { return old(l, p) && p.last <= free }) ||
				t.giveUp(func(l *Lane, p piece, _ Seq) bool { return old(l, p) && l.options.Policy != Keep })
			if !given {
				return nil
			}
			return t.commit()
		}); err != nil {
			return err
		}
		if !given {
			return err
		}
		if err := s.sweep(); err != nil {
			return err
		}
	}
}

// ballastName is a file that only takes space, so that there is some for a
// segment when another program has filled the file system.
const ballastName = "ballast"

func (s *Store) dropBallast() error {
	return os.RemoveAll(filepath.Join(s.dir, ballastName))
}

// keepBallast makes the ballast while there is plenty of space.
func (s *Store) keepBallast() error {
	size := s.ballastBytes()
	free, err := freeBytes(s.dir)
	if err != nil || free < size+reserve {
		return err
	}
	name := filepath.Join(s.dir, ballastName)
	if info, err := os.Stat(name); err == nil && info.Mode().IsRegular() && info.Size() == size {
		return nil
	}
	if err := s.dropBallast(); err != nil {
		return err
	}
	return reserveFile(name, size)
}

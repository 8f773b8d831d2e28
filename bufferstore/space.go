package bufferstore

import (
	"context"
	"math"
	"time"
)

const (
	tick         = 10 * time.Second // of Run
	engineSlack  = 64 << 20         // of the quota: the engine's log, and tables that wait for compaction
	reclaimBytes = 16 << 20         // so much without use is reclaimed at once
	reclaimEvery = 10 * time.Minute // else
	reclaimBatch = 256              // segments at once
	maxCuts      = 1000             // operations of one transaction that may go on cutting
	ageEvery     = 10 * time.Minute // a quiet store's age is saved so often
)

// Run packs small chunks into large ones, gives space back and keeps retention
// and quota until ctx ends; it then returns nil.
func (s *Store) Run(ctx context.Context) error {
	t := time.NewTicker(tick)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
			s.maintain()
		}
	}
}

// maintain does one round of Run.
func (s *Store) maintain() {
	err := s.locked(s.retain)
	for _, l := range s.lanes {
		for more := true; err == nil && more; {
			err = s.locked(func() (err error) {
				more, err = s.seal(l)
				return err
			})
		}
	}
	if err == nil {
		err = s.locked(s.reclaim)
	}
	s.running.report(s.options.Logger, "maintaining the store", err)
}

// locked changes the disk. It is called for one step at a time, for Sync waits meanwhile.
func (s *Store) locked(step func() error) error {
	s.writer.Lock()
	defer s.writer.Unlock()
	if err := s.mend(); err != nil {
		return err
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
	if len(t.ops) == 0 && t.age-s.savedAge >= ageEvery {
		t.ops = append(t.ops, put([]byte{keyAge}, encodeNumbers(uint64(t.age))))
	}
	return t.commit(reserve / 2)
}

// measure sets the quota.
func (s *Store) measure() error {
	if s.options.Quota > 0 {
		s.quota.Store(s.options.Quota)
		return nil
	}
	free, err := freeBytes(s.dir)
	if err != nil {
		return err
	}
	used, err := usedBytes(s.path)
	s.quota.Store(max(0, used+free-2*reserve))
	return err
}

// budget is what records may take of the quota.
func (s *Store) budget() int64 {
	quota := s.quota.Load()
	return quota - min(engineSlack, quota/2)
}

// makeRoom gives records up until need bytes more fit into the budget:
// delivered ones first, then those of lanes that may drop, always the oldest. It
// reports whether they fit.
func (t *tx) makeRoom(need int64) bool {
	if t.bytes()+need > t.s.budget() && !t.measured {
		t.measured = true
		if err := t.s.measure(); err != nil {
			t.s.options.Logger.Debug("measuring the store", "err", err)
		}
	}
	for t.bytes()+need > t.s.budget() {
		if !t.giveUp(func(l *Lane, p piece, free Seq) bool { return p.last <= free }) &&
			!t.giveUp(func(l *Lane, _ piece, _ Seq) bool { return l.options.Policy == DropOldest }) {
			return false
		}
	}
	return true
}

// bytes is what the records of all lanes are to take.
func (t *tx) bytes() (sum int64) {
	for _, l := range t.s.lanes {
		sum += t.lane(l).bytes
	}
	return sum
}

// giveUp cuts the oldest piece of all lanes that may go, if there is one.
func (t *tx) giveUp(may func(l *Lane, p piece, free Seq) bool) bool {
	var victim *Lane
	var upTo, ackedTo Seq
	age := time.Duration(math.MaxInt64)
	for _, l := range t.s.lanes {
		free, acked := t.held(l)
		if p, ok := t.lane(l).oldest(); ok && p.age < age && may(l, p, free) {
			victim, upTo, ackedTo, age = l, p.last, acked, p.age
		}
	}
	if victim == nil || len(t.ops) > maxCuts {
		return false
	}
	t.cut(victim, upTo, ackedTo, Evicted)
	return true
}

// reclaim takes segments without use off the disk. That blocks writes for the
// time of a compaction, so it is done for many at once.
func (s *Store) reclaim() error {
	if s.dropped < reclaimBytes && s.age()-s.sweptAge < reclaimEvery {
		return nil
	}
	s.sweptAge, s.dropped = s.age(), 0
	t := s.begin()
	var prefixes [][]byte
	for _, l := range s.lanes {
		st := t.lane(l)
		for ; st.low < st.live && len(prefixes) < reclaimBatch; st.low++ {
			prefixes = append(prefixes, segmentKey(keySealed, l.name, st.low))
		}
	}
	if len(prefixes) == 0 {
		return nil
	}
	if err := checkFree(s.dir, reserve/2); err != nil {
		return err
	}
	if err := s.engine.drop(prefixes); err != nil {
		s.fail()
		return err
	}
	return t.commit(reserve / 2)
}

package bufferstore

import (
	"maps"
	"slices"
	"time"
)

// Stats is the state of a store at one moment.
type Stats struct {
	Lanes       []LaneStats   // in the order of Options
	Quarantined []string      // directories with content that was set aside
	SyncError   error         // of the last Sync; nil after a good one
	Disk, Quota int64         // bytes
	Pending     int64         // bytes appended but not durable
	Age         time.Duration // running time of the store over all openings
}

// LaneStats is the state of a lane.
type LaneStats struct {
	Name string
	// First is the oldest number kept, Durable the last durable one, Appended
	// the last one given out. First is Durable+1 in an empty lane.
	First, Durable, Appended Seq
	Bytes                    int64  // on disk
	Gaps                     int    // declared gaps that are remembered
	Lost                     uint64 // numbers in them
	Cursors                  []CursorStats
}

// CursorStats is the state of a cursor.
type CursorStats struct {
	Name        string
	Sent, Acked Seq
}

// Stats returns the state of the store.
func (s *Store) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := Stats{
		Quarantined: slices.Clone(s.quarantined),
		SyncError:   s.syncErr,
		Disk:        s.disk.Load(),
		Quota:       s.quota.Load(),
		Pending:     s.pending,
		Age:         s.age(),
	}
	for _, l := range s.lanes {
		st.Lanes = append(st.Lanes, l.stats())
	}
	return st
}

// stats is called with Store.mu.
func (l *Lane) stats() LaneStats {
	st := LaneStats{
		Name: l.name, First: l.state.first, Durable: l.state.end, Appended: l.last,
		Bytes: l.state.bytes, Gaps: len(l.state.gaps),
	}
	for _, g := range l.state.gaps {
		st.Lost += uint64(g.last - g.first + 1)
	}
	for _, name := range slices.Sorted(maps.Keys(l.cursors)) {
		m := l.cursors[name].marks
		st.Cursors = append(st.Cursors, CursorStats{name, m.sent, m.acked})
	}
	return st
}

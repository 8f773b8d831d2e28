package bufferstore

import "time"

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
func (s *Store) Stats() Stats { return Stats{} }

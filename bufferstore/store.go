package bufferstore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// MaxRecord is the length of the longest record, in bytes: a chunk with its
// header stays under 1 MiB, above which the engine would keep it apart.
const MaxRecord = 1<<20 - 1<<10

// Policy says what becomes of a lane's undelivered records when the store is full.
type Policy uint8

// The policies.
const (
	// Keep never drops: records that don't fit any more are refused.
	Keep Policy = iota
	// DropOldest gives the oldest records up for new ones.
	DropOldest
)

// LaneOptions describes a lane.
type LaneOptions struct {
	Name   string // 1 to 64 bytes; a lane that isn't named any more stays on disk untouched
	Policy Policy
	// Retain is how long delivered records stay readable, in store age, while
	// space allows; zero gives their space back at once.
	Retain time.Duration
}

// Options configures a Store.
type Options struct {
	Lanes []LaneOptions // most urgent first
	Codec Codec         // packs chunks; nil keeps them as they are
	// Quota is the most bytes on disk; zero takes what the file system has free
	// less a reserve. The engine's own log and tables in rewriting take up to
	// 64 MiB of it, half of it if it is smaller than 128 MiB.
	Quota int64
	// MaxPending bounds the bytes appended but not yet durable; zero is 8 MiB.
	MaxPending int64
	Logger     *slog.Logger // nil logs nothing
}

// FullError reports a file system with too little space left to write safely.
type FullError struct {
	Dir        string
	Free, Need int64 // bytes
}

// Error says it in one line.
func (e *FullError) Error() string {
	return fmt.Sprintf("store %s: disk full: %d MiB free, %d MiB needed", e.Dir, e.Free>>20, e.Need>>20)
}

// Store is an open store. It is safe for concurrent use.
type Store struct{}

// Open opens the store in dir, which it creates if need be, under a new epoch.
// Content that is damaged or of a newer version is set aside in
// dir/quarantine-… and a fresh store begun. Open fails only if nothing can be
// read or written ([*FullError] where the disk is full), if another process
// has the store open, or on a 32-bit machine.
func Open(dir string, o Options) (*Store, error) {
	return nil, errors.ErrUnsupported
}

// Epoch returns the epoch of this opening.
func (s *Store) Epoch() Epoch { return Epoch{} }

// Lane returns the lane of that name, nil if Options named no such lane.
func (s *Store) Lane(name string) *Lane { return nil }

// Sync makes everything appended, acknowledged and dropped before the call
// durable; concurrent callers share one flush. Nothing is durable before it
// returns nil. On an error, or when ctx ends, records stay in memory and the next
// Sync tries again. A [*FullError] says that the disk is full.
func (s *Store) Sync(ctx context.Context) error { return nil }

// Run packs small chunks into large ones, gives space back and keeps retention
// and quota until ctx ends; it then returns nil.
func (s *Store) Run(ctx context.Context) error { return nil }

// Close ends the store without a Sync: what wasn't synced is gone, as in a
// power cut. Run must have returned.
func (s *Store) Close() error { return nil }

// Lane is one sequence of records. It is safe for concurrent use.
type Lane struct{}

// Append takes copies of records under the next sequence numbers and returns
// the last number. They are in memory until the next Sync. It never fails and
// never waits for the disk: a record longer than [MaxRecord] becomes a gap
// TooLarge, and what doesn't fit in memory a gap Refused.
func (l *Lane) Append(rec ...[]byte) Seq { return 0 }

// Durable returns the last durable sequence number, zero if there is none.
func (l *Lane) Durable() Seq { return 0 }

// Drop gives up all records up to upTo, with the next Sync: they become a gap
// for that reason.
func (l *Lane) Drop(upTo Seq, why Reason) {}

// Cursor is the progress of one destination in a lane. Its marks are durable
// with the next Sync. It is safe for concurrent use.
type Cursor struct{}

// Cursor returns the cursor of that name. A new one begins before the oldest
// number that [Lane.Spans] knows. It holds the lane's records until they are
// acked, in this opening and all later ones, unless Limit or Remove says otherwise.
func (l *Lane) Cursor(name string) *Cursor { return nil }

// Sent returns the last number handed to the destination's broker.
func (c *Cursor) Sent() Seq { return 0 }

// Acked returns the last number up to which all is durable at the destination.
func (c *Cursor) Acked() Seq { return 0 }

// SetSent sets the sent mark, within Acked and the lane's durable end; it may go back.
func (c *Cursor) SetSent(upTo Seq) {}

// Ack raises the acked mark, and with it the sent mark, up to the lane's
// durable end. It never goes back.
func (c *Cursor) Ack(upTo Seq) {}

// Limit makes c a side consumer: it holds no records older than maxAge (store
// age), nor more than maxBytes. Zero is no limit.
func (c *Cursor) Limit(maxAge time.Duration, maxBytes int64) {}

// Remove forgets the cursor, which then holds nothing any more. c must not be
// used again.
func (c *Cursor) Remove() {}

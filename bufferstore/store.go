package bufferstore

import (
	"crypto/cipher"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// MaxRecord is the length of the longest record, in bytes.
const MaxRecord = 1 << 20

// Policy says what becomes of a lane's undelivered records when the store is full.
type Policy uint8

// The policies.
const (
	// Keep never drops: records that don't fit any more are refused.
	Keep Policy = iota
	// DropOldest gives the oldest records up for new ones.
	DropOldest
	// Thin does as well, but asks through [Lane.Crowded] before, so that the caller
	// can keep summaries of them elsewhere and call [Lane.Drop].
	Thin
)

// LaneOptions describes a lane.
type LaneOptions struct {
	Name   string // 1 to 64 of a-z, 0-9, - and _; a lane that isn't named any more keeps its records
	Policy Policy
	// Retain is how long delivered records stay readable, in store age, while
	// space allows; zero gives their space back at once.
	Retain time.Duration
}

// Options configures a Store.
type Options struct {
	Lanes []LaneOptions // most urgent first
	Codec Codec         // packs chunks; nil keeps them as they are
	// Quota is the most bytes on disk; zero takes what the file system has, less a
	// reserve of 32 MiB or an eighth of it. Eight times HeadBytes and a sixteenth of it, or half
	// if that is less, are for the head, a segment being written, the ballast and quarantine.
	Quota int64
	// HeadBytes is the length of each of the two files of the head, 64 KiB to 64
	// MiB; zero is 4 MiB. What they hold is in memory as well. The longer they are,
	// the better chunks pack.
	HeadBytes int64
	// Key, of 32 bytes, encrypts what is written from now on with AES-256-GCM; nil
	// writes in the clear. What was written in the clear stays readable under a key,
	// what was encrypted needs the key until it is gone.
	Key []byte
	// MaxPending bounds the bytes appended but not yet durable; zero is 8 MiB.
	MaxPending int64
	Logger     *slog.Logger // nil logs nothing
}

// checked returns o with its defaults set, or what is wrong with it.
func (o Options) checked() (Options, error) {
	seen := map[string]bool{}
	for _, l := range o.Lanes {
		if !validLane(l.Name) || seen[l.Name] {
			return o, fmt.Errorf("lane %q: not 1 to 64 of a-z, 0-9, - and _, or named twice", l.Name)
		}
		seen[l.Name] = true
	}
	if o.HeadBytes == 0 {
		o.HeadBytes = 4 << 20
	}
	if o.HeadBytes < 64<<10 || o.HeadBytes > 64<<20 || o.HeadBytes%pageBytes != 0 {
		return o, fmt.Errorf("head of %d bytes: not 64 KiB to 64 MiB in pages of 4 KiB", o.HeadBytes)
	}
	if o.Key != nil && len(o.Key) != 32 {
		return o, fmt.Errorf("key of %d bytes: not 32", len(o.Key))
	}
	if o.MaxPending == 0 {
		o.MaxPending = 8 << 20
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o, nil
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
type Store struct {
	dir     string // immutable once open, like all up to quarantined
	options Options
	engine  engine
	key     cipher.AEAD // of chunks
	lock    *os.File
	lanes   []*Lane // those of Options, and behind them others that have records
	named   int     // how many Options name
	epoch   Epoch
	base    time.Duration // age at started
	started time.Time

	looking     bool // of a View: nothing is written
	quarantined []string
	lost        map[string][]gap // by lane: found gone at this opening

	// upkeep is held for a round of maintain, and taken first. It guards running.
	upkeep  sync.Mutex
	running fault

	// sealing is held while segments are written or repaired, and taken before
	// writer. It guards built and number.
	sealing sync.Mutex
	built   map[*Lane]*segment // written, but not noted in the head yet
	number  map[*Lane]uint64   // of the last segment written

	// writer is held for every commit; it guards the fields below it.
	writer   sync.Mutex
	head     *head
	opened   bool // a commit of this opening is durable
	gone     bool // closed
	witness  witness
	garbage  []segmentID // without use, to be removed
	savedAge time.Duration
	stale    bool // a commit is newer than the marks
	writing  fault
	keeping  fault

	quota atomic.Int64  // bytes on disk that there may be
	disk  atomic.Int64  // bytes on disk that there are
	waker chan struct{} // has Run look at once
	cache chunkCache

	// mu is held for moments only, never over disk access. It guards the
	// fields below it and those of lanes and cursors.
	mu      sync.Mutex
	pending int64  // cost of all lanes' pending entries
	waiting *flush // one that hasn't begun and that Sync may join
	closed  bool
	syncErr error
	damaged map[segmentID]bool // to be repaired
	flushes sync.WaitGroup
}

var (
	errClosed = errors.New("store is closed")
	errFull   = errors.New("quota is used up by records that may not be dropped")
)

// Epoch returns the epoch of this opening.
func (s *Store) Epoch() Epoch { return s.epoch }

// Lane returns the lane of that name, nil if Options named no such lane.
func (s *Store) Lane(name string) *Lane {
	if l := s.find(name); l != nil && slices.Contains(s.lanes[:s.named], l) {
		return l
	}
	return nil
}

// find returns a lane, also one that Options don't name.
func (s *Store) find(name string) *Lane {
	for _, l := range s.lanes {
		if l.name == name {
			return l
		}
	}
	return nil
}

// age returns the running time of the store over all openings.
func (s *Store) age() time.Duration { return s.base + time.Since(s.started) }

// Close ends the store without a Sync: what wasn't synced is gone, as in a
// power cut. Run must have returned.
func (s *Store) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return errClosed
	}
	s.closed = true
	s.mu.Unlock()
	s.flushes.Wait()

	s.sealing.Lock()
	defer s.sealing.Unlock()
	s.writer.Lock()
	defer s.writer.Unlock()
	s.gone = true
	s.witness.close()
	return errors.Join(s.head.close(), unlock(s.lock))
}

func (s *Store) isClosed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}

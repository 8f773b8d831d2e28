package bufferstore

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
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
	// less a reserve. 64 MiB of it, or half if that is less, are for the engine's
	// log and tables that it rewrites; a large rewrite may exceed it for moments.
	Quota int64
	// MaxPending bounds the bytes appended but not yet durable; zero is 8 MiB.
	MaxPending int64
	Logger     *slog.Logger // nil logs nothing
}

// checked returns o with its defaults set, or what is wrong with it.
func (o Options) checked() (Options, error) {
	seen := map[string]bool{}
	for _, l := range o.Lanes {
		if l.Name == "" || len(l.Name) > 64 || seen[l.Name] {
			return o, fmt.Errorf("lane %q: empty, longer than 64 bytes or named twice", l.Name)
		}
		seen[l.Name] = true
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
	dir     string // immutable once set, like all up to path
	options Options
	lock    *os.File
	lanes   []*Lane
	epoch   Epoch
	open    opener
	base    time.Duration // age at started
	started time.Time
	path    string // directory of the engine

	// writer is held for every change on disk; it guards the fields below it.
	writer   sync.Mutex
	broken   bool          // a write failed: the engine must be opened again
	reopened chan reopened // not nil while that goes on
	quota    atomic.Int64  // bytes on disk; read without writer
	dropped  int64         // bytes of segments that wait for reclaim
	sweptAge time.Duration // when reclaim ran last
	savedAge time.Duration // as it is on disk
	marked   uint64        // number of the last writing of marks
	stale    bool          // a commit is newer than the marks
	writing  fault
	keeping  fault
	running  fault // of Run alone

	// access is held for reading while the engine is used, for writing while
	// it is replaced.
	access sync.RWMutex
	engine engine // nil while it is opened again, and at the end

	// mu is held for moments only, never over disk access. It guards the
	// fields below it and those of lanes and cursors.
	mu          sync.Mutex
	pending     int64  // cost of all lanes' pending entries
	waiting     *flush // one that hasn't begun and that Sync may join
	suspect     bool   // as broken: what can't be read now may be there all the same
	closed      bool
	syncErr     error
	quarantined []string
	flushes     sync.WaitGroup
}

var (
	errClosed = errors.New("store is closed")
	errFull   = errors.New("quota is used up by records that may not be dropped")
	errAway   = errors.New("store is closed or being opened again")
)

// Epoch returns the epoch of this opening.
func (s *Store) Epoch() Epoch { return s.epoch }

// Lane returns the lane of that name, nil if Options named no such lane.
func (s *Store) Lane(name string) *Lane {
	for _, l := range s.lanes {
		if l.name == name {
			return l
		}
	}
	return nil
}

// age returns the running time of the store over all openings.
func (s *Store) age() time.Duration { return s.base + time.Since(s.started) }

// read calls f with the engine.
func (s *Store) read(f func(engine) error) error {
	s.access.RLock()
	defer s.access.RUnlock()
	if s.engine == nil {
		return errAway
	}
	return f(s.engine)
}

// get returns the value of a key.
func (s *Store) get(key []byte) (value []byte, err error) {
	err = s.read(func(e engine) error {
		value, err = e.get(key)
		return err
	})
	return value, err
}

// Close ends the store without a Sync: what wasn't synced is gone, as in a
// power cut. Run must have returned. On a full or failing disk the engine
// can't be closed: Close leaves it, and the lock, to the end of the process
// and says so.
func (s *Store) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return errClosed
	}
	s.closed = true
	s.mu.Unlock()
	s.flushes.Wait()

	s.writer.Lock()
	defer s.writer.Unlock()
	err := s.writable()
	if err == nil && s.reopened != nil {
		err = s.mend()
	}
	if err != nil {
		return fmt.Errorf("close store %s: %w", s.dir, err)
	}
	s.access.Lock()
	defer s.access.Unlock()
	if s.engine != nil {
		err = s.engine.close()
	}
	s.engine = nil
	return errors.Join(err, unlock(s.lock))
}

// writable returns nil where the engine can write what it has in memory.
func (s *Store) writable() error {
	if err := checkFree(s.dir, reserve/2); err != nil {
		return err
	}
	return probe(s.dir)
}

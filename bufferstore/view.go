package bufferstore

import (
	"errors"
	"fmt"
	"iter"
	"os"
	"time"
)

// View is a store as it was at one moment, for looking into it: running, stopped
// or damaged. It writes nothing, locks nothing and takes no space. What the
// store gives up meanwhile reads as Expired. It is safe for concurrent use.
type View struct{ s *Store }

// viewTries is how often a view is begun anew because the head of a running
// store went on to another file meanwhile.
const viewTries = 10

// OpenView looks into the store in dir. Of Options it needs Codec and Key.
func OpenView(dir string, o Options) (*View, error) {
	o.Lanes = nil
	o, err := o.checked()
	for range viewTries {
		if err != nil {
			break
		}
		s := &Store{dir: dir, options: o, engine: segmentEngine, started: time.Now(), looking: true, witness: witness{dir: dir},
			waker: make(chan struct{}, 1), damaged: map[segmentID]bool{}}
		if err = s.recover(); err != nil {
			break
		}
		var same bool
		if same, err = s.settledView(); same && err == nil {
			return &View{s}, nil
		}
	}
	if err == nil {
		err = errors.New("it changes too fast to be looked into: try again")
	}
	return nil, fmt.Errorf("store %s: %w", dir, err)
}

// settledView closes the head and reports whether it is still what was read.
func (s *Store) settledView() (bool, error) {
	now, _, err := openHead(s.dir, s.options.HeadBytes, os.O_RDONLY)
	if err != nil {
		return false, err
	}
	same := now.latest == s.head.latest
	s.quota.Store(s.used())
	return same, errors.Join(now.close(), s.head.close())
}

// Records is as [Lane.Records], of the lane of that name; it yields nothing
// where there is none.
func (v *View) Records(lane string, from Seq) iter.Seq2[Record, error] {
	if l := v.s.find(lane); l != nil {
		return l.Records(from)
	}
	return func(func(Record, error) bool) {}
}

// Spans is as [Lane.Spans].
func (v *View) Spans(lane string) []Span {
	if l := v.s.find(lane); l != nil {
		return l.Spans()
	}
	return nil
}

// Stats returns the state of the store, with all lanes that have records.
func (v *View) Stats() Stats { return v.s.Stats() }

package custody_test

import (
	"bytes"
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"skyhaul/bufferstore"
	"skyhaul/edge/point"
	"skyhaul/link/batch"
	"skyhaul/link/hub"
)

// name is what a record is called for ever.
type name struct {
	lane  point.Lane
	epoch bufferstore.Epoch
	seq   bufferstore.Seq
}

// names returns the names of the records of a batch.
func names(b *batch.Batch) (ns []name) {
	for seq := b.First; seq <= b.Last; seq++ {
		ns = append(ns, name{b.Lane, b.Epoch, seq})
	}
	return ns
}

// sink is the database that all hubs share. Beside its marks it looks at the
// rows themselves: a row written twice is doubled, whatever the marks say.
type sink struct {
	mu      sync.Mutex
	marks   hub.Marks // guarded by mu, as all below
	rows    map[name]string
	schemas map[point.SchemaID]*point.Schema
	doubled int
	lost    []bufferstore.Record // declared
	reject  []hub.Rejected
	links   []strand             // oldest first
	hubs    map[string]time.Time // when each was last at work
}

// strand is a batch of level B as it came.
type strand struct {
	lane point.Lane
	hub.Link
}

func newSink() *sink {
	return &sink{rows: make(map[name]string), schemas: make(map[point.SchemaID]*point.Schema), hubs: make(map[string]time.Time)}
}

func (s *sink) Store(_ context.Context, _ string, b *batch.Batch) (hub.Marks, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	marks := s.marks
	e, err := marks.Place(b)
	if err != nil {
		return marks, err
	}
	for _, r := range b.Records {
		if e.Has(r.First) {
			continue
		}
		n := name{b.Lane, b.Epoch, r.First}
		if _, there := s.rows[n]; there {
			s.doubled++
		}
		if r.Lost != bufferstore.Kept {
			s.lost = append(s.lost, r)
			continue
		}
		s.rows[n] = string(r.Data)
	}
	e.Add(b.First, b.Last)
	for _, sc := range b.Schemas {
		s.schemas[sc.ID()] = sc
	}
	s.touch(marks)
	return s.marks, nil
}

// StoreLink is one of hub.Chains, as those below. Old links are forgotten.
func (s *sink) StoreLink(ctx context.Context, site string, b *batch.Batch, l hub.Link) (hub.Marks, error) {
	m, err := s.Store(ctx, site, b)
	if err != nil {
		return m, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	l.Payload, l.Snapshot = bytes.Clone(l.Payload), bytes.Clone(l.Snapshot)
	s.links = append(slices.Clone(s.links[max(0, len(s.links)-1000):]), strand{b.Lane, l})
	return m, nil
}

func (s *sink) Repeated(_ context.Context, _ string, _ point.Lane, payload []byte) (hub.Marks, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.marks, slices.ContainsFunc(s.links, func(l strand) bool { return bytes.Equal(l.Payload, payload) }), nil
}

func (s *sink) Paths(_ context.Context, _ string, lane point.Lane, tag uint16) (paths []hub.Path, _ error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, l := range slices.Backward(s.links) {
		if l.lane != lane || uint16(batch.Name(l.Payload)) != tag {
			continue
		}
		if p, ok := s.path(i); ok {
			paths = append(paths, p)
		}
	}
	return paths, nil
}

// path goes back from a link to a snapshot or a beginning. The caller holds mu.
func (s *sink) path(i int) (p hub.Path, ok bool) {
	for {
		l := s.links[i]
		if l.Snapshot != nil {
			p.Snapshot = l.Snapshot
			return p, true
		}
		p.Payloads = slices.Insert(p.Payloads, 0, l.Payload)
		if l.Base == 0 {
			return p, true
		}
		before := s.links[:i]
		if i = len(before) - 1; i < 0 {
			return p, false
		}
		for ; i >= 0 && (before[i].lane != l.lane || batch.Name(before[i].Payload) != l.Base); i-- {
		}
		if i < 0 {
			return p, false
		}
	}
}

func (s *sink) Alone(_ context.Context, name string) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.DeleteFunc(s.hubs, func(_ string, seen time.Time) bool { return time.Since(seen) > 5*time.Minute })
	delete(s.hubs, name)
	alone := len(s.hubs) == 0
	s.hubs[name] = time.Now()
	return alone, nil
}

// touch makes marks the newest. The caller holds mu.
func (s *sink) touch(marks hub.Marks) {
	marks.At = max(marks.At+1, time.Now().UnixMilli())
	s.marks = marks
}

func (s *sink) Marks(context.Context, string) (hub.Marks, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.marks, nil
}

func (s *sink) AskFresh(_ context.Context, _ string, lane point.Lane, epoch bufferstore.Epoch) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	marks := s.marks
	marks.AskFresh(lane, epoch)
	s.touch(marks)
	return nil
}

func (s *sink) Schema(_ context.Context, _ string, id point.SchemaID) (*point.Schema, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sc, ok := s.schemas[id]
	return sc, ok, nil
}

func (s *sink) Sites(context.Context) ([]hub.Site, error) { return []hub.Site{{ID: siteID}}, nil }

func (s *sink) Contact(context.Context, string, batch.State) error { return nil }

func (s *sink) Down(context.Context, string) (*batch.Down, error) { return &batch.Down{}, nil }

func (s *sink) Reject(_ context.Context, r hub.Rejected) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reject = append(s.reject, r)
	return nil
}

// backup returns the sink as it is now.
func (s *sink) backup() *sink {
	s.mu.Lock()
	defer s.mu.Unlock()
	return &sink{marks: s.marks, rows: maps.Clone(s.rows), schemas: maps.Clone(s.schemas), doubled: s.doubled, lost: s.lost, reject: s.reject, links: s.links}
}

// restore makes the sink what it was.
func (s *sink) restore(old *sink) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.marks, s.rows, s.schemas, s.links = old.marks, old.rows, old.schemas, old.links
}

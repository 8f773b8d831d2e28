package hub_test

import (
	"context"
	"errors"
	"iter"
	"slices"
	"sync"
	"testing"
	"time"

	"skyhaul/bufferstore"
	"skyhaul/edge/point"
	"skyhaul/link/batch"
	"skyhaul/link/hub"
)

var master = []byte("the hub's own key, 32 bytes long")

// memory is a sink and a fleet.
type memory struct {
	mu       sync.Mutex
	fail     error // of Store
	marks    map[string]hub.Marks
	schemas  map[string]map[point.SchemaID]*point.Schema
	stored   []bufferstore.Record
	rejected []hub.Rejected
	contacts []batch.State
	down     batch.Down
	repeated int // payloads of links
}

func newMemory() *memory {
	return &memory{marks: make(map[string]hub.Marks), schemas: make(map[string]map[point.SchemaID]*point.Schema)}
}

func (m *memory) Store(_ context.Context, site string, b *batch.Batch) (hub.Marks, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		return hub.Marks{}, m.fail
	}
	marks := m.marks[site]
	e, err := marks.Place(b)
	if err != nil {
		return marks, err
	}
	for _, r := range b.Records {
		if !e.Has(r.First) {
			m.stored = append(m.stored, r)
		}
	}
	e.Add(b.First, b.Last)
	if m.schemas[site] == nil {
		m.schemas[site] = make(map[point.SchemaID]*point.Schema)
	}
	for _, s := range b.Schemas {
		m.schemas[site][s.ID()] = s
	}
	return m.touch(site, marks), nil
}

func (m *memory) touch(site string, marks hub.Marks) hub.Marks {
	marks.At = max(marks.At+1, time.Now().UnixMilli())
	m.marks[site] = marks
	return marks
}

func (m *memory) Marks(_ context.Context, site string) (hub.Marks, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.marks[site], nil
}

func (m *memory) AskFresh(_ context.Context, site string, lane point.Lane, epoch bufferstore.Epoch) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	marks := m.marks[site]
	marks.AskFresh(lane, epoch)
	m.touch(site, marks)
	return nil
}

func (m *memory) Schema(_ context.Context, site string, id point.SchemaID) (*point.Schema, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s, ok := m.schemas[site][id]
	return s, ok, nil
}

func (m *memory) Sites(context.Context) (sites []hub.Site, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for id := range m.marks {
		sites = append(sites, hub.Site{ID: id, DownAt: m.down.At})
	}
	return sites, nil
}

func (m *memory) Contact(_ context.Context, _ string, s batch.State) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.contacts = append(m.contacts, s)
	return nil
}

func (m *memory) Reject(_ context.Context, r hub.Rejected) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.rejected = append(m.rejected, r)
	return nil
}

func (m *memory) Down(context.Context, string) (*batch.Down, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	d := m.down
	return &d, nil
}

// change does something to m that another process might.
func (m *memory) change(f func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f()
}

// broker keeps what it must hand over until it is taken, and what was retained.
type broker struct {
	mu        sync.Mutex
	wake      chan struct{}
	queue     []publication
	published []publication
	refuse    error // answer to a publish
	dead      error // of every session
	mute      bool  // no PUBACKs
	sessions  int
	filters   []string
}

type publication struct {
	topic   string
	payload []byte
}

func newBroker() *broker { return &broker{wake: make(chan struct{}, 1)} }

func (b *broker) connect(filters []string) hub.Session {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sessions++
	b.filters = filters
	return &session{broker: b, pubacks: make(chan func(error), 100)}
}

// deliver has the hub be given something.
func (b *broker) deliver(topic string, payload []byte) {
	b.mu.Lock()
	b.queue = append(b.queue, publication{topic, payload})
	b.mu.Unlock()
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

func (b *broker) next() (p publication, ok bool, dead error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.queue) == 0 {
		return p, false, b.dead
	}
	return b.queue[0], true, b.dead
}

func (b *broker) taken() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.queue = b.queue[1:]
}

// set does something to b.
func (b *broker) set(f func()) {
	b.mu.Lock()
	f()
	b.mu.Unlock()
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// on returns what was published on a topic.
func (b *broker) on(topic string) (payloads [][]byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, p := range b.published {
		if p.topic == topic {
			payloads = append(payloads, p.payload)
		}
	}
	return payloads
}

type session struct {
	broker  *broker
	pubacks chan func(error)
}

var errCut = errors.New("connection cut")

func (s *session) Run(ctx context.Context, receive func(string, []byte) error) error {
	for {
		p, ok, dead := s.broker.next()
		if dead != nil {
			return dead
		}
		if ok {
			if err := receive(p.topic, slices.Clone(p.payload)); err != nil {
				return err
			}
			s.broker.taken()
			continue
		}
		select {
		case <-ctx.Done():
			return nil
		case <-s.broker.wake:
		case done := <-s.answers():
			s.broker.mu.Lock()
			err := s.broker.refuse
			s.broker.mu.Unlock()
			done(err)
		}
	}
}

func (s *session) answers() chan func(error) {
	s.broker.mu.Lock()
	defer s.broker.mu.Unlock()
	if s.broker.mute {
		return nil
	}
	return s.pubacks
}

func (s *session) SendRetained(ctx context.Context, topic string, payload []byte, done func(error)) error {
	s.broker.mu.Lock()
	s.broker.published = append(s.broker.published, publication{topic, slices.Clone(payload)})
	s.broker.mu.Unlock()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case s.pubacks <- done:
		return nil
	}
}

// flows is the schema of the scans in these tests.
var flows = &point.Schema{Group: "flows", Columns: []point.Column{{ID: 1, Tag: "FT-1", Type: point.Uint32, Scale: point.NoScale}}}

func find(id point.SchemaID) (*point.Schema, bool) { return flows, id == flows.ID() }

// wire is a site's batches as they travel.
type wire struct {
	*batch.Encoder
	batch.Header
}

func newWire(e byte) *wire {
	return &wire{batch.NewEncoder(find), batch.Header{Lane: lane, Epoch: epoch(e), Opening: &batch.Opening{First: 1}}}
}

// scans yields the records from first to last.
func (w *wire) scans(first, last bufferstore.Seq) iter.Seq2[bufferstore.Record, error] {
	return func(yield func(bufferstore.Record, error) bool) {
		for n := first; n <= last; n++ {
			sc := point.Scan{Schema: flows.ID(), Values: []uint64{uint64(n)}, Quality: make([]point.Quality, 1)}
			if !yield(bufferstore.Record{Epoch: w.Epoch, First: n, Last: n, Data: sc.Append(nil, flows)}, nil) {
				return
			}
		}
	}
}

// batch encodes scans.
func (w *wire) batch(t *testing.T, first, last bufferstore.Seq) []byte {
	t.Helper()
	p, end, err := w.Encode(nil, w.Header, w.scans(first, last), 1<<16)
	if err != nil || end != last {
		t.Fatalf("encoded up to %d: %v", end, err)
	}
	return p
}

package link_test

import (
	"context"
	"errors"
	"iter"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"skyhaul/bufferstore"
	"skyhaul/edge/point"
	"skyhaul/link"
	"skyhaul/link/batch"
	"skyhaul/link/hub"
	"skyhaul/link/tariff"
	"skyhaul/link/window"
)

// buffer is a lane in memory; it is its own cursor.
type buffer struct {
	mu          sync.Mutex
	recs        []bufferstore.Record // guarded by mu, as all below
	spans       []bufferstore.Span
	sent, acked bufferstore.Seq
	fails       error
}

// reopen begins a new epoch.
func (b *buffer) reopen(e byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := bufferstore.Span{Epoch: bufferstore.Epoch{e}, First: 1}
	if n := len(b.spans); n > 0 {
		s.Parent, s.First = b.spans[n-1].Epoch, b.spans[n-1].Last+1
	}
	s.Last = s.First - 1
	b.spans = append(b.spans, s)
}

// add makes n records of size bytes durable.
func (b *buffer) add(n, size int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := &b.spans[len(b.spans)-1]
	for range n {
		s.Last++
		data := make([]byte, size)
		seed := [32]byte{byte(s.Last), byte(s.Last >> 8), byte(s.Last >> 16)}
		rand.NewChaCha8(seed).Read(data) // so that nothing packs it
		data[0] = byte(point.KindMessage)
		b.recs = append(b.recs, bufferstore.Record{Epoch: s.Epoch, First: s.Last, Last: s.Last, Data: data})
	}
}

func (b *buffer) Records(from bufferstore.Seq) iter.Seq2[bufferstore.Record, error] {
	b.mu.Lock()
	recs, err := b.recs, b.fails // only ever appended to
	b.mu.Unlock()
	return func(yield func(bufferstore.Record, error) bool) {
		if err != nil {
			yield(bufferstore.Record{}, err)
			return
		}
		for _, r := range recs[from-1:] {
			if !yield(r, nil) {
				return
			}
		}
	}
}

func (b *buffer) Durable() bufferstore.Seq {
	b.mu.Lock()
	defer b.mu.Unlock()
	return bufferstore.Seq(len(b.recs))
}

func (b *buffer) Spans() []bufferstore.Span {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.spans)
}

func (b *buffer) Sent() bufferstore.Seq {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.sent
}

func (b *buffer) Acked() bufferstore.Seq {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.acked
}

func (b *buffer) SetSent(upTo bufferstore.Seq) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sent = upTo
}

func (b *buffer) Ack(upTo bufferstore.Seq) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.acked = max(b.acked, upTo)
	b.sent = max(b.sent, upTo)
}

// TestMain has the codec's compressor come into being outside all bubbles: its
// channels belong to whoever uses it first.
func TestMain(m *testing.M) {
	b := new(buffer)
	b.reopen(1)
	b.add(1, 4000)
	for i := range b.recs[0].Data {
		b.recs[0].Data[i] = byte(i % 251) // which zstd packs best
	}
	h := batch.Header{Lane: point.History, Epoch: bufferstore.Epoch{1}}
	p, _, err := batch.NewEncoder(nil).Encode(nil, h, b.Records(1), 1<<20)
	if err == nil {
		_, err = batch.NewDecoder(nil).Decode(p)
	}
	if err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// far is the far side of the link in memory: a link with delay and rate,
// a broker and a hub.
type far struct {
	trip   time.Duration                // there and back
	rate   int                          // bytes a second; 0 has no limit
	most   int                          // bytes of a payload that the broker takes; 0 has no limit
	forget func(n int) bool             // whether the broker forgets the n-th batch after its PUBACK
	late   func(n int) time.Duration    // how long it keeps it
	eat    func(n int) (lost, cut bool) // what happens to the n-th batch on the link

	mu      sync.Mutex
	down    bool              // guarded by mu, as all below: no connection comes about
	no      error             // what the broker answers to CONNECT
	deaf    bool              // the hub is away
	chains  bool              // the hub takes part in chains
	states  map[uint16][]byte // those it has, by tag
	missed  int               // batches on a chain that it has not
	queue   [][]byte
	marks   hub.Marks
	kept    map[string][]byte // retained documents
	session *session
	free    time.Time // when the link has sent all it was given

	dials  []time.Time
	births []link.Message
	got    []arrival // batches that the broker took, in order
	seen   map[name]int
}

// name is a record's name for ever.
type name struct {
	lane  point.Lane
	epoch bufferstore.Epoch
	seq   bufferstore.Seq
}

type arrival struct {
	at    time.Time
	bytes int
	leans bool // on a chain
	*batch.Batch
}

var (
	testSite = "pump-7"
	testKey  = batch.SiteKey([]byte("master"), testSite)
	ackTopic = batch.AckTopic("", testSite)
)

func newFar() *far {
	return &far{
		trip: 600 * time.Millisecond, kept: make(map[string][]byte), seen: make(map[name]int),
		states: make(map[uint16][]byte),
	}
}

// connect is link.Options.NewSession.
func (f *far) connect(s link.Setup) link.Session {
	return &session{far: f, setup: s, room: make(chan struct{}, 1), docs: make(chan doc, 100), cut: make(chan error, 1)}
}

// publish keeps a document and gives it to the site if that listens.
func (f *far) publish(topic string, payload []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.kept[topic] = payload
	if s := f.session; s != nil {
		time.AfterFunc(f.trip/2, func() { s.docs <- doc{topic, payload} })
	}
}

// take is the broker's: it keeps or forgets a batch and hands it to the hub.
func (f *far) take(payload []byte) {
	f.mu.Lock()
	b, err := f.decode(payload)
	if err != nil && !errors.Is(err, batch.ErrState) {
		panic(err)
	}
	n := len(f.got)
	_, _, leans := batch.Base(payload)
	f.got = append(f.got, arrival{time.Now(), len(payload), leans, b})
	f.mu.Unlock()
	if f.forget != nil && f.forget(n) {
		return
	}
	var wait time.Duration
	if f.late != nil {
		wait = f.late(n)
	}
	time.AfterFunc(wait, func() { f.store(payload) })
}

// store is the hub's.
func (f *far) store(payload []byte) {
	f.mu.Lock()
	if f.deaf {
		f.queue = append(f.queue, payload)
		f.mu.Unlock()
		return
	}
	b, err := f.decode(payload)
	if err != nil && !errors.Is(err, batch.ErrState) {
		panic(err)
	}
	if err != nil {
		f.missed++
		lane, _, _ := batch.Base(payload)
		f.marks.AskFresh(lane, bufferstore.Epoch{})
	} else if e, err := f.marks.Place(b); err != nil {
		f.marks.AskFresh(b.Lane, b.Epoch)
	} else {
		if b.Chain != nil {
			f.states[uint16(b.Chain.Name())] = b.Chain.Append(nil)
		}
		e.Add(b.First, b.Last)
		for seq := b.First; seq <= b.Last; seq++ {
			f.seen[name{b.Lane, b.Epoch, seq}]++
		}
	}
	f.mu.Unlock()
	f.ack()
}

// decode reads a batch on the chain that the hub has for it. The caller holds mu.
func (f *far) decode(payload []byte) (*batch.Batch, error) {
	var base *batch.Chain
	if _, tag, ok := batch.Base(payload); ok && f.states[tag] != nil {
		var err error
		if base, err = batch.ParseChain(f.states[tag]); err != nil {
			return nil, err
		}
	}
	return batch.NewDecoder(nil).DecodeOn(base, payload)
}

// ack publishes what the hub holds.
func (f *far) ack() {
	f.mu.Lock()
	f.marks.At = max(f.marks.At+1, time.Now().UnixMilli())
	doc := f.marks.Ack()
	for i := range doc.Lanes {
		doc.Lanes[i].Chain = f.chains
	}
	f.mu.Unlock()
	f.publish(ackTopic, marshal(doc))
}

func marshal(doc *batch.Ack) []byte {
	p, err := doc.Marshal(testKey, testSite)
	if err != nil {
		panic(err)
	}
	return p
}

// hear has the hub come back.
func (f *far) hear() {
	f.mu.Lock()
	f.deaf = false
	queue := f.queue
	f.queue = nil
	f.mu.Unlock()
	for _, p := range queue {
		f.store(p)
	}
}

// setDown takes the link away, or gives it back.
func (f *far) setDown(down bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.down = down
	if down && f.session != nil {
		f.session.cut <- errors.New("connection reset")
	}
}

// twice returns how many records the hub was sent more than once.
func (f *far) twice() (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, times := range f.seen {
		n += times - 1
	}
	return n
}

// arrivals returns what the broker took.
func (f *far) arrivals() []arrival {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.got)
}

// dialled returns when connections were tried.
func (f *far) dialled() []time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.dials)
}

// setChains has the hub take part in chains from its next ack on, or no more.
func (f *far) setChains(on bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.chains = on
}

// setDeaf takes the hub away.
func (f *far) setDeaf() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.deaf = true
}

// session is one connection to far. It lets 128 kB be in flight.
type session struct {
	far   *far
	setup link.Setup
	room  chan struct{}
	docs  chan doc
	cut   chan error

	mu       sync.Mutex
	waiting  []publish // guarded by mu, as all below; handed in, connection or not
	inFlight int
	up, over bool
}

type doc struct {
	topic   string
	payload []byte
}

type publish struct {
	payload []byte
	done    func(error)
}

type largeError struct{ size, limit int }

func (e largeError) Error() string               { return "too large" }
func (e largeError) TooLarge() (size, limit int) { return e.size, e.limit }

func (s *session) Send(ctx context.Context, topic string, payload []byte, done func(error)) error {
	if most := s.far.most; most > 0 && len(payload) > most {
		return largeError{len(payload) + 10, most + 10}
	}
	for {
		s.mu.Lock()
		if s.over {
			s.mu.Unlock()
			return errors.New("session is over")
		}
		if s.inFlight == 0 || s.inFlight+len(payload) <= 128<<10 {
			break
		}
		s.mu.Unlock()
		select {
		case <-s.room:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	defer s.mu.Unlock()
	s.inFlight += len(payload)
	s.waiting = append(s.waiting, publish{slices.Clone(payload), done})
	if s.up {
		s.flush()
	}
	return nil
}

// flush puts what was handed in on the wire. The caller holds mu.
func (s *session) flush() {
	f := s.far
	for _, p := range s.waiting {
		f.mu.Lock()
		f.free = later(f.free, time.Now())
		if f.rate > 0 {
			f.free = f.free.Add(time.Duration(len(p.payload)) * time.Second / time.Duration(f.rate))
		}
		arrives := time.Until(f.free) + f.trip/2
		f.free = f.free.Add(1) // so that they arrive in order
		f.mu.Unlock()
		time.AfterFunc(arrives, func() { s.arrive(p) })
	}
	s.waiting = nil
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func (s *session) arrive(p publish) {
	f := s.far
	if f.eat != nil {
		f.mu.Lock()
		lost, cut := f.eat(len(f.got))
		f.mu.Unlock()
		if !lost {
			f.take(p.payload)
		}
		if cut {
			s.cut <- errors.New("connection reset")
		}
		if lost || cut {
			return
		}
	} else {
		s.mu.Lock()
		over := s.over
		s.mu.Unlock()
		if over {
			return
		}
		f.take(p.payload)
	}
	time.AfterFunc(f.trip/2, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.over {
			return
		}
		s.inFlight -= len(p.payload)
		select {
		case s.room <- struct{}{}:
		default:
		}
		p.done(nil)
	})
}

func (s *session) Run(ctx context.Context, receive func(string, []byte) error) error {
	err := s.run(ctx, receive)
	s.far.mu.Lock()
	s.far.session = nil
	s.far.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
	return err
}

func (s *session) run(ctx context.Context, receive func(string, []byte) error) error {
	f := s.far
	f.mu.Lock()
	f.dials = append(f.dials, time.Now())
	down, no := f.down, f.no
	f.mu.Unlock()
	if !rest(ctx, f.trip) {
		return nil
	}
	if down {
		return errors.New("no route to host")
	}
	if no != nil {
		s.setup.Connected()
		return no
	}
	s.begin()
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-s.cut:
			return err
		case d := <-s.docs:
			if err := receive(d.topic, d.payload); err != nil {
				return err
			}
		}
	}
}

// begin is the first write: what was handed in so far leaves, and what is
// retained comes back.
func (s *session) begin() {
	s.setup.Connected()
	s.mu.Lock()
	s.up = true
	s.flush()
	s.mu.Unlock()
	f := s.far
	f.mu.Lock()
	defer f.mu.Unlock()
	f.births = append(f.births, s.setup.Birth)
	f.session = s
	for _, topic := range s.setup.Subscribe {
		if p, ok := f.kept[topic]; ok {
			time.AfterFunc(f.trip, func() { s.docs <- doc{topic, p} })
		}
	}
}

func rest(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}

// rig is an uplink in a bubble with everything around it.
type rig struct {
	t     *testing.T
	far   *far
	lanes map[point.Lane]*buffer
	opt   link.Options
	*link.Uplink
}

func newRig(t *testing.T, lanes ...point.Lane) *rig {
	r := &rig{t: t, far: newFar(), lanes: make(map[point.Lane]*buffer)}
	ledger := openLedger(t, &memory{}, tariff.Plan{}, now)
	r.opt = link.Options{
		Site: testSite, Key: testKey, Window: window.Always{}, Ledger: ledger, NewSession: r.far.connect, Now: now,
		Schemas: func(point.SchemaID) (*point.Schema, bool) { return nil, false },
	}
	for _, l := range lanes {
		b := new(buffer)
		b.reopen(1)
		r.lanes[l] = b
		r.opt.Lanes = append(r.opt.Lanes, link.Source{Lane: l, Records: b, Cursor: b})
	}
	return r
}

// start runs an uplink until the returned function is called or the test ends.
func (r *rig) start() (stop func()) {
	r.Uplink = link.New(r.opt)
	ctx, cancel := context.WithCancel(r.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			r.t.Error(err)
		}
	})
	r.t.Cleanup(stop)
	return stop
}

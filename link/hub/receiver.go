package hub

import (
	"context"
	cryptorand "crypto/rand"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"skyhaul/link/batch"
)

// Session is one connection to the broker, see mqtt.Session.
type Session interface {
	// Run serves the connection; the PUBACK for what receive was given goes out
	// when it has returned nil.
	Run(ctx context.Context, receive func(topic string, payload []byte) error) error
	// SendRetained publishes; done is called with nil for a PUBACK.
	SendRetained(ctx context.Context, topic string, payload []byte, done func(error)) error
}

// Options configures a Receiver. Prefix and Group may be empty.
type Options struct {
	Sink  Sink
	Fleet Fleet
	// Connect returns a session that Run will open and that subscribes to the
	// filters. The broker has to keep what arrives for it while it is away.
	Connect func(filters []string) Session
	Prefix  string       // of all topics; ends with a slash if it isn't empty
	Group   string       // of the hubs that share the work; "" stands for "skyhub"
	Name    string       // of this one among them, the same after a restart; "" for one made up
	Master  []byte       // the key that those of the sites derive from, see batch.SiteKey
	Logger  *slog.Logger // nil discards
	Tick    func()       // called every minute or more often while all is well, whatever the broker does; nil for nobody
	// ChainMemory bounds what chains take in memory, in bytes. Those beyond are
	// made again from the sink when a batch leans on them, which takes longer. 0
	// stands for 64 MiB; less than 0 keeps none.
	ChainMemory int
}

// Receiver takes batches off a broker, stores them and answers with acks.
type Receiver struct {
	opt     Options
	decoder *batch.Decoder // used by one receive at a time, as lookup is
	lookup  lookup
	strands *strands  // as decoder
	chains  Chains    // the sink, nil where it keeps none
	seen    time.Time // when chains was last told that this hub is at work

	mu      sync.Mutex // guards what follows
	status  Status
	forks   map[string]int    // by site, as last reported
	doubted map[string]*doubt // by site
	alone   bool              // no other hub is at work on the sink; false where it keeps no chains
	shared  bool              // another one is
	broker  fault
	refusal fault
	sink    fault
}

// New returns a receiver that Run will start.
func New(o Options) *Receiver {
	if o.Group == "" {
		o.Group = "skyhub"
	}
	if o.Name == "" {
		o.Name = cryptorand.Text()
	}
	if o.ChainMemory == 0 {
		o.ChainMemory = 64 << 20
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Tick == nil {
		o.Tick = func() {}
	}
	r := &Receiver{opt: o, strands: newStrands(max(0, o.ChainMemory)), forks: make(map[string]int), doubted: make(map[string]*doubt)}
	r.chains, _ = o.Sink.(Chains)
	r.lookup.sink = o.Sink
	r.decoder = batch.NewDecoder(r.lookup.find)
	r.broker = fault{log: o.Logger, begins: "broker session lost", ends: "broker session is back"}
	r.refusal = fault{log: o.Logger, begins: "broker refuses a document for a site", ends: "broker takes documents again"}
	r.sink = fault{log: o.Logger, begins: "sink does not store", ends: "sink stores again"}
	return r
}

// The back-off between sessions: doubled from the first to the longest, each
// shortened by up to half at random. A session that lived longer than the
// longest starts over.
const (
	firstBackoff   = time.Second
	longestBackoff = time.Minute
)

// Run keeps a session with the broker until ctx ends; it then returns nil.
func (r *Receiver) Run(ctx context.Context) error {
	backoff := firstBackoff
	for {
		r.opt.Tick()
		began := time.Now()
		err := r.serve(ctx)
		if ctx.Err() != nil {
			return nil
		}
		r.failed(err)
		if time.Since(began) > longestBackoff {
			backoff = firstBackoff
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(backoff/2 + rand.N(backoff/2)):
		}
		backoff = min(2*backoff, longestBackoff)
	}
}

var errEnded = errors.New("session ended")

// serve lives as long as one session.
func (r *Receiver) serve(ctx context.Context) error {
	if err := r.present(ctx); err != nil {
		return err
	}
	filters := []string{"$share/" + r.opt.Group + "/" + batch.UpFilter(r.opt.Prefix), batch.StateFilter(r.opt.Prefix)}
	s := r.opt.Connect(filters)
	d := newDesk(r, s)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		err := s.Run(ctx, func(topic string, payload []byte) error { return r.receive(ctx, d, topic, payload) })
		if err == nil {
			err = errEnded
		}
		return err
	})
	g.Go(func() error { return d.run(ctx) })
	return g.Wait()
}

// sinkError marks an error as the sink's or the fleet's.
type sinkError struct{ error }

func (e sinkError) Unwrap() error { return e.error }

// failed counts and reports why a session has ended.
func (r *Receiver) failed(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.status.Connected = false
	if s, ok := errors.AsType[sinkError](err); ok {
		r.status.SinkErrors++
		r.sink.begin(s.error)
		return
	}
	r.status.SessionErrors++
	r.broker.begin(err)
}

// alive notes a sign of life from the broker.
func (r *Receiver) alive() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.status.Connected = true
	r.broker.end()
}

// refused reports that the broker does not take a document.
func (r *Receiver) refused(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refusal.begin(err)
}

// published notes that the broker has a document.
func (r *Receiver) published(leaf batch.Leaf) {
	r.alive()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refusal.end()
	if leaf == batch.LeafAck {
		r.status.Acks++
	}
}

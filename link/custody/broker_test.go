package custody_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"skyhaul/link"
	"skyhaul/link/batch"
	"skyhaul/link/hub"
)

// broker takes batches from sites and keeps them for the hubs, which share the
// work; what is retained goes to the sites.
type broker struct {
	w *world

	mu     sync.Mutex
	queue  []letter // guarded by mu, as all below
	hubs   []*hubSession
	sites  map[*siteSession]bool
	kept   map[string][]byte
	forget float64 // share of batches that it acknowledges and forgets
	hold   float64 // share that it hands on late, out of order
}

type letter struct {
	topic   string
	payload []byte
}

func newBroker(w *world) *broker {
	return &broker{w: w, sites: make(map[*siteSession]bool), kept: make(map[string][]byte), forget: 0.02, hold: 0.1}
}

// take is given a batch that a site has sent.
func (b *broker) take(l letter, ns []name) {
	b.mu.Lock()
	forget, hold := b.forget, b.hold
	b.mu.Unlock()
	if b.w.chance(forget) {
		b.w.forgotten(ns)
		return
	}
	b.w.arrived(ns)
	if !b.w.chance(hold) {
		b.hand(l)
		return
	}
	time.AfterFunc(b.w.between(0, holeAfter/2), func() { b.hand(l) })
}

// hand gives a letter to one of the hubs, or keeps it until there is one.
func (b *broker) hand(l letter) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.hubs) == 0 {
		b.queue = append(b.queue, l)
		return
	}
	b.hubs[b.w.n(len(b.hubs))].put(l)
}

// publish is what a hub does: the document is retained and goes to all sites.
func (b *broker) publish(l letter) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.kept[l.topic] = l.payload
	for s := range b.sites {
		time.AfterFunc(trip/2, func() { s.put(l) })
	}
}

// post holds letters for a session that has its own goroutine.
type post struct {
	mu      sync.Mutex
	letters []letter // guarded by mu
	wake    chan struct{}
}

func (p *post) put(ls ...letter) {
	p.mu.Lock()
	p.letters = append(p.letters, ls...)
	p.mu.Unlock()
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

func (p *post) take() []letter {
	p.mu.Lock()
	defer p.mu.Unlock()
	ls := p.letters
	p.letters = nil
	return ls
}

// hubSession is hub.Session: what it has not taken stays with the broker.
type hubSession struct {
	post
	b *broker
}

func (b *broker) connectHub([]string) hub.Session {
	return &hubSession{post: post{wake: make(chan struct{}, 1)}, b: b}
}

func (s *hubSession) Run(ctx context.Context, receive func(string, []byte) error) (err error) {
	b := s.b
	b.mu.Lock()
	b.hubs = append(b.hubs, s)
	queue := b.queue
	b.queue = nil
	b.mu.Unlock()
	s.put(queue...)
	var left []letter
	for ctx.Err() == nil && err == nil {
		left = s.take()
		for len(left) > 0 && ctx.Err() == nil && err == nil {
			time.Sleep(5 * time.Millisecond) // a transaction
			if err = receive(left[0].topic, left[0].payload); err == nil {
				left = left[1:]
			}
		}
		if len(left) > 0 {
			break
		}
		select {
		case <-s.wake:
		case <-ctx.Done():
		}
	}
	b.mu.Lock()
	b.hubs = slices.DeleteFunc(b.hubs, func(o *hubSession) bool { return o == s })
	b.mu.Unlock()
	for _, l := range append(left, s.take()...) {
		b.hand(l)
	}
	return err
}

func (s *hubSession) SendRetained(_ context.Context, topic string, payload []byte, done func(error)) error {
	s.b.publish(letter{topic, slices.Clone(payload)})
	time.AfterFunc(10*time.Millisecond, func() { done(nil) })
	return nil
}

// The link of a site.
const (
	trip     = 300 * time.Millisecond
	rate     = 20_000 // bytes a second
	inFlight = 16 << 10
)

var errCut = errors.New("connection cut")

// siteSession is link.Session over a slow link that is cut now and then.
type siteSession struct {
	post
	b     *broker
	setup link.Setup
	room  chan struct{}
	cut   chan error

	out     sync.Mutex
	waiting []parcel // guarded by out, as all below; handed in before the connection stands
	bytes   int      // in flight
	free    time.Time
	up      bool
	over    bool
}

type parcel struct {
	letter
	names []name
	done  func(error)
}

func (b *broker) connectSite(setup link.Setup) link.Session {
	return &siteSession{post: post{wake: make(chan struct{}, 1)}, b: b, setup: setup, room: make(chan struct{}, 1), cut: make(chan error, 1)}
}

func (s *siteSession) Send(ctx context.Context, topic string, payload []byte, done func(error)) error {
	s.out.Lock()
	for !s.over && s.bytes > 0 && s.bytes+len(payload) > inFlight {
		s.out.Unlock()
		select {
		case <-s.room:
		case <-ctx.Done():
			return ctx.Err()
		}
		s.out.Lock()
	}
	defer s.out.Unlock()
	if s.over {
		return errCut
	}
	s.bytes += len(payload)
	s.waiting = append(s.waiting, parcel{letter{topic, slices.Clone(payload)}, nil, done})
	if s.up {
		s.flush()
	}
	return nil
}

// flush puts on the link what was handed in. The caller holds out.
func (s *siteSession) flush() {
	for _, p := range s.waiting {
		now := time.Now()
		if s.free.Before(now) {
			s.free = now
		}
		s.free = s.free.Add(time.Duration(len(p.payload)) * time.Second / rate)
		p.names = s.b.w.onTheLink(p.payload)
		time.AfterFunc(s.free.Sub(now)+trip/2, func() { s.arrive(p) })
	}
	s.waiting = nil
}

// arrive is the moment at which a batch reaches the broker, or would.
func (s *siteSession) arrive(p parcel) {
	w := s.b.w
	s.out.Lock()
	over := s.over
	s.out.Unlock()
	cut := !over && w.chance(w.flaps)
	if (cut || over) && w.chance(0.5) {
		w.dropped(p.names)
	} else {
		s.b.take(p.letter, p.names)
	}
	if cut {
		select {
		case s.cut <- errCut:
		default:
		}
		return
	}
	time.AfterFunc(trip/2, func() {
		s.out.Lock()
		defer s.out.Unlock()
		if s.over {
			return
		}
		s.bytes -= len(p.payload)
		select {
		case s.room <- struct{}{}:
		default:
		}
		p.done(nil)
	})
}

func (s *siteSession) Run(ctx context.Context, receive func(string, []byte) error) error {
	defer func() {
		s.b.mu.Lock()
		delete(s.b.sites, s)
		s.b.mu.Unlock()
		s.out.Lock()
		s.over = true
		s.out.Unlock()
	}()
	select {
	case <-time.After(trip):
	case <-ctx.Done():
		return nil
	}
	s.begin()
	for {
		for _, l := range s.take() {
			if err := receive(l.topic, l.payload); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case err := <-s.cut:
			return err
		case <-s.wake:
		}
	}
}

// begin is the first write, and what the broker answers to SUBSCRIBE.
func (s *siteSession) begin() {
	s.setup.Connected()
	s.out.Lock()
	s.up = true
	s.flush()
	s.out.Unlock()
	b := s.b
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sites[s] = true
	for _, h := range b.hubs {
		l := letter{s.setup.Birth.Topic, s.setup.Birth.Payload}
		time.AfterFunc(trip/2, func() { h.put(l) })
	}
	if p, ok := b.kept[batch.AckTopic("", siteID)]; ok {
		time.AfterFunc(trip, func() { s.put(letter{batch.AckTopic("", siteID), p}) })
	}
}

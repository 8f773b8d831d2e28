package mqtt

import (
	"context"
	"sync"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"
)

// delivery is a PUBLISH from the broker; id is 0 for QoS 0.
type delivery struct {
	topic   string
	payload []byte
	id      uint16
}

// inbox holds what the broker published until receive has dealt with it, and
// counts it until its PUBACK is being written. A broker of MQTT 5 knows how many
// PUBLISHes of QoS 1 it may leave unacknowledged. All else is loose: it knows
// TCP's flow control alone, so the reader has to wait. It waits for a broker that
// miscounts too (mochi v2.7.9 goes one beyond).
type inbox struct {
	version byte          // immutable once set
	most    int           // of granted, and of loose; immutable once set
	some    chan struct{} // wakes deliver
	space   chan struct{} // wakes the reader

	mu      sync.Mutex // guards all below
	queue   []delivery
	granted int
	loose   int
}

func newInbox(o Options) *inbox {
	return &inbox{
		version: o.Version,
		most:    o.ReceiveMaximum,
		some:    make(chan struct{}, 1),
		space:   make(chan struct{}, 1),
	}
}

func (b *inbox) push(d delivery) {
	b.mu.Lock()
	defer b.mu.Unlock()
	*b.count(d.id != 0)++
	b.queue = append(b.queue, d)
	poke(b.some)
}

// count returns the one of the two that a delivery belongs to.
func (b *inbox) count(qos1 bool) *int {
	if qos1 && b.version == 5 {
		return &b.granted
	}
	return &b.loose
}

func (b *inbox) pop() (delivery, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.queue) == 0 {
		return delivery{}, false
	}
	d := b.queue[0]
	b.queue[0] = delivery{}
	b.queue = b.queue[1:]
	return d, true
}

// settled forgets n deliveries that need nothing more from us.
func (b *inbox) settled(qos1 bool, n int) {
	b.mu.Lock()
	*b.count(qos1) -= n
	b.mu.Unlock()
	poke(b.space)
}

func (b *inbox) full() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.loose >= b.most || b.granted > b.most
}

// arrive queues a PUBLISH and holds up the reader while the inbox is full.
func (s *Session) arrive(ctx context.Context, pk *packets.Packet) {
	s.in.push(delivery{topic: pk.TopicName, payload: pk.Payload, id: pk.PacketID})
	if !s.in.full() {
		return
	}
	s.pulse.pause()
	defer func() { s.pulse.resume(time.Now()) }()
	for s.in.full() {
		select {
		case <-s.in.space:
		case <-ctx.Done():
			return
		}
	}
}

// deliver hands over what has arrived, one at a time, and acknowledges it.
func (s *Session) deliver(ctx context.Context, receive func(string, []byte) error) error {
	for ctx.Err() == nil {
		d, ok := s.in.pop()
		if !ok {
			select {
			case <-s.in.some:
			case <-ctx.Done():
			}
			continue
		}
		if err := receive(d.topic, d.payload); err != nil {
			return receiveError{err}
		}
		if d.id == 0 {
			s.in.settled(false, 1)
			continue
		}
		s.out.puback(d.id)
	}
	return nil
}

package link

import (
	"errors"
	"sync"

	"skyhaul/link/batch"
)

// inbox takes what a session calls back with and keeps it for the uplink's own
// goroutine. It is bounded: by what is in flight, and by the newest of each
// document.
type inbox struct {
	site     string
	key      batch.Key
	ackTopic string
	downs    string        // topic of down documents
	wake     chan struct{} // holds one wake-up

	mu   sync.Mutex
	news news // guarded by mu
}

// news is what came since it was last taken.
type news struct {
	connected bool
	flown     []landing
	ack       *batch.Ack
	down      *batch.Down
	badMAC    int64
	malformed int64
}

// landing is the end of a batch's flight.
type landing struct {
	lane *lane
	flown
	err error
}

func newInbox(o *Options) *inbox {
	return &inbox{
		site: o.Site, key: o.Key,
		ackTopic: batch.AckTopic(o.Prefix, o.Site),
		downs:    batch.DownTopic(o.Prefix, o.Site),
		wake:     make(chan struct{}, 1),
	}
}

// take returns what came since the last time.
func (b *inbox) take() news {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := b.news
	b.news = news{}
	return n
}

func (b *inbox) put(change func(*news)) {
	b.mu.Lock()
	change(&b.news)
	b.mu.Unlock()
	wake(b.wake)
}

func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func (b *inbox) connected() { b.put(func(n *news) { n.connected = true }) }

func (b *inbox) landed(l landing) { b.put(func(n *news) { n.flown = append(n.flown, l) }) }

// receive takes a document. One that can't be trusted is counted; it is no
// reason to end the session.
func (b *inbox) receive(topic string, payload []byte) error {
	switch topic {
	case b.ackTopic:
		doc, err := batch.ParseAck(payload, b.key, b.site)
		b.put(func(n *news) {
			if n.count(err) && (n.ack == nil || n.ack.At < doc.At) {
				n.ack = doc
			}
		})
	case b.downs:
		doc, err := batch.ParseDown(payload, b.key, b.site)
		b.put(func(n *news) {
			if n.count(err) && (n.down == nil || n.down.At < doc.At) {
				n.down = doc
			}
		})
	}
	return nil
}

// count reports whether a document is good.
func (n *news) count(err error) bool {
	switch {
	case err == nil:
		return true
	case errors.Is(err, batch.ErrMAC):
		n.badMAC++
	default:
		n.malformed++
	}
	return false
}

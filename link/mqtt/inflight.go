package mqtt

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"
)

// Packet ids. SUBSCRIBE has one of its own. We begin in the upper half, away from
// the broker's ids, which count up from 1: mochi v2.7.9 keeps both directions in
// one table. There a PUBLISH of ours makes it forget an unacknowledged delivery
// of the same id, and a SUBSCRIBE is refused, as the first write of a kept
// session would be.
const (
	subscribeID = 0x8000
	maxInFlight = 65534 // all other ids
)

// maxPacket is the greatest packet there can be: a type, four bytes of length
// and what they can count. MQTT 5.0, section 2.1.4.
const maxPacket = 1 + 4 + 268_435_455

// publish is a message on its way out.
type publish struct {
	topic   string
	payload []byte
	retain  bool
	done    func(error)
}

// flight is a PUBLISH awaiting its PUBACK.
type flight struct {
	publish     // without payload
	order   int // of admission
	bytes   int // of payload, as counted against the limit
	packet  int // bytes of the whole packet
}

// outbox holds what is to be written and what awaits PUBACK.
type outbox struct {
	opt  Options       // immutable once set
	room chan struct{} // wakes the Send that is next
	wake chan struct{} // wakes the writer

	mu        sync.Mutex // guards all below
	limits    Limits     // of the last CONNACK, or remembered
	fresh     bool       // limits are of this connection
	held      bool       // publishes wait for CONNACK
	reserved  int        // flights kept free for the birth message
	control   bytes.Buffer
	acks      int // PUBACKs in control
	publishes bytes.Buffer
	flights   map[uint16]flight
	admitted  int       // flights ever
	bytes     int       // of payload in flight
	since     time.Time // of the last PUBACK, or of the first flight after none
	lastID    uint16
	ended     error
}

func newOutbox(opt Options) *outbox {
	o := &outbox{
		opt:     opt,
		room:    make(chan struct{}, 1),
		wake:    make(chan struct{}, 1),
		limits:  *opt.Limits,
		flights: make(map[uint16]flight),
		lastID:  subscribeID,
	}
	if opt.Birth != nil {
		o.reserved = 1
	}
	return o
}

func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// admit puts p in flight, or returns false where it has to wait for room.
func (o *outbox) admit(p publish) (bool, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.ended != nil {
		return false, o.ended
	}
	size := o.packetSize(p)
	if limit := or(o.limits.MaxPacket, maxPacket); size > limit {
		if !o.fresh && limit < maxPacket {
			return false, nil // the broker may have been given room since: CONNACK will tell
		}
		return false, &TooLargeError{Size: size, Limit: limit}
	}
	count, most := o.limits.window(o.opt)
	if len(o.flights)+o.reserved >= count || o.bytes > 0 && o.bytes+len(p.payload) > most {
		return false, nil
	}
	o.launch(&o.publishes, p, len(p.payload))
	poke(o.wake)
	return true, nil
}

// launch encodes p into buf and puts it in flight.
func (o *outbox) launch(buf *bytes.Buffer, p publish, counted int) {
	if len(o.flights) == 0 {
		o.since = time.Now()
	}
	id, before := o.newID(), buf.Len()
	encode(buf, (&packets.Packet{
		FixedHeader:     packets.FixedHeader{Type: packets.Publish, Qos: 1, Retain: p.retain && !o.limits.NoRetain},
		ProtocolVersion: o.opt.Version,
		TopicName:       p.topic,
		PacketID:        id,
		Payload:         p.payload,
	}).PublishEncode)
	p.payload = nil
	o.flights[id] = flight{publish: p, order: o.admitted, bytes: counted, packet: buf.Len() - before}
	o.admitted++
	o.bytes += counted
}

// newID returns an id that is not in flight.
func (o *outbox) newID() uint16 {
	for {
		o.lastID++
		if _, busy := o.flights[o.lastID]; !busy && o.lastID != 0 && o.lastID != subscribeID {
			return o.lastID
		}
	}
}

// packetSize returns the bytes of p on the wire: type, remaining length, topic,
// packet id, properties (none, MQTT 5), payload.
func (o *outbox) packetSize(p publish) int {
	n := 2 + len(p.topic) + 2 + len(p.payload)
	if o.opt.Version == 5 {
		n++
	}
	header := 2
	for rest := n >> 7; rest > 0; rest >>= 7 {
		header++
	}
	return header + n
}

// settle ends the flight that a PUBACK names. It returns false where there is
// none.
func (o *outbox) settle(id uint16, reason Reason, text string) bool {
	o.mu.Lock()
	f, ok := o.flights[id]
	if ok {
		delete(o.flights, id)
		o.bytes -= f.bytes
		o.since = time.Now()
	}
	o.mu.Unlock()
	if !ok {
		return false
	}
	poke(o.room)
	f.done(f.verdict(reason, text))
	return true
}

// verdict turns a PUBACK's reason into what the sender learns.
func (f flight) verdict(reason Reason, text string) error {
	if reason >= unspecified || reason == NoSubscriber && !f.retain {
		return &RefusedError{What: "publish " + f.topic, Reason: reason, Text: text}
	}
	return nil
}

// awaited says how many payload bytes await PUBACK and since when none has come;
// the time is zero where nothing is in flight.
type awaited struct {
	since time.Time
	bytes int
}

func (o *outbox) awaited() awaited {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.flights) == 0 {
		return awaited{}
	}
	return awaited{since: o.since, bytes: o.bytes}
}

// end fails all that is in flight, in the order it was admitted, and every Send
// from now on.
func (o *outbox) end(cause error) {
	o.mu.Lock()
	o.ended = errEnded
	if cause != nil {
		o.ended = fmt.Errorf("%w: %w", errEnded, cause)
	}
	flights := slices.SortedFunc(maps.Values(o.flights), func(a, b flight) int { return cmp.Compare(a.order, b.order) })
	clear(o.flights)
	limit := or(o.limits.MaxPacket, maxPacket)
	o.mu.Unlock()
	poke(o.room)
	for _, f := range flights {
		if f.packet > limit {
			f.done(&TooLargeError{Size: f.packet, Limit: limit})
			continue
		}
		f.done(o.ended)
	}
}

// encode appends a packet. The codec fails only for a packet id of zero.
func encode(buf *bytes.Buffer, packet func(*bytes.Buffer) error) {
	if err := packet(buf); err != nil {
		panic(err)
	}
}

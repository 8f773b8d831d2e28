package mqtt_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"

	"skyhaul/link/mqtt"
)

// peer is the broker's end of a session inside a bubble: the test says what it
// reads and sends.
type peer struct {
	*testing.T
	version byte
	conn    net.Conn
	r       *bufio.Reader
	writes  *writes
	cancel  context.CancelFunc
	result  chan error
}

// writes records each Write of the session.
type writes struct {
	net.Conn
	mu   sync.Mutex // guards each
	each [][]byte
}

func (w *writes) Write(p []byte) (int, error) {
	w.mu.Lock()
	w.each = append(w.each, bytes.Clone(p))
	w.mu.Unlock()
	return w.Conn.Write(p)
}

func (w *writes) all() [][]byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.each
}

// open returns a session over net.Pipe that has not been run yet.
func open(t *testing.T, o mqtt.Options) (*mqtt.Session, *peer) {
	t.Helper()
	ours, theirs := net.Pipe()
	w := &writes{Conn: ours}
	o.Dial = func(context.Context) (net.Conn, error) { return w, nil }
	if o.Version == 0 {
		o.Version = 5
	}
	p := &peer{T: t, version: o.Version, conn: theirs, r: bufio.NewReader(theirs), writes: w, result: make(chan error, 1)}
	t.Cleanup(func() { theirs.Close() })
	return mqtt.New(o), p
}

// run starts the session.
func (p *peer) run(s *mqtt.Session, receive func(string, []byte) error) {
	ctx, cancel := context.WithCancel(p.Context())
	p.cancel = cancel
	go func() { p.result <- s.Run(ctx, receive) }()
}

// start runs a session and answers its CONNECT.
func start(t *testing.T, o mqtt.Options, receive func(string, []byte) error, connack string) (*mqtt.Session, *peer) {
	t.Helper()
	s, p := open(t, o)
	p.run(s, receive)
	p.expect(packets.Connect)
	p.send(connack)
	return s, p
}

// next reads a packet of the session.
func (p *peer) next() packets.Packet {
	p.Helper()
	pk, err := p.read()
	if err != nil {
		p.Fatalf("read from the session: %v", err)
	}
	return pk
}

func (p *peer) read() (packets.Packet, error) {
	pk := packets.Packet{ProtocolVersion: p.version}
	first, err := p.r.ReadByte()
	if err != nil {
		return pk, err
	}
	if err := pk.FixedHeader.Decode(first); err != nil {
		return pk, err
	}
	n, _, err := packets.DecodeLength(p.r)
	if err != nil {
		return pk, err
	}
	body := make([]byte, n)
	if _, err := io.ReadFull(p.r, body); err != nil {
		return pk, err
	}
	pk.FixedHeader.Remaining = n
	switch pk.FixedHeader.Type {
	case packets.Connect:
		err = pk.ConnectDecode(body)
	case packets.Subscribe:
		err = pk.SubscribeDecode(body)
	case packets.Publish:
		err = pk.PublishDecode(body)
	case packets.Puback:
		err = pk.PubackDecode(body)
	case packets.Disconnect:
		err = pk.DisconnectDecode(body)
	}
	return pk, err
}

// expect reads a packet of the given type.
func (p *peer) expect(kind byte) packets.Packet {
	p.Helper()
	pk := p.next()
	if pk.FixedHeader.Type != kind {
		p.Fatalf("got a %s, want a %s", packets.PacketNames[pk.FixedHeader.Type], packets.PacketNames[kind])
	}
	return pk
}

// expectPublish reads PUBLISHes with these payloads and returns their ids.
func (p *peer) expectPublish(payloads ...string) (ids []uint16) {
	p.Helper()
	for _, want := range payloads {
		pk := p.expect(packets.Publish)
		if got := string(pk.Payload); got != want {
			p.Fatalf("payload %q, want %q", got, want)
		}
		ids = append(ids, pk.PacketID)
	}
	return ids
}

// quiet demands that the session has nothing to say now.
func (p *peer) quiet() {
	p.Helper()
	synctest.Wait()
	p.conn.SetReadDeadline(time.Now().Add(time.Nanosecond))
	defer p.conn.SetReadDeadline(time.Time{})
	if b, err := p.r.Peek(1); err == nil {
		p.Fatalf("the session says %x, want silence", b)
	}
}

// send writes bytes given in hex; spaces are for the eye.
func (p *peer) send(hexes ...string) {
	p.Helper()
	if _, err := p.conn.Write(unhex(hexes...)); err != nil {
		p.Fatalf("write to the session: %v", err)
	}
}

func (p *peer) puback(ids ...uint16) {
	p.Helper()
	for _, id := range ids {
		if _, err := p.conn.Write([]byte{0x40, 2, byte(id >> 8), byte(id)}); err != nil {
			p.Fatal(err)
		}
	}
}

// publish sends a PUBLISH to the session; id 0 is QoS 0.
func (p *peer) publish(id uint16, topic, payload string) {
	p.Helper()
	pk := packets.Packet{
		FixedHeader:     packets.FixedHeader{Type: packets.Publish},
		ProtocolVersion: p.version, PacketID: id, TopicName: topic, Payload: []byte(payload),
	}
	if id != 0 {
		pk.FixedHeader.Qos = 1
	}
	var buf bytes.Buffer
	if err := pk.PublishEncode(&buf); err != nil {
		p.Fatal(err)
	}
	if _, err := p.conn.Write(buf.Bytes()); err != nil {
		p.Fatal(err)
	}
}

// stop ends the session and demands DISCONNECT and nil.
func (p *peer) stop() {
	p.Helper()
	p.cancel()
	p.expect(packets.Disconnect)
	if err := <-p.result; err != nil {
		p.Errorf("Run returned %v, want nil", err)
	}
}

// outcome reads what is left and returns what Run returned.
func (p *peer) outcome() error {
	go io.Copy(io.Discard, p.r)
	return <-p.result
}

func unhex(parts ...string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(strings.Join(parts, ""), " ", ""))
	if err != nil {
		panic(err)
	}
	return b
}

// outcomes collects what becomes of each message sent, in order of arrival.
type outcomes struct {
	mu   sync.Mutex // guards all
	all  []string
	errs []error
}

func (o *outcomes) of(payload string) func(error) {
	return func(err error) {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.all = append(o.all, payload)
		o.errs = append(o.errs, err)
	}
}

// take returns what has arrived, and forgets it.
func (o *outcomes) take() (payloads []string, errs []error) {
	synctest.Wait()
	o.mu.Lock()
	defer o.mu.Unlock()
	payloads, errs, o.all, o.errs = o.all, o.errs, nil, nil
	return payloads, errs
}

func nothing(string, []byte) error { return nil }

const connackOK = "20 03 00 00 00"

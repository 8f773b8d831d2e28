// Package mqtt is an MQTT 3.1.1 and 5 client session for links on which a round
// trip is long and every byte is paid for.
//
// A session is one connection, from dial to close. Its first write carries
// CONNECT, SUBSCRIBE, the birth message and all PUBLISHes handed in so far,
// without waiting for CONNACK (MQTT 5.0, section 3.1.4): until that arrives the
// broker is assumed to allow what its last CONNACK allowed, see [Limits].
//
// It never sends a message twice. What has no PUBACK when the session ends is
// reported as such; order, resend and removal of doubles belong to whoever
// numbers the content.
//
// A broker is believed dead when, with an answer due, not one byte has come for
// 30 s plus the time the bytes in flight take at 480 B/s, or when it has left
// all PUBLISHes without PUBACK for 5 minutes plus the same. Every write has a
// deadline of the first kind. So a half-open connection ends in bounded time,
// and one at 9.6 kbit/s with round trips of 3 s lives.
package mqtt

import (
	"context"
	"errors"
	"net"
	"sync/atomic"

	"golang.org/x/sync/errgroup"
)

// Session is one connection to a broker. Its methods may be called
// concurrently.
type Session struct {
	opt   Options // immutable once set
	out   *outbox
	in    *inbox
	pulse *pulse
	turn  chan struct{} // held by the Send that is next
	cut   chan error    // a failed write
	ran   atomic.Bool
}

// New returns a session that Run will open.
func New(o Options) *Session {
	o = o.withDefaults()
	return &Session{
		opt:   o,
		out:   newOutbox(o),
		in:    newInbox(o),
		pulse: new(pulse),
		turn:  make(chan struct{}, 1),
		cut:   make(chan error, 1),
	}
}

// Send publishes with QoS 1, in call order, and may be called before Run: what
// is handed in before the connection stands leaves with the first write. It
// blocks while the in-flight limit is reached. payload may be reused when Send
// returns.
//
// When Send returns nil, done is called once: with nil for a PUBACK, with a
// [*RefusedError] or a [*TooLargeError] where the broker said no to this
// message, else, where the session ended first and the fate of the message is
// unknown, with an error that wraps what Run returns. done is called by Run and
// must not block, so it must not call Send. When Send returns an error, which is
// a [*TooLargeError] where the broker would not take the message, done is not
// called.
//
// A broker of MQTT 5 that drops the message because nobody subscribes may say
// so: that is a refusal for the reason [NoSubscriber].
func (s *Session) Send(ctx context.Context, topic string, payload []byte, done func(error)) error {
	return s.send(ctx, publish{topic: topic, payload: payload, done: done})
}

// SendRetained is Send with the retain flag: the broker keeps payload as the
// topic's last, so that it matters to nobody whether somebody subscribes now.
// The flag is left out towards a broker that keeps no retained messages.
func (s *Session) SendRetained(ctx context.Context, topic string, payload []byte, done func(error)) error {
	return s.send(ctx, publish{topic: topic, payload: payload, retain: true, done: done})
}

func (s *Session) send(ctx context.Context, p publish) error {
	if err := checkTopic(p.topic); err != nil {
		return err
	}
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	for {
		if admitted, err := s.out.admit(p); admitted || err != nil {
			return err
		}
		select {
		case <-s.out.room:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Run opens the connection and serves it until ctx ends, which it answers with
// DISCONNECT and nil, or until the session breaks. It hands what the broker
// publishes to receive, in order and one at a time; the PUBACK goes out when
// receive has returned nil, and an error from receive ends Run with that error.
// receive owns payload. While it works the session lives on, but when
// ReceiveMaximum messages wait for it nothing more is read: it must not wait for
// a PUBACK, and not for a Send that may.
//
// Run returns a [*RefusedError] where the broker said no. When it returns, every
// done has been called. A session runs once.
func (s *Session) Run(ctx context.Context, receive func(topic string, payload []byte) error) error {
	if s.ran.Swap(true) {
		return errors.New("an mqtt session runs once")
	}
	err := s.run(ctx, receive)
	s.out.end(err)
	return err
}

func (s *Session) run(ctx context.Context, receive func(string, []byte) error) error {
	if err := s.opt.check(); err != nil {
		return err
	}
	conn, err := s.opt.Dial(ctx)
	switch {
	case err == nil && ctx.Err() == nil:
		err = s.serve(ctx, conn, receive)
	case err == nil:
		conn.Close() // nothing that we could say is worth its bytes any more
	}
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// serve returns when all it started has ended; conn is closed then.
func (s *Session) serve(ctx context.Context, conn net.Conn, receive func(string, []byte) error) error {
	s.begin()
	g, group := errgroup.WithContext(ctx)
	g.Go(func() error { return s.read(group, conn) })
	g.Go(func() error { return s.write(ctx, group, conn) })
	g.Go(func() error { return s.deliver(group, receive) })
	g.Go(func() error { return s.watch(group) })
	err := g.Wait()
	if e, ok := errors.AsType[receiveError](err); ok {
		return e.error
	}
	return err
}

// Package mqtt is an MQTT 3.1.1 and 5 client session for links on which a round
// trip is long and a byte is paid for.
package mqtt

import (
	"context"
	"errors"
)

const maxInFlight = 65534

// Session is one connection to a broker, from dial to close. Its methods may be
// called concurrently.
type Session struct {
	opt Options
}

// New returns a session that Run will open.
func New(o Options) *Session {
	return &Session{opt: o.withDefaults()}
}

// Send publishes with QoS 1, in call order, and may be called before Run: what
// is handed in before the connection stands leaves with the first write. It
// blocks while the in-flight limit is reached. payload may be reused when Send
// returns.
//
// When Send returns nil, done is called once: with nil for a PUBACK, with a
// [*RefusedError] or a [*TooLargeError] where the broker said no, with another
// error where the session ended first and the fate of the message is unknown.
// It is called by Run and must not block, so it must not call Send. When Send
// returns an error, done is not called.
func (s *Session) Send(ctx context.Context, topic string, payload []byte, done func(error)) error {
	return errors.New("session is not open")
}

// SendRetained is Send with the retain flag: the broker keeps the payload as
// the topic's last.
func (s *Session) SendRetained(ctx context.Context, topic string, payload []byte, done func(error)) error {
	return errors.New("session is not open")
}

// Run opens the connection and serves it until ctx ends, which it answers with
// DISCONNECT and nil, or until the session breaks. It hands what the broker
// publishes to receive, in order and one at a time; the PUBACK goes out when
// receive has returned nil, and an error from receive ends Run with that error.
// receive owns payload. While it works the session lives on, but with a full
// queue nothing is read, so it must not wait for a PUBACK.
//
// Run returns a [*RefusedError] where the broker said no. When it has returned,
// every done has been called. A session runs once.
func (s *Session) Run(ctx context.Context, receive func(topic string, payload []byte) error) error {
	return errors.New("session is not open")
}

package mqtt

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"strings"
	"time"
	"unicode/utf8"
)

// Dialer opens the connection that a session runs on. It bounds its own time
// beside ctx. TCP, TLS, a tunnel and a simulated link all fit.
type Dialer func(ctx context.Context) (net.Conn, error)

// Message is what a session publishes when it begins (birth) or what the broker
// publishes when the session breaks (will); QoS 1.
type Message struct {
	Topic   string
	Payload []byte // at most 65,535 bytes in a will
	Retain  bool
}

// Options says how a session talks to its broker. Dial is all it must have.
type Options struct {
	Dial     Dialer
	Version  byte   // 4 for MQTT 3.1.1, 5 for MQTT 5; 0 stands for 5
	ClientID string // "" lets the broker choose one
	User     string
	Password []byte // never logged
	// KeepAlive is the longest silence on our side, up to 65,535 s; 0 for none.
	// A broker hangs up after 1.5 times as long, and some count from the last
	// whole packet: it must exceed the time the largest PUBLISH takes on the
	// wire.
	KeepAlive     time.Duration
	CleanStart    bool          // forget what the broker kept for this client id
	SessionExpiry time.Duration // MQTT 5: how long the broker keeps subscriptions and undelivered messages after the connection
	Subscribe     []string      // topic filters, QoS 1, in the first write
	Birth         *Message      // published right after SUBSCRIBE
	Will          *Message

	InFlight      int // most PUBLISHes awaiting PUBACK; 0 stands for 100
	InFlightBytes int // most payload bytes awaiting PUBACK, though one PUBLISH may always go; 0 stands for 1 MiB

	// ReceiveMaximum bounds the messages taken from the broker before receive
	// has dealt with them, 1 to 65,535; 0 stands for 20. Together with MaxPacket
	// it bounds memory.
	ReceiveMaximum int
	MaxPacket      int // greatest packet accepted, in bytes; 0 stands for 1 MiB

	// Limits is what the last CONNACK of this broker said. New reads it and Run
	// writes it; the caller keeps it from one session to the next and leaves it
	// alone in between. nil forgets.
	Limits *Limits
	Logger *slog.Logger // nil discards
}

// withDefaults fills in what the caller left out.
func (o Options) withDefaults() Options {
	o.Version = or(o.Version, 5)
	o.InFlight = min(or(o.InFlight, 100), maxInFlight)
	o.InFlightBytes = or(o.InFlightBytes, 1<<20)
	o.ReceiveMaximum = or(o.ReceiveMaximum, 20)
	o.MaxPacket = or(o.MaxPacket, 1<<20)
	o.Limits = or(o.Limits, new(Limits))
	o.Logger = or(o.Logger, slog.New(slog.DiscardHandler))
	return o
}

func or[T comparable](v, def T) T {
	var zero T
	if v == zero {
		return def
	}
	return v
}

// check refuses what the wire can't carry or the protocol forbids.
func (o Options) check() error {
	switch {
	case o.Dial == nil:
		return errors.New("mqtt options: no dialer")
	case o.Version != 4 && o.Version != 5:
		return fmt.Errorf("mqtt options: version %d is neither 4 (3.1.1) nor 5", o.Version)
	case o.InFlight < 0 || o.InFlightBytes < 0:
		return errors.New("mqtt options: negative in-flight limit")
	case o.ReceiveMaximum < 0 || o.ReceiveMaximum > math.MaxUint16:
		return fmt.Errorf("mqtt options: receive maximum %d is outside 1 to 65535", o.ReceiveMaximum)
	case o.MaxPacket < 0 || o.MaxPacket > maxPacket:
		return fmt.Errorf("mqtt options: maximum packet size %d is outside 1 to %d", o.MaxPacket, maxPacket)
	case o.KeepAlive < 0 || seconds(o.KeepAlive) > math.MaxUint16:
		return fmt.Errorf("mqtt options: keep-alive %v is outside 0 to 65535 s", o.KeepAlive)
	case o.SessionExpiry < 0 || seconds(o.SessionExpiry) > math.MaxUint32:
		return fmt.Errorf("mqtt options: session expiry %v is outside 0 to %d s", o.SessionExpiry, uint32(math.MaxUint32))
	case !validString(o.ClientID) || !validString(o.User) || len(o.Password) > math.MaxUint16:
		return errors.New("mqtt options: client id, user or password is longer than 65535 bytes or not UTF-8")
	case o.Version == 4 && o.User == "" && len(o.Password) > 0:
		return errors.New("mqtt options: 3.1.1 takes no password without a user")
	}
	return errors.Join(o.checkTopics()...)
}

func (o Options) checkTopics() (errs []error) {
	for _, f := range o.Subscribe {
		if f == "" || !validString(f) {
			errs = append(errs, fmt.Errorf("topic filter %.80q is empty, longer than 65535 bytes or not UTF-8", f))
		}
	}
	for _, m := range []*Message{o.Birth, o.Will} {
		if m != nil {
			errs = append(errs, checkTopic(m.Topic))
		}
	}
	if o.Will != nil && len(o.Will.Payload) > math.MaxUint16 {
		errs = append(errs, fmt.Errorf("will of %d bytes exceeds 65535", len(o.Will.Payload)))
	}
	return errs
}

// checkTopic applies MQTT 5.0, section 4.7: one character at least, no wildcard,
// no NUL.
func checkTopic(t string) error {
	if t == "" || !validString(t) || strings.ContainsAny(t, "+#") {
		return fmt.Errorf("topic %.80q is empty, longer than 65535 bytes, not UTF-8 or holds a wildcard", t)
	}
	return nil
}

// validString applies MQTT 5.0, section 1.5.4.
func validString(s string) bool {
	return len(s) <= math.MaxUint16 && utf8.ValidString(s) && strings.IndexByte(s, 0) < 0
}

// seconds rounds up.
func seconds(d time.Duration) int64 {
	return int64((d + time.Second - 1) / time.Second)
}

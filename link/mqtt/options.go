package mqtt

import (
	"context"
	"log/slog"
	"net"
	"time"
)

// Dialer opens the connection that a session runs on. It bounds its own time
// beside ctx. TCP, TLS, a tunnel and a simulated link all fit.
type Dialer func(ctx context.Context) (net.Conn, error)

// Message is what a session publishes when it begins (birth) or what the broker
// publishes when it breaks (will); QoS 1.
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
	// KeepAlive is the longest silence on our side, in whole seconds up to
	// 65,535; 0 for none. A broker hangs up after 1.5 times as long, and some
	// count from the last whole packet: it must exceed the time the largest
	// PUBLISH takes on the wire.
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

const (
	defaultInFlight       = 100
	defaultInFlightBytes  = 1 << 20
	defaultReceiveMaximum = 20
	defaultMaxPacket      = 1 << 20
)

// withDefaults fills in what the caller left out.
func (o Options) withDefaults() Options {
	o.Version = or(o.Version, 5)
	o.InFlight = min(or(o.InFlight, defaultInFlight), maxInFlight)
	o.InFlightBytes = or(o.InFlightBytes, defaultInFlightBytes)
	o.ReceiveMaximum = or(o.ReceiveMaximum, defaultReceiveMaximum)
	o.MaxPacket = or(o.MaxPacket, defaultMaxPacket)
	if o.Limits == nil {
		o.Limits = new(Limits)
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

func or[T comparable](v, def T) T {
	var zero T
	if v == zero {
		return def
	}
	return v
}

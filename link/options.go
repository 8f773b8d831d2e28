package link

import (
	"context"
	"iter"
	"log/slog"
	"time"

	"skyhaul/bufferstore"
	"skyhaul/edge/point"
	"skyhaul/link/batch"
	"skyhaul/link/window"
)

// Session is one connection to the broker, from dial to close; *mqtt.Session is
// one.
type Session interface {
	// Send publishes with QoS 1, in call order; it may be called before Run and
	// blocks at the session's in-flight limit. Unless Send returns an error,
	// done is called once: with nil for a PUBACK. payload may be reused when
	// Send returns.
	Send(ctx context.Context, topic string, payload []byte, done func(error)) error
	// Run serves the connection until ctx ends, which it answers with
	// DISCONNECT and nil, or until it breaks. When it returns, every done has
	// been called.
	Run(ctx context.Context, receive func(topic string, payload []byte) error) error
}

// Setup is what an uplink wants of a new session. Sessions are to be clean:
// the broker keeps nothing from one to the next.
type Setup struct {
	Subscribe []string // topics, QoS 1
	Birth     Message  // to be published when the session begins
	Will      Message  // to be published by the broker when it breaks
	// Connected is to be called when the connection stands, before CONNECT is
	// written.
	Connected func()
}

// Message is a PUBLISH.
type Message struct {
	Topic   string
	Payload []byte
	Retain  bool
}

// Lane is what an uplink needs of a lane of the buffer; *bufferstore.Lane has it.
type Lane interface {
	Records(from bufferstore.Seq) iter.Seq2[bufferstore.Record, error]
	Durable() bufferstore.Seq
	Spans() []bufferstore.Span
}

// Cursor is the hub's cursor in a lane; *bufferstore.Cursor is one.
type Cursor interface {
	Sent() bufferstore.Seq
	Acked() bufferstore.Seq
	SetSent(upTo bufferstore.Seq)
	Ack(upTo bufferstore.Seq)
}

// Source is a lane to be sent.
type Source struct {
	Lane    point.Lane
	Records Lane
	Cursor  Cursor
}

// Options says what an uplink sends, when and through what.
type Options struct {
	Site    string // see batch.ValidSite
	Prefix  string // of all topics; empty, or ending in a slash
	Key     batch.Key
	Config  [8]byte  // beginning of the hash over the configuration, shown by the hub
	Lanes   []Source // in order of urgency
	Schemas point.Lookup
	// CoderSlots is log2 of the counters that the coder keeps of each column, and
	// the hub beside it, 6 to 16; 0 stands for the usual number. CoderCPU is the
	// share of one core, in percent, that it may take; 0 stands for all.
	CoderSlots uint8
	CoderCPU   int
	Keeper     Keeper // of the coders' state over restarts; nil for none
	Window     window.Window
	Ledger     *Ledger // holds the tariff; the sessions' dialers must count in it

	// NewSession returns a session that is not running yet. It is called for
	// each connection, one after the other, and only while the window is open.
	NewSession func(Setup) Session

	MaxBatch int           // most bytes of a batch; 0 stands for 64 KiB
	MaxAge   time.Duration // an open window is used at least this often; 0 stands for 60 s. Alarms and results never wait for it
	// RetryAfter is how long to wait after a session that failed, the first
	// time; then twice as long each time, up to 60 times as long. 0 stands for 1 s.
	RetryAfter time.Duration
	// HoleAfter is how long acks must show a number as missing before it is
	// sent again; 0 stands for 60 s.
	HoleAfter time.Duration
	// ResendAfter is how long the hub may be silent about what the broker took;
	// then it is sent again. Twice as long the next time. 0 stands for 24 h.
	ResendAfter time.Duration

	Down   func(*batch.Down)  // is given each new document of open commands; may be nil, must not block
	Now    func() point.Stamp // boottime and wall time
	Tick   func()             // called every minute or more often while all is well, whatever the link does; nil for nobody
	Logger *slog.Logger       // nil discards
}

func (o Options) withDefaults() Options {
	o.MaxBatch = or(o.MaxBatch, 64<<10)
	o.MaxAge = or(o.MaxAge, time.Minute)
	o.RetryAfter = or(o.RetryAfter, time.Second)
	o.HoleAfter = or(o.HoleAfter, time.Minute)
	o.ResendAfter = or(o.ResendAfter, 24*time.Hour)
	if o.Tick == nil {
		o.Tick = func() {}
	}
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

package modbus

import (
	"context"
	"errors"
	"time"
)

// Errors of an exchange that callers tell apart. An [Exception] is the third
// kind: a valid answer that declines. Any other error means that nothing was
// sent: the request was wrong or the context had ended.
var (
	// ErrTimeout: no byte came in time.
	ErrTimeout = errors.New("no answer in time")
	// ErrDamaged: bytes came, but no valid answer among them.
	ErrDamaged = errors.New("no valid answer in what was received")
	// ErrConn: the connection can't be used any more and should be opened anew.
	ErrConn = errors.New("connection lost")
)

// Answer is the valid answer of a unit to a request.
type Answer struct {
	PDU       PDU
	Sent      time.Time     // when the first byte of the request left; has a monotonic reading
	FirstByte time.Duration // from Sent to the first byte of the answer
	Total     time.Duration // from Sent to its last byte
}

// Counters counts what happened on a connection since the client was made.
type Counters struct {
	Requests uint64 // sent
	OK       uint64 // answered validly, exceptions included
	Timeouts uint64 // not a byte came
	Damaged  uint64 // bytes came, no valid answer

	CRC         uint64 // answers with a wrong checksum
	ForeignUnit uint64 // valid frames of another unit
	WrongShape  uint64 // valid frames of the unit with another function or length
	LateBytes   uint64 // bytes of answers to earlier requests
	EchoBytes   uint64 // bytes of our own requests heard back
	NoiseBytes  uint64 // bytes that belong to no frame
}

// Client asks units on one connection. It is not safe for concurrent use.
type Client struct {
	conn     Conn
	framing  Framing
	timing   LineTiming
	counters Counters
}

// NewClient returns a client on c; t is the zero value where no line is known.
func NewClient(c Conn, f Framing, t LineTiming) *Client {
	return &Client{conn: c, framing: f, timing: t}
}

// Counters returns the counts so far.
func (c *Client) Counters() Counters { return c.counters }

// Do sends req to unit and returns its answer. The timeout is the silence
// allowed between the request's last byte and the answer's first.
func (c *Client) Do(ctx context.Context, unit UnitID, req PDU, timeout time.Duration) (Answer, error) {
	if err := ctx.Err(); err != nil {
		return Answer{}, err
	}
	return Answer{}, ErrConn
}

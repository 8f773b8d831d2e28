package modbus

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Errors of an exchange that callers tell apart, beside [Exception], a valid
// answer that declines, and the error of a context that ended. Test with
// errors.Is and errors.AsType: what [Client.Do] returns also names the unit.
var (
	// ErrTimeout: the unit was asked and said nothing. Whether it obeyed is not known.
	ErrTimeout = errors.New("no answer in time")
	// ErrDamaged: bytes came, but no valid answer among them. Whether the unit obeyed is not known.
	ErrDamaged = errors.New("no valid answer in what came")
	// ErrConn: the connection can't be used any more; close it and open another.
	ErrConn = errors.New("connection lost")
)

// Answer is the valid answer of a unit to a request.
type Answer struct {
	PDU       PDU           // nil for a broadcast
	Sent      time.Time     // when the first byte of the request left; has a monotonic reading
	FirstByte time.Duration // from Sent to the arrival of the answer's first byte
	Total     time.Duration // from Sent to the arrival of its last
}

// Counters counts what happened on a connection since its client was made.
type Counters struct {
	Requests uint64 // sent, separators included
	OK       uint64 // answered validly, exceptions included
	Timeouts uint64 // ended with ErrTimeout
	Damaged  uint64 // ended with ErrDamaged

	Separators  uint64 // requests sent only to tell late answers from awaited ones
	CRC         uint64 // answers with a wrong checksum, on ASCII the LRC
	ForeignUnit uint64 // intact frames of another unit
	WrongShape  uint64 // intact frames of the unit asked, with another function or length
	LateBytes   uint64 // bytes of answers to earlier requests
	EchoBytes   uint64 // bytes of requests heard back
	NoiseBytes  uint64 // bytes that belong to no frame
}

// Client asks units on one connection. It is not safe for concurrent use.
//
// On RTU and ASCII an answer is taken only where unit, function, the length that
// the request or else its own content prescribes and the checksum all agree,
// wherever it begins in what came; an echo of the request is dropped. An answer carries nothing that names its
// request, so after a timeout the next request of the same function to that
// unit is preceded by a separator: a short read whose answer has another
// length. Its answer proves that no earlier one will come any more, since a
// unit answers in the order it was asked. What can't be told apart is refused.
//
// Where a unit may still answer a request of before, use the client that sent
// it: [Client.Reconnect] gives it another connection. A new one knows nothing of
// what is owed and only listens for a moment before it speaks.
type Client struct {
	wire     wire
	counters Counters
	lost     error // set once the connection is
	dialects map[UnitID]Dialect
	spared   map[UnitID]func(FunctionCode, uint16, int) bool

	pending     pending // not on TCP, as the rest
	echo        echo
	listened    bool
	transaction uint16 // TCP only
}

// echo says whether the line repeats what is sent, as some two-wire adapters do.
type echo uint8

const (
	echoUnknown echo = iota
	echoAbsent
	echoPresent
)

// NewClient returns a client on c; t is the zero value where no line is known.
func NewClient(c Conn, f Framing, t LineTiming) *Client {
	return &Client{
		wire:     wire{conn: c, framing: f, timing: t},
		pending:  make(pending),
		dialects: make(map[UnitID]Dialect),
		spared:   make(map[UnitID]func(FunctionCode, uint16, int) bool),
	}
}

// Speak says in which dialect a unit is spoken to: plain Modbus if never called
// for it. Call it before the unit is first asked.
func (c *Client) Speak(unit UnitID, d Dialect) { c.dialects[unit] = d }

// Spare keeps separators to a unit away from what must not be read in vain: the
// reads of quantity items from addr on for which spare returns true. Where it does
// for all, separators ask for the exception status. Call it before the unit is
// first asked.
func (c *Client) Spare(unit UnitID, spare func(fc FunctionCode, addr uint16, quantity int) bool) {
	c.spared[unit] = spare
}

// Reconnect goes on with another connection to the same units.
func (c *Client) Reconnect(conn Conn) {
	c.wire = wire{conn: conn, framing: c.wire.framing, timing: c.wire.timing}
	c.lost, c.listened, c.echo = nil, false, echoUnknown
}

// Counters returns the counts so far.
func (c *Client) Counters() Counters { return c.counters }

// Do sends req to unit and returns its answer. The timeout is the silence
// allowed from the request's last byte to the answer's first; an answer that
// has begun may pause for a moment only. Separators, which are rare, add up to
// three exchanges. A broadcast (unit 0, but not on TCP) is a write and returns at
// once; the next request waits until the timeout has passed, so that the units
// can act. [DiagListenOnly] ends with ErrTimeout where the unit obeys. When ctx
// ends Do returns its cause.
func (c *Client) Do(ctx context.Context, unit UnitID, req PDU, timeout time.Duration) (Answer, error) {
	want, err := c.dialects[unit].shapeOf(unit, req)
	if err != nil {
		return Answer{}, err
	}
	if c.lost != nil {
		return Answer{}, c.lost
	}
	defer interrupt(ctx, c.wire.conn)()
	a, err := c.do(ctx, want, req, timeout)
	if errors.Is(err, ErrConn) {
		c.lost = err
	}
	if err != nil {
		return Answer{}, fmt.Errorf("unit %d function %d: %w", unit, req.Function(), err)
	}
	return a, nil
}

func (c *Client) do(ctx context.Context, want shape, req PDU, timeout time.Duration) (Answer, error) {
	switch {
	case c.wire.framing == TCP:
		return c.exchangeTCP(ctx, want, req, timeout)
	case want.unit == Broadcast:
		return c.broadcast(ctx, req, timeout)
	}
	if err := c.separate(ctx, want, req, timeout); err != nil {
		return Answer{}, err
	}
	return c.exchange(ctx, want, req, timeout)
}

// finish counts the end of an exchange.
func (c *Client) finish(p PDU, err error) error {
	switch {
	case errors.Is(err, ErrTimeout):
		c.counters.Timeouts++
	case errors.Is(err, ErrDamaged):
		c.counters.Damaged++
	case err == nil:
		c.counters.OK++
		if e, ok := p.exception(); ok {
			return e
		}
	}
	return err
}

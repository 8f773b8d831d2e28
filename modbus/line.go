package modbus

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

const (
	// hush is the silence before the first request on a connection.
	hush = 50 * time.Millisecond
	// glance is a wait that only fetches what has already arrived, lastGlance one
	// before an answer is given up.
	glance     = 200 * time.Microsecond
	lastGlance = 2 * time.Millisecond
	// strayBytes is how many bytes a transceiver may make up when it is switched;
	// more are what is left of an answer.
	strayBytes = 2
)

// silence is what has to pass before a request.
func (c *Client) silence() time.Duration {
	switch {
	case !c.listened:
		return hush
	case c.wire.framing.OverTCP():
		return 0
	}
	return c.wire.timing.T35()
}

// babble is how long a line may be busy with anything but the answer.
func (c *Client) babble() time.Duration {
	size, gap := c.wire.codec().limits()
	return 2*c.wire.timing.Wire(size) + 2*max(gap, c.wire.pause())
}

// quiet waits until the line has been silent for 3.5 characters and drops what
// came since the last exchange. Bytes that come while answers are owed may be
// such an answer: then it listens until that has ended.
func (c *Client) quiet(ctx context.Context) error {
	if !c.listened {
		c.wire.busyUntil(time.Now())
	}
	end := later(time.Now(), c.wire.busy).Add(c.silence() + c.babble())
	for late := false; ; {
		silence := c.silence()
		if late {
			silence = c.wire.pause()
		}
		err := c.wire.fill(ctx, later(c.wire.busy.Add(silence), time.Now().Add(glance)))
		c.others(len(c.wire.in), len(c.wire.in), Broadcast)
		late = !c.pending.none()
		switch {
		case errors.Is(err, errSilent):
			c.listened = true
			c.noise(len(c.wire.in))
			return nil
		case err != nil:
			return err
		case time.Now().After(end):
			c.noise(len(c.wire.in))
			return fmt.Errorf("the line is never silent: %w", ErrDamaged)
		}
	}
}

// exchange is one request and the wait for its answer.
type exchange struct {
	want   shape
	frame  []byte
	began  time.Time
	first  time.Time // until when the answer has to begin
	end    time.Time // until when all has to be over
	before Counters
	echoed bool
}

// exchange sends one request and returns its answer.
func (c *Client) exchange(ctx context.Context, want shape, req PDU, timeout time.Duration) (Answer, error) {
	if err := c.quiet(ctx); err != nil {
		return Answer{}, c.finish(nil, err)
	}
	c.counters.Requests++
	c.pending.of(want.unit).sent(want)
	x := exchange{want: want, frame: c.wire.codec().seal(nil, want.unit, req), before: c.counters}
	var err error
	if x.began, err = c.wire.send(x.frame); err != nil {
		return Answer{}, err
	}
	x.first = c.wire.busy.Add(timeout)
	x.end = x.first.Add(c.babble())
	s, err := c.receive(ctx, &x)
	if err != nil {
		return Answer{}, c.finish(nil, err)
	}
	a := c.accept(s, &x)
	return a, c.finish(a.PDU, nil)
}

// receive waits until the answer is there.
func (c *Client) receive(ctx context.Context, x *exchange) (sighting, error) {
	for {
		c.dropEcho(x)
		s := c.wire.codec().answer(c.wire.in, x.want)
		if s.length > 0 && !c.echoing(x) {
			return s, nil
		}
		if c.others(len(c.wire.in), s.believable(len(c.wire.in)), x.want.unit) > 0 {
			continue
		}
		c.noise(len(c.wire.in) - keep)
		err := c.wire.fill(ctx, x.deadline(s, c.wire.busy.Add(c.wire.pause())))
		if errors.Is(err, errSilent) {
			// This process may have been kept waiting while bytes came.
			err = c.wire.fill(ctx, time.Now().Add(lastGlance))
		}
		if errors.Is(err, errSilent) {
			return s, c.verdict(s, x)
		}
		if err != nil {
			return s, err
		}
	}
}

// deadline says how long to wait for more, given what was seen and until when
// an answer that has begun may pause.
func (x *exchange) deadline(s sighting, paused time.Time) time.Time {
	d := x.first
	switch {
	case s.damaged || s.agreed >= believed:
		d = paused
	case s.agreed > 0:
		d = later(d, paused)
	}
	if d.After(x.end) {
		return x.end
	}
	return d
}

// accept takes the answer out of what was received.
func (c *Client) accept(s sighting, x *exchange) Answer {
	end := s.start + s.length
	a := Answer{
		PDU:       slices.Clone(s.pdu),
		Sent:      x.began,
		FirstByte: c.wire.at[s.start].Sub(x.began),
		Total:     c.wire.at[end-1].Sub(x.began),
	}
	// Whatever was reckoned, the request has left the line if it was answered.
	c.wire.busy = c.wire.at[len(c.wire.at)-1]
	c.noise(s.start - c.others(s.start, s.start, x.want.unit))
	c.wire.take(s.length)
	c.pending.of(x.want.unit).heard(a.PDU)
	if c.echo == echoUnknown && c.stray(x) <= strayBytes {
		c.echo = echoAbsent
	}
	return a
}

// verdict says what it means that no answer came.
func (c *Client) verdict(s sighting, x *exchange) error {
	c.noise(len(c.wire.in))
	if s.damaged {
		c.counters.CRC++
	}
	if s.damaged || c.counters.WrongShape > x.before.WrongShape || c.stray(x) > strayBytes {
		return ErrDamaged
	}
	return ErrTimeout
}

// stray returns how many bytes of no frame came in an exchange.
func (c *Client) stray(x *exchange) uint64 { return c.counters.NoiseBytes - x.before.NoiseBytes }

// dropEcho drops a copy of the request, which a two-wire adapter hears itself send.
func (c *Client) dropEcho(x *exchange) {
	if x.echoed || c.echo == echoAbsent {
		return
	}
	start := bytes.Index(c.wire.in, x.frame)
	if start < 0 {
		return
	}
	c.noise(start)
	c.wire.take(len(x.frame))
	c.counters.EchoBytes += uint64(len(x.frame))
	c.echo, x.echoed = echoPresent, true
}

// echoing reports whether what was received may be the begin of an echo.
func (c *Client) echoing(x *exchange) bool {
	return !x.echoed && c.echo != echoAbsent && bytes.HasPrefix(x.frame, c.wire.in)
}

// others drops the intact answers within the first n bytes that begin before
// end and are not the one awaited from unit; none is awaited from [Broadcast].
// It returns how many bytes it dropped.
func (c *Client) others(n, end int, unit UnitID) (dropped int) {
	for {
		f := c.wire.codec().anyAnswer(c.wire.in[:n-dropped], end-dropped)
		if f.length == 0 {
			return dropped
		}
		dropped += f.start + f.length
		switch {
		case c.pending.of(f.unit).heard(f.pdu) || unit == Broadcast:
			c.counters.LateBytes += uint64(f.length)
		case f.unit == unit:
			c.counters.WrongShape++
		default:
			c.counters.ForeignUnit++
		}
		c.noise(f.start)
		c.wire.take(f.length)
	}
}

// noise drops the first n bytes received, if n is positive.
func (c *Client) noise(n int) {
	if n > 0 {
		c.counters.NoiseBytes += uint64(n)
		c.wire.take(n)
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

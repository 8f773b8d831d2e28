package listen

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"

	"skyhaul/modbus"
	"skyhaul/modbus/bus"
)

// Options describes a line that another client owns.
type Options struct {
	// Dial opens the port, or connects to a device server that passes RTU on. It
	// is called as that of [bus.Options] is.
	Dial   func(context.Context) (modbus.Conn, error)
	Timing modbus.LineTiming // zero for a device server
	// Dialects are those of the units that don't speak plain Modbus.
	Dialects map[modbus.UnitID]modbus.Dialect

	// MaxAge is how old an answer may be, from the begin of its request: more than
	// the other client takes to come round. 0 is 10 s.
	MaxAge time.Duration

	Log *slog.Logger // nil logs nothing
}

// Line stands in for a [bus.Line] where another client owns the line: it answers
// reads from what that client asks anyway, and never sends a byte. Safe for
// concurrent use.
type Line struct {
	o      Options // immutable once set
	memory *Memory

	mu        sync.Mutex // guards the rest
	news      chan struct{}
	connected bool
	lost      bool // the last attempt to connect failed
	since     time.Time
	opened    int
	before    Counters // of the connections before this one
	counters  Counters
	listened  time.Duration // on the connections before this one
	busy      time.Duration
	units     map[modbus.UnitID]*unit
	asked     *unit     // has the last request, and no answer followed
	askedAt   time.Time // when the last request was heard
}

// New returns a line that [Line.Run] listens to.
func New(o Options) *Line {
	o.MaxAge = cmp.Or(o.MaxAge, 10*time.Second)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Line{o: o, memory: NewMemory(o.MaxAge, o.Dialects), news: make(chan struct{}), units: make(map[modbus.UnitID]*unit)}
}

// errListens says to a client behind a gateway what a unit would say.
var errListens = fmt.Errorf("only listened to, since another client owns the line: %w", modbus.IllegalFunction)

// Do answers a read with the latest that was overheard of all its addresses in
// one exchange; Answer.Sent is when the request was heard. It waits only while
// the line has been listened to for less than MaxAge. Then what wasn't overheard
// gives [bus.ErrUnitDown] at once if the unit answered nobody for MaxAge, and
// [modbus.ErrTimeout] if it did. Anything but a read of function 1 to 4 is
// refused with [modbus.IllegalFunction]. While the line can't be opened Do returns [bus.ErrNotConnected].
func (l *Line) Do(ctx context.Context, _ bus.Class, unit modbus.UnitID, req modbus.PDU) (modbus.Answer, error) {
	if !req.Function().Reads() {
		return modbus.Answer{}, fmt.Errorf("unit %d function %d: %w", unit, req.Function(), errListens)
	}
	for {
		news, wait, err := l.overheard(unit)
		if a, ok := l.memory.Answer(unit, req); ok {
			return a, nil
		}
		if err != nil {
			return modbus.Answer{}, fmt.Errorf("unit %d function %d: not overheard: %w", unit, req.Function(), err)
		}
		select {
		case <-news:
		case <-time.After(wait):
		case <-ctx.Done():
			return modbus.Answer{}, ctx.Err()
		}
	}
}

// overheard returns what tells of the next answer and how long to wait for it, or
// the reason where none is worth to wait for.
func (l *Line) overheard(unit modbus.UnitID) (news <-chan struct{}, wait time.Duration, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	wait = l.o.MaxAge
	if l.connected {
		wait -= now.Sub(l.since)
	}
	switch {
	case l.lost:
		return nil, 0, bus.ErrNotConnected
	case wait > 0:
		return l.news, wait, nil
	case l.units[unit].down(now.Add(-l.o.MaxAge)):
		return nil, 0, bus.ErrUnitDown
	}
	return nil, 0, modbus.ErrTimeout
}

// Run listens until ctx ends, and then returns nil.
func (l *Line) Run(ctx context.Context) error {
	bus.Redial(ctx, l.o.Dial, l.o.Log, l.state, l.serve)
	l.state(false)
	return nil
}

// state notes whether the line is open.
func (l *Line) state(connected bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if connected || !l.lost {
		l.since = time.Now()
	}
	if connected {
		l.opened++
	}
	l.connected, l.lost = connected, !connected
	l.tell()
}

// tell wakes all who wait. l.mu is held.
func (l *Line) tell() {
	close(l.news)
	l.news = make(chan struct{})
}

// serve listens until the connection is lost or ctx ends.
func (l *Line) serve(ctx context.Context, conn modbus.Conn) {
	stop := context.AfterFunc(ctx, func() { _ = conn.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	err := l.listen(ctx, conn)
	l.hangUp()
	if ctx.Err() == nil {
		l.o.Log.Debug("line lost", "err", err)
	}
}

func (l *Line) listen(ctx context.Context, conn modbus.Conn) error {
	d := NewDecoder(l.o.Timing)
	for unit, dialect := range l.o.Dialects {
		d.Speak(unit, dialect)
	}
	buf := make([]byte, 2*maxFrame)
	for {
		if err := conn.SetReadDeadline(d.due()); err != nil {
			return err
		}
		if ctx.Err() != nil { // only after the deadline is set, else that of serve would be overwritten
			return ctx.Err()
		}
		n, err := conn.Read(buf)
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			return err
		}
		l.take(n, d.Feed(time.Now(), buf[:n]), d.Counters())
	}
}

// hangUp closes the account of a connection.
func (l *Line) hangUp() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.listened += time.Since(l.since)
	l.before.add(l.counters)
	l.counters, l.asked, l.connected = Counters{}, nil, false
}

// take takes in what was heard.
func (l *Line) take(n int, frames []Frame, c Counters) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.busy += l.o.Timing.Wire(n)
	l.counters = c
	for _, f := range frames {
		switch f.Kind {
		case Request:
			l.request(f)
		case Answer:
			l.answer(f)
		}
	}
}

func (l *Line) unit(id modbus.UnitID) *unit {
	u := l.units[id]
	if u == nil {
		u = &unit{stats: bus.UnitStats{Unit: id}}
		l.units[id] = u
	}
	return u
}

func (l *Line) request(f Frame) {
	if l.asked != nil {
		l.asked.stats.Timeouts++
	}
	l.asked = nil
	if f.Unit == modbus.Broadcast {
		return
	}
	l.asked, l.askedAt = l.unit(f.Unit), f.At
	l.asked.stats.Requests++
}

func (l *Line) answer(f Frame) {
	u := l.unit(f.Unit)
	if l.asked == u {
		l.asked = nil
	}
	u.answered(f)
	if f.Request == nil {
		return
	}
	if f.Asked.Equal(l.askedAt) {
		u.measured(f.At.Sub(f.Asked) - l.o.Timing.Wire(len(f.Request)+3))
	}
	l.memory.Heard(f.Unit, f.Request, modbus.Answer{
		PDU: f.PDU, Sent: f.Asked, FirstByte: f.At.Sub(f.Asked), Total: f.At.Sub(f.Asked) + l.o.Timing.Wire(len(f.Bytes)),
	})
	l.tell()
}

// Stats returns a snapshot. Busy is the share of the time that bytes of others
// took on the line, 0 for a device server; Wire.OK counts answers that belong to
// a request, Wire.Damaged those that belong to several or to none.
func (l *Line) Stats() bus.Stats {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.before
	c.add(l.counters)
	s := bus.Stats{Connected: l.connected, Since: l.since, Opened: l.opened, Wire: modbus.Counters{
		Requests: c.Requests, OK: c.Pairs, Damaged: c.Doubtful + c.Unasked, NoiseBytes: c.NoiseBytes,
	}}
	now, listened := time.Now(), l.listened
	if l.connected {
		listened += now.Sub(l.since)
	}
	if listened > 0 {
		s.Busy = float64(l.busy) / float64(listened)
	}
	for _, u := range l.units {
		v := u.stats
		v.Down = u.down(now.Add(-l.o.MaxAge))
		s.Wire.Timeouts += v.Timeouts
		s.Units = append(s.Units, v)
	}
	slices.SortFunc(s.Units, func(a, b bus.UnitStats) int { return cmp.Compare(a.Unit, b.Unit) })
	return s
}

// add adds what another decoder counted.
func (c *Counters) add(o Counters) {
	c.Requests += o.Requests
	c.Answers += o.Answers
	c.Pairs += o.Pairs
	c.Doubtful += o.Doubtful
	c.Unasked += o.Unasked
	c.NoiseBytes += o.NoiseBytes
}

// Package bus lets one owner speak on each serial line or endpoint, so that
// many callers can share it: requests go out one at a time, in order of urgency
// and in turn among units; a dead unit costs the others next to nothing; a port
// that is gone is a state, not an error. [Plan] says which reads fetch a set of
// registers in the least time. The package knows no points.
package bus

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"skyhaul/modbus"
)

// Errors of [Line.Do] beside those of [modbus.Client.Do].
var (
	// ErrNotConnected: the port or endpoint can't be opened at present.
	ErrNotConnected = errors.New("not connected")
	// ErrUnitDown: the unit has not answered for a while, and was not asked.
	ErrUnitDown = errors.New("unit is down")
)

// Options describes a line or endpoint.
type Options struct {
	// Dial opens the port or connects to the endpoint. It is called again, with
	// growing pauses, until it succeeds, and whenever the connection is lost.
	Dial    func(context.Context) (modbus.Conn, error)
	Framing modbus.Framing
	Timing  modbus.LineTiming // zero for an endpoint

	Timeout time.Duration                   // longest wait for the first byte of an answer; 0 is 1 s
	Gap     map[modbus.UnitID]time.Duration // least pause between an answer of a unit and the next request to it

	Dialects map[modbus.UnitID]modbus.Dialect // of units that don't speak plain Modbus
	// Avoid and Exclusive are as in [Cost]: no read of the line's own, a probe or
	// a separator, touches them, neither by their function nor by the other that
	// reads registers, or bits.
	Avoid, Exclusive map[modbus.UnitID][]Range

	Log *slog.Logger // nil logs nothing
}

// Observer is told of a valid answer to a read.
type Observer func(unit modbus.UnitID, req modbus.PDU, a modbus.Answer)

// Line owns one serial line or endpoint. Safe for concurrent use.
type Line struct {
	o    Options       // immutable once set
	wake chan struct{} // something was queued

	mu        sync.Mutex // guards the rest
	queue     []*request // by arrival
	units     map[modbus.UnitID]*unit
	observers []Observer
	turn      uint64 // exchanges so far
	probeFree time.Time
	connected bool
	lost      bool // the last attempt to connect failed
	since     time.Time
	began     time.Time
	opened    int
	busy      time.Duration
	wire      modbus.Counters
}

// New returns a line that [Line.Run] serves.
func New(o Options) *Line {
	o.Timeout = cmp.Or(o.Timeout, time.Second)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Line{o: o, wake: make(chan struct{}, 1), units: make(map[modbus.UnitID]*unit)}
}

// Do sends a request to a unit when its turn has come and returns the answer.
// What is the same as another read that waits for its turn shares its exchange,
// so the answer's PDU must not be changed.
//
// A read is sent once more after damage and after a missing answer; a write is
// not, for the unit may have obeyed, but is granted the longest wait. A unit that
// is busy (exception 06) is asked up to three more times, after growing pauses,
// and so is one that takes its time with a read (05). Any other exception, and
// 05 for a write, is returned as a [modbus.Exception].
//
// While the line can't be opened Do returns [ErrNotConnected] at once, for a unit
// that is down [ErrUnitDown] (class [Probe] is sent nevertheless). If ctx ends
// first, Do returns its error, but what is on the wire then is not called back.
//
// An exchange is not interrupted, whatever its class: the longest read holds the
// line for 0.3 s at 9600 baud, and a caller that must not keep others waiting for
// so long asks for less at once.
func (l *Line) Do(ctx context.Context, c Class, unit modbus.UnitID, req modbus.PDU) (modbus.Answer, error) {
	r, mine, err := l.enqueue(c, unit, req)
	if err != nil {
		return modbus.Answer{}, err
	}
	select {
	case res := <-mine:
		return res.answer, res.err
	case <-ctx.Done():
		l.leave(r, mine)
		return modbus.Answer{}, ctx.Err()
	}
}

// Observe lets f see every valid answer to a read from now on, before whoever
// asked has it. f is called from the line's goroutine: it must not block, and
// must not change what it sees.
func (l *Line) Observe(f Observer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.observers = append(l.observers[:len(l.observers):len(l.observers)], f)
}

// Run owns the line until ctx ends, and then returns nil.
func (l *Line) Run(ctx context.Context) error {
	l.mu.Lock()
	l.began = time.Now()
	l.mu.Unlock()
	// One client for all connections: units may still owe answers from before.
	client := modbus.NewClient(nil, l.o.Framing, l.o.Timing)
	for unit, d := range l.o.Dialects {
		client.Speak(unit, d)
	}
	for _, ranges := range []map[modbus.UnitID][]Range{l.o.Avoid, l.o.Exclusive} {
		for unit := range ranges {
			client.Spare(unit, func(fc modbus.FunctionCode, addr uint16, quantity int) bool {
				return l.o.spares(unit, Range{Function: fc, Addr: addr, Quantity: quantity})
			})
		}
	}
	Redial(ctx, l.o.Dial, l.o.Log, l.state, func(ctx context.Context, conn modbus.Conn) {
		client.Reconnect(conn)
		l.serve(ctx, client)
	})
	l.down()
	return nil
}

func (l *Line) state(connected bool) {
	if connected {
		l.up()
	} else {
		l.down()
	}
}

// up notes that the line is open.
func (l *Line) up() {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if !l.connected {
		l.since = now
	}
	l.connected, l.lost = true, false
	l.opened++
	for _, u := range l.units {
		if u.down {
			u.probeSoon(now) // it may have been the line's fault
		}
	}
}

// down notes that the line can't be opened, and refuses what waits for it.
func (l *Line) down() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.lost {
		l.since = time.Now()
	}
	l.connected, l.lost = false, true
	l.refuse(ErrNotConnected, func(*request) bool { return true })
}

// serve sends what is queued until the connection is lost or ctx ends.
func (l *Line) serve(ctx context.Context, client *modbus.Client) {
	for ctx.Err() == nil {
		r, wait := l.next(time.Now())
		if r == nil {
			l.sleep(ctx, wait)
		} else if !l.exchange(ctx, client, r) {
			return
		}
	}
}

// sleep returns after d, when something was queued or when ctx ends.
func (l *Line) sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-l.wake:
	case <-ctx.Done():
	}
}

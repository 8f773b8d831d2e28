// Package sim stands in for instruments: units that replay a recording, on a
// simulated serial line that takes as long as a real one and can be told to
// misbehave, or behind a TCP endpoint.
//
// A line is served on a pty, for other processes to open ([PTY], Linux only),
// over TCP like a line behind a serial device server ([DeviceServer]), or in
// memory ([Cable]). Its units and its client may have different [LineSettings]:
// then each hears what a UART makes of the other's bits. Constructors start
// nothing.
package sim

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"skyhaul/modbus"
	"skyhaul/modbus/serial"
)

// Options describes a simulated line.
type Options struct {
	Open    func() (modbus.Conn, error) // the units' end; opened again after a fault hung it up
	Units   modbus.Handler              // all units on the line
	Framing modbus.Framing              // RTU or ASCII, or RTU over TCP where a network carries the line

	// Twins are more units, whose ids may be those of others: both answer then,
	// over each other. May be nil.
	Twins  modbus.Handler
	Others []Poller // other clients on the line

	// Settings are those of the units. Where the client has others, each side
	// receives what its UART makes of the other's bits. The client's are known
	// from [Cable.DialAs], and on a pty from what the client set there, as far as
	// [PTY] can tell. Without Baud there is no such check, and Timing holds.
	Settings LineSettings
	Timing   modbus.LineTiming // without Settings: how long the line takes; zero is no time
	Lenient  bool              // the units understand the client whatever its settings and wires

	Turnaround time.Duration // from the silence after a request to the answer
	Jitter     time.Duration // adds 0 to Jitter to each turnaround
	Speed      float64       // divides all of these times; 0 is 1
	Seed       uint64        // of the faults and the jitter
}

// Counters counts what happened on a line.
type Counters struct {
	Requests   uint64            // understood, those of other clients included
	Answers    uint64            // sent, spoiled ones included
	Faults     uint64            // put in
	Early      uint64            // requests that came less than 3.5 characters after an answer
	Collisions uint64            // times when two talked at once; both were lost
	Busy       time.Duration     // for which the line carried bytes
	Received   serial.LineErrors // what the client's receiver found wrong in answers
}

// Line is a simulated serial line. Safe for concurrent use.
type Line struct {
	o        Options
	settings LineSettings  // those of the units, or some of the same length
	t35      time.Duration // immutable once set, like the above

	mu       sync.Mutex // guards the rest
	faults   Faults
	units    map[modbus.UnitID]Unit // that differ
	counters Counters
	rng      *rand.Rand
}

// NewLine returns a line that [Line.Run] serves.
func NewLine(o Options) *Line {
	if o.Speed <= 0 {
		o.Speed = 1
	}
	l := &Line{o: o, units: make(map[modbus.UnitID]Unit), rng: rand.New(rand.NewPCG(o.Seed, 0))}
	if o.Settings.Baud > 0 {
		l.settings = o.Settings.or(LineSettings{})
		l.o.Timing = l.settings.Timing()
	} else {
		l.settings = settingsOf(o.Timing)
	}
	l.t35 = l.sped(l.o.Timing.T35())
	return l
}

// settingsOf returns settings that take as long as a timing; a line that takes
// no time has some as well, for the form of its bits.
func settingsOf(t modbus.LineTiming) LineSettings {
	s := LineSettings{Baud: 9600}
	if t.Bit > 0 {
		s.Baud = int((time.Second + t.Bit/2) / t.Bit)
	}
	if t.CharBits > 10 {
		s.Parity = serial.EvenParity
	}
	return s.or(LineSettings{})
}

func (l *Line) sped(d time.Duration) time.Duration { return time.Duration(float64(d) / l.o.Speed) }

// lasts returns how long something of a length takes on the line.
func (l *Line) lasts(d time.Duration) time.Duration {
	if l.o.Timing == (modbus.LineTiming{}) {
		return 0
	}
	return l.sped(d)
}

// SetFaults says what goes wrong from now on.
func (l *Line) SetFaults(f Faults) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.faults = f
}

// Unit is what sets one unit apart from the others on its line.
type Unit struct {
	Faults     Faults        // in place of the line's
	Turnaround time.Duration // in place of the line's
	Jitter     time.Duration // in place of the line's
}

// SetUnit says how one unit differs from now on.
func (l *Line) SetUnit(id modbus.UnitID, u Unit) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.units[id] = u
}

// of returns what holds for a unit; l.mu is held.
func (l *Line) of(id modbus.UnitID) Unit {
	if u, differs := l.units[id]; differs {
		return u
	}
	return Unit{l.faults, l.o.Turnaround, l.o.Jitter}
}

// Counters returns the counts so far.
func (l *Line) Counters() Counters {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.counters
}

// lineFaults returns the faults that hold now for no unit of their own.
func (l *Line) lineFaults() Faults {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.faults
}

// faultsOf returns the faults that hold now for a unit.
func (l *Line) faultsOf(id modbus.UnitID) Faults {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.of(id).Faults
}

func (l *Line) count(add func(*Counters)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	add(&l.counters)
}

// Run serves the line until ctx ends (nil) or the port fails.
func (l *Line) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		port, err := l.o.Open()
		if err != nil {
			return fmt.Errorf("simulated line: %w", err)
		}
		away, err := l.serve(ctx, port)
		if away == 0 {
			return err
		}
		select {
		case <-ctx.Done():
		case <-time.After(away):
		}
	}
	return nil
}

// serve returns for how long the port is away if a fault hung it up, else 0.
func (l *Line) serve(ctx context.Context, port modbus.Conn) (away time.Duration, err error) {
	serving, cancel := context.WithCancel(ctx)
	w := newWire(l, port, serving.Done())
	var helping sync.WaitGroup
	helping.Go(w.listen)
	for _, p := range l.o.Others {
		helping.Go(func() { w.poll(p) })
	}
	helping.Go(func() {
		<-serving.Done() // a client that takes no bytes must not hold us longer
		w.Close()
	})
	err = modbus.Serve(serving, w, l.o.Framing, modbus.LineTiming{}, w)
	cancel()
	helping.Wait()
	switch {
	case ctx.Err() != nil:
		return 0, nil
	case w.away > 0:
		return w.away, nil
	}
	return 0, err
}

// turnaround returns that of the next answer of a unit.
func (l *Line) turnaround(id modbus.UnitID) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	u := l.of(id)
	d := u.Turnaround + l.upTo(u.Jitter)
	if l.happens(u.Faults.Slow) {
		d = time.Duration(float64(d) * cmp.Or(u.Faults.SlowTimes, 10))
	}
	return l.sped(d)
}

// upTo returns a random time from 0 up to d; l.mu is held.
func (l *Line) upTo(d time.Duration) time.Duration {
	if d <= 0 {
		return 0
	}
	return time.Duration(l.rng.Int64N(int64(d)))
}

// skew returns by how much a unit is later than another with its id.
func (l *Line) skew() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.upTo(l.settings.Timing().Wire(1))
}

// Package sim stands in for instruments: units that replay a recording, on a
// simulated serial line that takes as long as a real one and can be told to
// misbehave, or behind a TCP endpoint.
//
// A line is served on a pty, for other processes to open ([PTY], Linux only),
// or in memory ([Cable]). Constructors start nothing.
package sim

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"skyhaul/modbus"
)

// Options describes a simulated line.
type Options struct {
	Open   func() (modbus.Conn, error) // the units' end; opened again after a fault hung it up
	Units  modbus.Handler              // all units on the line
	Timing modbus.LineTiming

	Turnaround time.Duration // from the silence after a request to the answer
	Jitter     time.Duration // adds 0 to Jitter to each turnaround
	Speed      float64       // divides all of these times; 0 is 1
	Seed       uint64        // of the faults and the jitter
}

// Counters counts what happened on a line.
type Counters struct {
	Requests   uint64        // understood
	Answers    uint64        // sent whole, spoiled ones included
	Faults     uint64        // put in
	Early      uint64        // requests that came less than 3.5 characters after an answer
	Collisions uint64        // requests that came while an answer was sent; both were lost
	Busy       time.Duration // for which the line carried bytes
}

// Line is a simulated serial line in RTU framing. Safe for concurrent use.
type Line struct {
	o         Options
	char, t35 time.Duration // immutable once set

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
	l.char, l.t35 = l.sped(o.Timing.Wire(1)), l.sped(o.Timing.T35())
	return l
}

func (l *Line) sped(d time.Duration) time.Duration { return time.Duration(float64(d) / l.o.Speed) }

// SetFaults says what goes wrong from now on.
func (l *Line) SetFaults(f Faults) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.faults = f
}

// Unit is what sets one unit apart from the others on its line.
type Unit struct {
	Faults     Faults        // in place of the line's, but for Echo, which is the line's
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

// echoes reports whether the client hears itself.
func (l *Line) echoes() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.faults.Echo
}

// faultsOf returns the faults that hold now for a unit.
func (l *Line) faultsOf(id modbus.UnitID) Faults {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.of(id).Faults
}

// carry counts n bytes on the line and returns how long they take.
func (l *Line) carry(n int) time.Duration {
	took := time.Duration(n) * l.char
	l.count(func(c *Counters) { c.Busy += took })
	return took
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
	helping.Go(func() {
		<-serving.Done() // a client that takes no bytes must not hold us longer
		w.Close()
	})
	err = modbus.Serve(serving, w, modbus.RTU, modbus.LineTiming{}, w)
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
	d := u.Turnaround
	if u.Jitter > 0 {
		d += time.Duration(l.rng.Int64N(int64(u.Jitter)))
	}
	if l.happens(u.Faults.Slow) {
		d = time.Duration(float64(d) * cmp.Or(u.Faults.SlowTimes, 10))
	}
	return l.sped(d)
}

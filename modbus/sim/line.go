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
	counters Counters
	rng      *rand.Rand
}

// NewLine returns a line that [Line.Run] serves.
func NewLine(o Options) *Line {
	if o.Speed <= 0 {
		o.Speed = 1
	}
	l := &Line{o: o, rng: rand.New(rand.NewPCG(o.Seed, 0))}
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

// Counters returns the counts so far.
func (l *Line) Counters() Counters {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.counters
}

// current returns the faults that hold now.
func (l *Line) current() Faults {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.faults
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
		hungUp, err := l.serve(ctx, port)
		if !hungUp {
			return err
		}
		select {
		case <-ctx.Done():
		case <-time.After(l.away()):
		}
	}
	return nil
}

func (l *Line) serve(ctx context.Context, port modbus.Conn) (hungUp bool, err error) {
	serving, cancel := context.WithCancel(ctx)
	w := newWire(l, port, serving.Done())
	var helping sync.WaitGroup
	helping.Go(w.listen)
	helping.Go(func() {
		<-serving.Done() // a client that takes no bytes must not hold us longer
		w.Close()
	})
	err = modbus.Serve(serving, w, modbus.RTU, modbus.LineTiming{}, l)
	cancel()
	helping.Wait()
	switch {
	case ctx.Err() != nil:
		return false, nil
	case w.hungUp:
		return true, nil
	}
	return false, err
}

func (l *Line) away() time.Duration {
	return cmp.Or(l.current().Away, time.Second)
}

// turnaround returns that of the next answer.
func (l *Line) turnaround() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	d := l.o.Turnaround
	if l.o.Jitter > 0 {
		d += time.Duration(l.rng.Int64N(int64(l.o.Jitter)))
	}
	return l.sped(d)
}

package scan

import (
	"context"
	"sync"
	"time"

	"skyhaul/edge/point"
	"skyhaul/modbus"
	"skyhaul/modbus/bus"
)

// Scanner reads one group. Its methods are safe for concurrent use.
type Scanner struct {
	group   Group
	opts    Options
	class   bus.Class // of its requests: a group with alarms goes first
	saved   time.Time // when what was learnt was
	units   []*unitReader
	outlets []*outlet
	judges  []judge
	values  []uint64        // of the running pass, one a point
	quality []point.Quality // of the running pass, one a point

	mu       sync.Mutex
	latest   []Reading // guarded by mu
	overruns uint64    // guarded by mu
}

// New returns a scanner of g. It does nothing before Run.
func New(g Group, o Options) *Scanner {
	if o.Tick == nil {
		o.Tick = func() {}
	}
	if o.Turnaround == nil {
		o.Turnaround = func(modbus.UnitID) time.Duration { return 0 }
	}
	s := &Scanner{
		group:   g,
		opts:    o,
		class:   bus.Poll,
		units:   newUnitReaders(g),
		outlets: newOutlets(g, o.Sink),
		judges:  make([]judge, len(g.Points)),
		values:  make([]uint64, len(g.Points)),
		quality: make([]point.Quality, len(g.Points)),
		latest:  make([]Reading, len(g.Points)),
	}
	for i := range g.Points {
		p := &g.Points[i]
		s.judges[i] = newJudge(p)
		if len(p.Alarms) > 0 {
			s.class = bus.Alarm
		}
		s.latest[i] = Reading{
			Column: p.Column, Group: g.Name, Lane: p.Lane, Unit: p.Unit,
			Quality: point.MakeQuality(point.Bad, point.NotConnected),
		}
	}
	return s
}

// Schemas returns the schemas that the scanner's records name. They must be
// durable before Run.
func (s *Scanner) Schemas() (schemas []*point.Schema) {
	for _, o := range s.outlets {
		schemas = append(schemas, o.schemas...)
	}
	return schemas
}

// Latest returns the latest reading of every point.
func (s *Scanner) Latest() []Reading {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Reading(nil), s.latest...)
}

// Overruns returns how many places of the grid were passed over because the
// pass before them was not done.
func (s *Scanner) Overruns() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.overruns
}

// Run makes a pass at every place of the grid until ctx ends; then it records
// what rules and summaries held back, and returns nil. The grid is one of
// running time: a wall clock that steps moves nothing.
// A pass that takes longer than the interval leaves out the places it covers.
func (s *Scanner) Run(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	s.recall()
	defer s.remember()
	defer s.flush()
	start := time.Now()
	for place := time.Duration(0); ; {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}
		s.pass(ctx)
		s.opts.Tick()
		s.rememberHourly()
		next := time.Since(start)/s.group.Interval + 1
		if missed := next - place - 1; missed > 0 {
			s.mu.Lock()
			s.overruns += uint64(missed)
			s.mu.Unlock()
		}
		place = next
		timer.Reset(time.Until(start.Add(place * s.group.Interval)))
	}
}

// pass reads every unit, judges the values and hands them to the outlets.
// Units are read side by side, so that the pause one of them needs is another's
// turn on the line.
func (s *Scanner) pass(ctx context.Context) {
	began := time.Now()
	sent := make([]time.Time, len(s.units))
	var wg sync.WaitGroup
	for i, u := range s.units {
		wg.Go(func() { sent[i] = u.read(ctx, s) })
	}
	wg.Wait()
	if ctx.Err() != nil {
		return // what was not read was not tried: nothing can be said of it
	}
	stamp := stampAt(s.opts.Now(), first(sent, began))
	s.judge(stamp)
	s.put(stamp)
}

// first returns the earliest time at which a request left, or began if none did.
func first(sent []time.Time, began time.Time) time.Time {
	var t time.Time
	for _, s := range sent {
		if !s.IsZero() && (t.IsZero() || s.Before(t)) {
			t = s
		}
	}
	if t.IsZero() {
		return began
	}
	return t
}

// stampAt moves a stamp taken now back to t, by running time.
func stampAt(now point.Stamp, t time.Time) point.Stamp {
	ago := min(time.Since(t).Truncate(time.Millisecond), now.Boottime)
	now.Boottime -= ago
	now.Wall -= ago.Milliseconds()
	return now
}

func (s *Scanner) judge(stamp point.Stamp) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.judges {
		q, events := s.judges[i].judge(stamp, s.values[i], s.quality[i])
		s.quality[i] = q
		r := &s.latest[i]
		r.Raw, r.Quality, r.Stamp = s.values[i], q, stamp
		r.Alarms = s.judges[i].active()
		for k := range events {
			s.opts.Sink.Put(point.Alarm, events[k].Append(nil))
		}
	}
}

package sieve

import (
	"math"
	"time"

	"skyhaul/edge/point"
)

// state is what a point's rule has to remember.
type state struct {
	column *point.Column
	begun  bool // there is a last reading
	last   reading

	// Of a swinging door: the reading before, where that is not recorded. A
	// straight line from the last recorded one to it is close enough to all
	// between, as is one to a later reading whose slope lies in the door.
	holds bool
	held  reading
	door  door
}

type reading struct {
	at      time.Duration // boottime
	raw     uint64
	value   float64
	quality point.Quality
}

// door is a range of slopes, engineering units a nanosecond.
type door struct{ low, high float64 }

// open lets every line through.
var open = door{math.Inf(-1), math.Inf(1)}

// forget begins anew.
func (s *state) forget() { *s = state{column: s.column} }

// begin makes r the last recorded reading.
func (s *state) begin(r reading) { *s = state{column: s.column, begun: true, last: r, door: open} }

// take takes a reading in, and tells whether the one before it must be recorded
// after all, and whether this one must.
func (s *state) take(at time.Duration, raw uint64, q point.Quality) (before, now bool) {
	r := reading{at, raw, s.column.Value(raw), q}
	rule := &s.column.Rule
	switch {
	case !s.begun || q != s.last.quality:
		before, now = s.holds, true
	case rule.Method == point.OnChange:
		now = raw != s.last.raw
	case rule.Method == point.SwingingDoor && q.Status() == point.Good:
		before, now = s.swing(r)
	default:
		now = raw != s.last.raw && !(math.Abs(r.value-s.last.value) <= rule.Error)
	}
	if now || at-s.last.at >= rule.Silence {
		s.begin(r)
		now = true
	}
	return before, now
}

// swing takes a good reading in. If the line to it is too far from one between,
// the one before is recorded, and lines begin there. now is true where there is no
// line: the numbers are too great for one.
func (s *state) swing(r reading) (before, now bool) {
	slope := s.slope(r)
	if s.holds && !(s.door.low <= slope && slope <= s.door.high) {
		before = true
		s.begin(s.held)
		slope = s.slope(r)
	}
	if math.IsNaN(slope) || math.IsInf(slope, 0) {
		return before || s.holds, true
	}
	width := s.column.Rule.Error / float64(r.at-s.last.at)
	s.door = door{max(s.door.low, slope-width), min(s.door.high, slope+width)}
	s.holds, s.held = true, r
	return before, false
}

// slope returns that of the line from the last recorded reading to r.
func (s *state) slope(r reading) float64 {
	return (r.value - s.last.value) / float64(r.at-s.last.at)
}

package clock

import (
	"time"

	"skyhaul/edge/point"
)

const (
	// tolerance is how far the wall clock may wander from its distance to
	// boottime before stamps follow. A distance that stays the same costs
	// nothing on the wire.
	tolerance = 5 * time.Millisecond
	// slack is what a stamp adds to the error of the clock it was read from:
	// the tolerance, and two roundings to whole milliseconds.
	slack = tolerance + 2*time.Millisecond
	// stepSize is the smallest jump that is reported. A leap second is none.
	stepSize = time.Second
	// drift is the greatest error in rate of a clock that was disciplined
	// before, in parts per million.
	drift = 50
	// plausibleYears is how far beyond the trusted floor a wall time may lie.
	plausibleYears = 20
)

// reading is one look at the kernel's clocks.
type reading struct {
	boottime time.Duration // CLOCK_BOOTTIME
	wall     time.Time
	synced   bool          // the kernel's clock is disciplined
	maxError time.Duration // while synced: the greatest error of wall
}

// state makes stamps from readings. It knows no clock.
type state struct {
	floor time.Time // immutable once set: the earliest wall time that can be true

	started   bool
	offset    time.Duration // Unix time of boottime 0, as stamps have it: whole milliseconds
	steppedAt time.Duration // boottime of the last step, or of the first reading
	anchor    *anchor       // nil: not disciplined in this boot, or not to be trusted any more
}

// anchor is the tightest look at the disciplined clock in this boot.
type anchor struct {
	at       time.Duration // boottime
	offset   time.Duration
	maxError time.Duration
}

// bound is the greatest error that an undisciplined clock has by now.
func (a *anchor) bound(boottime time.Duration) time.Duration {
	return a.maxError + (boottime-a.at)/1_000_000*drift
}

// observe returns the stamp of a reading, its boot not set, and by how much
// the wall clock jumped since the last one, 0 for no jump.
func (s *state) observe(r reading) (point.Stamp, time.Duration) {
	step := s.follow(r)
	quality, bound := s.judge(r)
	boottime := r.boottime.Truncate(time.Millisecond)
	return point.Stamp{
		Boottime: boottime,
		Wall:     (boottime + s.offset).Milliseconds(),
		Quality:  quality,
		BoundExp: bound,
	}, step
}

// follow moves the offset where the wall clock left it, and returns a step.
func (s *state) follow(r reading) time.Duration {
	measured := time.Duration(r.wall.UnixNano()) - r.boottime
	moved := measured - s.offset
	if s.started && moved.Abs() <= tolerance {
		return 0
	}
	s.offset = measured.Round(time.Millisecond)
	if !s.started {
		s.started, s.steppedAt = true, r.boottime
		return 0
	}
	if moved.Abs() <= stepSize {
		return 0
	}
	s.steppedAt = r.boottime
	return moved.Round(time.Millisecond)
}

func (s *state) judge(r reading) (point.TimeQuality, uint8) {
	if r.wall.Before(s.floor) || r.wall.After(s.floor.AddDate(plausibleYears, 0, 0)) {
		s.anchor = nil
		return point.UnknownTime, point.UnknownBound
	}
	if r.synced {
		s.discipline(r)
		return point.Synced, point.BoundExp(r.maxError + slack)
	}
	if s.anchor == nil {
		return point.RTCOnly, point.UnknownBound
	}
	bound, moved := s.anchor.bound(r.boottime), (s.offset - s.anchor.offset).Abs()
	if moved > bound+slack { // set by someone else than the discipline
		s.anchor = nil
		return point.RTCOnly, point.UnknownBound
	}
	return point.Holdover, point.BoundExp(bound + moved + slack)
}

// discipline keeps the reading as anchor unless the old one is tighter still:
// the kernel lets maxerror grow by 500 ppm for hours before it gives up.
func (s *state) discipline(r reading) {
	if a := s.anchor; a == nil || a.offset != s.offset || r.maxError <= a.bound(r.boottime) {
		s.anchor = &anchor{at: r.boottime, offset: s.offset, maxError: r.maxError}
	}
}

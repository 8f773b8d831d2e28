package scan

import (
	"math"
	"time"

	"skyhaul/edge/point"
)

// What the current of a loop means, in mA. NAMUR NE 43 (2003-02-03): 3.8 to 20.5
// are the measurement; 3.6 and less or 21 and more tell a failure; what lies
// between belongs to neither. Many transmitters tell a failure by 3.6 to the
// point, and inputs are right to a thousandth of 20 mA. A failure must last for
// 4 s before it is taken for one.
const (
	inputError = 0.02

	failureLow, measureLow   = 3.6 + inputError, 3.8
	measureHigh, failureHigh = 20.5, 21.0 - inputError

	failureAfter = 4 * time.Second
)

// judge keeps what must be remembered of a point to judge its next value.
type judge struct {
	point  *Point
	seen   bool
	raw    uint64        // last value read
	since  time.Duration // boottime of its first sight
	boot   uint32        // of since
	failed bool          // the signal left for a failure and has not come back
	left   time.Duration // boottime at which it did
	alarms []alarmState  // one a condition
}

type alarmState struct {
	active  bool
	pending bool
	since   time.Duration // boottime since which it is pending
}

func newJudge(p *Point) judge {
	return judge{point: p, alarms: make([]alarmState, len(p.Alarms))}
}

// judge returns the quality of a value and the alarm transitions it makes. Of
// several reasons it gives the first: sensor failure, range, frozen.
func (j *judge) judge(at point.Stamp, raw uint64, q point.Quality) (point.Quality, []point.Event) {
	if !q.HasValue() {
		return q, nil // an alarm stays as it is while nobody knows better
	}
	if q == 0 {
		q = j.quality(at, raw)
	}
	if q.Status() == point.Bad || j.failed {
		return q, nil
	}
	return q, j.transitions(at, raw, q, j.point.Value(raw))
}

func (j *judge) quality(at point.Stamp, raw uint64) point.Quality {
	frozen := j.frozen(at, raw)
	signal := j.signal(at, raw)
	if j.sentinel(raw) || signal.Status() == point.Bad {
		return point.MakeQuality(point.Bad, point.SensorFailure)
	}
	q := j.range_(j.point.Value(raw))
	if q == 0 {
		q = signal
	}
	if q == 0 && frozen {
		q = point.MakeQuality(point.Uncertain, point.Frozen)
	}
	return q
}

// sentinel reports whether the unit says by the value that it has none.
func (j *judge) sentinel(raw uint64) bool {
	for _, s := range j.point.Sentinels {
		if raw == s || math.IsNaN(j.point.Type.Float(raw)) && math.IsNaN(j.point.Type.Float(s)) {
			return true
		}
	}
	return false
}

// signal judges the current behind a value. A failure begins at its own limits
// and ends in the range of the measurement, so that none comes and goes with the
// noise. Until it has lasted the value is uncertain, and alarms wait.
func (j *judge) signal(at point.Stamp, raw uint64) point.Quality {
	s := j.point.Signal
	if s == nil {
		return 0
	}
	current := 4 + 16*(j.point.Type.Float(raw)-s.Raw4)/(s.Raw20-s.Raw4)
	measured := current >= measureLow && current <= measureHigh
	switch {
	case measured:
		j.failed = false
		return 0
	case !j.failed && (current <= failureLow || current >= failureHigh):
		j.failed, j.left = true, at.Boottime
	case j.failed && at.Boottime-j.left >= failureAfter:
		return point.MakeQuality(point.Bad, point.SensorFailure)
	}
	if current < measureLow {
		return point.MakeQuality(point.Uncertain, point.UnderRange)
	}
	return point.MakeQuality(point.Uncertain, point.OverRange)
}

// range_ judges a value by itself.
func (j *judge) range_(value float64) point.Quality {
	v := j.point.Valid
	switch {
	case math.IsNaN(value) || math.IsInf(value, 0):
		return point.MakeQuality(point.Bad, point.ScaleError)
	case v != nil && value < v.Low:
		return point.MakeQuality(point.Bad, point.UnderRange)
	case v != nil && value > v.High:
		return point.MakeQuality(point.Bad, point.OverRange)
	}
	return 0
}

// frozen takes every value in, whatever it is worth: one that left its range for
// a moment has moved. Nothing of it outlives a restart.
func (j *judge) frozen(at point.Stamp, raw uint64) bool {
	if !j.seen || raw != j.raw || at.Boot != j.boot {
		j.seen, j.raw, j.since, j.boot = true, raw, at.Boottime, at.Boot
	}
	return j.point.FrozenAfter > 0 && at.Boottime-j.since >= j.point.FrozenAfter
}

func (j *judge) transitions(at point.Stamp, raw uint64, q point.Quality, value float64) (events []point.Event) {
	for i := range j.alarms {
		a, st := &j.point.Alarms[i], &j.alarms[i]
		if !st.step(a, at.Boottime, value) {
			continue
		}
		events = append(events, point.Event{
			Stamp: at, Point: j.point.ID, Tag: j.point.Tag, Condition: a.Condition, Active: st.active,
			Type: j.point.Type, Raw: raw, Quality: q, Value: value, Limit: a.Limit,
		})
	}
	return events
}

// step takes a value in and reports whether the alarm began or ended by it.
func (st *alarmState) step(a *Alarm, now time.Duration, value float64) bool {
	past, safe := value > a.Limit, value <= a.Limit-a.Deadband
	if a.Below {
		past, safe = value < a.Limit, value >= a.Limit+a.Deadband
	}
	switch {
	case st.active && safe:
		*st = alarmState{}
		return true
	case st.active:
		return false
	case !past:
		st.pending = false
		return false
	case !st.pending:
		st.pending, st.since = true, now
	}
	if now-st.since < a.Delay {
		return false
	}
	st.active, st.pending = true, false
	return true
}

// active returns the names of the conditions that hold.
func (j *judge) active() (names []string) {
	for i := range j.alarms {
		if j.alarms[i].active {
			names = append(names, j.point.Alarms[i].Condition)
		}
	}
	return names
}

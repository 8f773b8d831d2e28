package scan

import (
	"math"
	"time"

	"skyhaul/edge/point"
)

// judge keeps what must be remembered of a point to judge its next value.
type judge struct {
	point  *Point
	seen   bool
	raw    uint64        // last value read
	since  time.Duration // boottime of its first sight
	boot   uint32        // of since
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

// judge returns the quality of a value and the alarm transitions it makes.
func (j *judge) judge(at point.Stamp, raw uint64, q point.Quality) (point.Quality, []point.Event) {
	if !q.HasValue() {
		return q, nil // an alarm stays as it is while nobody knows better
	}
	value := j.point.Value(raw)
	if q == 0 {
		q = j.range_(value)
	}
	if q == 0 && j.frozen(at, raw) {
		q = point.MakeQuality(point.Uncertain, point.Frozen)
	}
	if q.Status() == point.Bad {
		return q, nil
	}
	return q, j.transitions(at, raw, q, value)
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

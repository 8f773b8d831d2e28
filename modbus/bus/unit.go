package bus

import (
	"time"

	"skyhaul/modbus"
)

const (
	timeoutsToDown = 3 // in a row
	firstProbe     = time.Second
	longestProbe   = time.Minute

	// probeShare is one part in how many of the line's time that probing takes
	// while other units answer.
	probeShare = 50
)

// unit is what a line knows of one unit.
type unit struct {
	id         modbus.UnitID
	turnaround turnaround
	turn       uint64     // of its last exchange: the least is served next
	free       time.Time  // before then it wants no request
	timeouts   int        // in a row
	probe      modbus.PDU // asks whether it is there: any valid answer will do

	down    bool
	probeAt time.Time     // of a unit that is down
	backoff time.Duration // between the last two probes
	probes  int           // since it went down

	stats UnitStats
}

func newUnit(id modbus.UnitID) *unit {
	u := &unit{id: id, stats: UnitStats{Unit: id}}
	u.probe, _ = modbus.ReadRequest(modbus.FuncReadHoldingRegisters, 0, 1)
	return u
}

// answered takes in a valid answer and reports whether the unit was down.
func (u *unit) answered(now time.Time) (back bool) {
	back = u.down
	if back || u.stats.Since.IsZero() {
		u.stats.Since = now
	}
	u.down, u.timeouts = false, 0
	return back
}

// timedOut takes in a missing answer and reports whether the unit went down by it.
func (u *unit) timedOut(now time.Time) (gone bool) {
	u.timeouts++
	u.turnaround.expired()
	if u.down || u.timeouts < timeoutsToDown {
		return false
	}
	u.down, u.probes, u.stats.Since = true, 0, now
	u.turnaround.doublings = 0 // probes begin short
	u.probeSoon(now)
	return true
}

// probeSoon starts the back-off of probes from the beginning.
func (u *unit) probeSoon(now time.Time) {
	u.backoff = firstProbe
	u.probeAt = now.Add(jittered(firstProbe))
}

// probed takes in a probe without an answer.
func (u *unit) probed(now time.Time) {
	u.probes++
	u.backoff = min(2*u.backoff, longestProbe)
	u.probeAt = now.Add(jittered(u.backoff))
}

// asked takes in a request, to probe with one item of what is wanted anyway.
func (u *unit) asked(req modbus.PDU) {
	if r, err := modbus.ParseRequest(req); err == nil && r.Function.Reads() {
		u.probe, _ = modbus.ReadRequest(r.Function, r.Addr, 1)
	}
}

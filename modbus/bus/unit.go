package bus

import (
	"errors"
	"math"
	"slices"
	"time"

	"skyhaul/modbus"
)

const (
	timeoutsToDown = 3 // without a valid answer between them
	damagedToDown  = 8 // likewise: noise alone hardly ever spoils so many
	firstProbe     = time.Second
	longestProbe   = time.Minute

	// wantedFor is how long after its last request a unit that is down is probed:
	// one that was asked by mistake must not cost the line for ever. Whether it is
	// still down is not known then, and the next request finds out.
	wantedFor = time.Hour

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
	timeouts   int        // since its last valid answer
	damaged    int        // likewise
	wanted     time.Time  // when it was last asked for something
	probe      modbus.PDU // asks whether it is there: any valid answer will do

	down    bool
	cause   error         // of being down
	probeAt time.Time     // of a unit that is down
	backoff time.Duration // between the last two probes
	probes  int           // since it went down

	stats      UnitStats
	exceptions map[modbus.Exception]uint64 // of stats
	faults     map[modbus.Exception]fault  // that it reports at present
}

// unit returns the unit with this id, which may be new. l.mu is held.
func (l *Line) unit(id modbus.UnitID) *unit {
	u := l.units[id]
	if u == nil {
		u = &unit{id: id, exceptions: map[modbus.Exception]uint64{}, faults: map[modbus.Exception]fault{}}
		u.stats.Unit = id
		u.probe = l.o.probe(id)
		l.units[id] = u
	}
	return u
}

func (u *unit) isWanted(now time.Time) bool { return now.Sub(u.wanted) < wantedFor }

// answered takes in a valid answer and reports whether the unit was down.
func (u *unit) answered(now time.Time) (back bool) {
	back = u.down
	if back || u.stats.Since.IsZero() {
		u.stats.Since = now
	}
	u.down, u.cause, u.timeouts, u.damaged = false, nil, 0, 0
	return back
}

// missed takes in an exchange without a valid answer and reports whether the
// unit went down by it.
func (u *unit) missed(why error, now time.Time) (gone bool) {
	if errors.Is(why, modbus.ErrDamaged) {
		u.damaged++
	} else {
		u.timeouts++
		u.turnaround.expired()
	}
	if u.down || u.timeouts < timeoutsToDown && u.damaged < damagedToDown {
		return false
	}
	u.down, u.cause, u.probes, u.stats.Since = true, why, 0, now
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

// asked takes in a request, to probe with the first items of what is wanted
// anyway, but for what is to be spared. Two of them leave the client room
// to tell a late answer from the next without asking beside them.
func (u *unit) asked(req modbus.PDU, o *Options) {
	r, err := modbus.ParseRequest(req)
	if err != nil || !r.Function.Reads() {
		return
	}
	first := Range{Function: r.Function, Addr: r.Addr, Quantity: min(2, r.Quantity)}
	if !o.spares(u.id, first) {
		u.probe, _ = modbus.ReadRequest(first.Function, first.Addr, first.Quantity)
	}
}

// probe returns the probe of a unit that was asked for nothing yet: the first
// holding register, whose exception will do, but one that may be read.
func (o *Options) probe(unit modbus.UnitID) (req modbus.PDU) {
	first := Range{Function: modbus.FuncReadHoldingRegisters, Quantity: 1}
	for first.Addr < math.MaxUint16 && o.spares(unit, first) {
		first.Addr++
	}
	if o.spares(unit, first) {
		return modbus.ReadExceptionStatus()
	}
	req, _ = modbus.ReadRequest(first.Function, first.Addr, first.Quantity)
	return req
}

// spares reports whether the line must not read r of its own accord. Many units
// serve the same items by both functions that read registers, or bits.
func (o *Options) spares(unit modbus.UnitID, r Range) bool {
	touches := func(q Range) bool {
		if q.Function.Bits() == r.Function.Bits() {
			q.Function = r.Function
		}
		return r.Touches(q)
	}
	return slices.ContainsFunc(o.Avoid[unit], touches) || slices.ContainsFunc(o.Exclusive[unit], touches)
}

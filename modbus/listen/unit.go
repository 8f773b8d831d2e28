package listen

import (
	"time"

	"skyhaul/modbus/bus"
)

// unit is what a line knows of one unit.
type unit struct {
	stats bus.UnitStats
	heard time.Time // its last answer
}

// down reports whether the unit has answered nothing since then.
func (u *unit) down(since time.Time) bool { return u == nil || u.heard.Before(since) }

// answered takes in an answer.
func (u *unit) answered(f Frame) {
	u.heard = f.At
	if u.stats.Since.IsZero() {
		u.stats.Since = f.At
	}
	switch {
	case f.Request == nil:
		u.stats.Damaged++
	case f.PDU[0]&exceptionBit != 0:
		u.stats.Exceptions++
	default:
		u.stats.OK++
	}
}

// measured takes in a silence between request and answer.
func (u *unit) measured(d time.Duration) {
	if d = max(0, d); u.stats.Turnaround == 0 {
		u.stats.Turnaround = d
	}
	u.stats.Turnaround += (d - u.stats.Turnaround) / 8
}

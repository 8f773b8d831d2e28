package listen

import (
	"bytes"
	"slices"
	"time"

	"skyhaul/modbus"
)

// How long a unit may take to answer. What a client waits for an answer tells
// how slow it knows its units to be: they get twice that. A network may hold
// bytes back, for how long can't be told.
const (
	leastLate   = time.Second
	networkLate = 5 * time.Second
)

// maxOwed is how many unanswered requests to a unit are remembered. More within
// the lateness are no polling that could be made sense of.
const maxOwed = 64

// owed is a request that a unit may still answer.
type owed struct {
	unit modbus.UnitID
	req  modbus.PDU
	at   time.Time
	met  bool // an answer that may be its own followed it
}

// debt is what one unit may still answer, in the order it was asked.
type debt struct {
	dialect modbus.Dialect
	owed    []*owed
}

func (u *debt) asked(unit modbus.UnitID, req modbus.PDU, at time.Time) *owed {
	o := &owed{unit: unit, req: req, at: at}
	u.owed = append(u.owed, o)
	return o
}

// lapse forgets what was asked before since. It reports whether there is more
// left than can be kept.
func (u *debt) lapse(since time.Time) (full bool) {
	u.owed = slices.DeleteFunc(u.owed, func(o *owed) bool { return o.at.Before(since) })
	n := max(0, len(u.owed)-maxOwed)
	u.owed = slices.Delete(u.owed, 0, n)
	return n > 0
}

// explain returns the request that an answer belongs to: of several that are the
// same, the earliest that no answer followed. It returns nil if there is none;
// doubt tells that several different ones explain it. The index is that of the
// earliest of all these.
func (u *debt) explain(a modbus.PDU) (to *owed, first int, doubt bool) {
	for i, o := range u.owed {
		switch {
		case !u.dialect.Answers(o.req, a):
			continue
		case to == nil:
			to, first = o, i
		case !bytes.Equal(o.req, to.req):
			doubt = true
		case to.met:
			to = o
		}
	}
	return to, first, doubt
}

// forget drops the requests up to one that may have been answered, the earliest
// of these: the most that an answer proves.
func (u *debt) forget(first int) { u.owed = slices.Delete(u.owed, 0, first+1) }

// meet notes that an answer follows the last request, which may be its own.
func (u *debt) meet(a modbus.PDU) {
	if n := len(u.owed); n > 0 && u.dialect.Answers(u.owed[n-1].req, a) {
		u.owed[n-1].met = true
	}
}

// begins reports whether b begins like the answer to o.
func (o *owed) begins(b []byte) bool {
	return b[0] == byte(o.unit) && b[1]&^exceptionBit == o.req[0]
}

// exceptionBit marks the function code of an exception answer. V1.1b3, section 4.1.
const exceptionBit = 0x80

package listen

import (
	"bytes"
	"encoding/binary"
	"slices"
	"time"

	"skyhaul/modbus"
)

// lateness is how long a unit may take to answer. It is far more than any
// instrument takes, and more than clients wait.
const lateness = 5 * time.Second

// maxOwed is how many unanswered requests to a unit are remembered. More within
// the lateness are no polling that could be made sense of.
const maxOwed = 64

// owed is a request that a unit may still answer.
type owed struct {
	unit modbus.UnitID
	req  modbus.PDU // nil if it was not heard
	at   time.Time
}

// debt is what one unit may still answer, in the order it was asked.
type debt struct{ owed []*owed }

func (u *debt) asked(unit modbus.UnitID, req modbus.PDU, at time.Time) *owed {
	o := &owed{unit, req, at}
	u.owed = append(u.owed, o)
	if len(u.owed) > maxOwed {
		u.owed[1].req = nil // stands for both from now on
		u.owed = slices.Delete(u.owed, 0, 1)
	}
	return o
}

// unheard notes that the unit may have been asked what was not heard.
func (u *debt) unheard(at time.Time) {
	if n := len(u.owed); n > 0 && u.owed[n-1].req == nil {
		u.owed[n-1].at = at
		return
	}
	u.asked(0, nil, at)
}

// answered takes in an answer and returns the request it belongs to: the
// earliest of several that are the same. It returns nil if none explains it; doubt
// tells that several do. The earliest that may have been answered is forgotten,
// with all before it, which is the most that the answer proves.
func (u *debt) answered(a modbus.PDU, at time.Time) (to *owed, doubt bool) {
	u.owed = slices.DeleteFunc(u.owed, func(o *owed) bool { return at.Sub(o.at) > lateness })
	first := -1
	for i, o := range u.owed {
		switch {
		case o.req != nil && !accepts(o.req, a):
		case first < 0:
			first, to = i, o
		case !bytes.Equal(o.req, to.req):
			doubt = true
		}
	}
	if to != nil && to.req == nil {
		doubt = true
	}
	u.owed = slices.Delete(u.owed, 0, first+1)
	return to, doubt
}

// begins reports whether b begins like the answer to o.
func (o *owed) begins(b []byte) bool {
	if b[0] != byte(o.unit) || b[1]&^exceptionBit != o.req[0] {
		return false
	}
	n, ok := modbus.ResponseLength(o.req)
	return b[1]&exceptionBit != 0 || !ok || !o.req.Function().Reads() || int(b[2]) == n-2
}

// accepts reports whether a may answer req: with what was asked for or with an
// exception.
func accepts(req, a modbus.PDU) bool {
	if req.Function()|exceptionBit == a.Function() {
		return len(a) == exceptionPDU && a[1] != 0
	}
	if req.Function() != a.Function() {
		return false
	}
	n, ok := modbus.ResponseLength(req)
	switch fc := req.Function(); {
	case !ok:
		return true // a function whose answers tell little of their request
	case fc.Reads():
		return len(a) == n
	default:
		return len(a) == n && bytes.Equal(a[:n], req[:n])
	}
}

// sensible reports whether a unit could obey a request, as far as that can be
// told.
func sensible(req modbus.PDU) bool {
	switch fc := req.Function(); fc {
	case 1, 2, 3, 4, 5, 6, 15, 16:
		_, err := modbus.ParseRequest(req)
		return err == nil
	case 23:
		return binary.BigEndian.Uint16(req[3:]) > 0
	}
	return true
}

package bus

import (
	"time"

	"skyhaul/modbus"
)

// faultOver is how long a unit must not report a fault for it to be over. A unit
// may serve one register and fail at the next, with every pass.
const faultOver = 10 * time.Minute

// fault is something that a unit reports by exceptions.
type fault struct {
	count int
	last  time.Time
}

// declined does what an exception asks for, and says whether r is to be sent
// again. V1.1b3, section 7. l.mu is held.
func (l *Line) declined(r *request, a modbus.Answer, e modbus.Exception, now time.Time) (again bool) {
	switch e {
	case modbus.GatewayTarget:
		l.missed(r, e, now)
		return false
	case modbus.GatewayPath: // says nothing of the unit
		l.fault(r.unit, e, now)
		l.seen(r.unit)
		if r.probe {
			r.unit.probed(now)
		}
		return false
	}
	l.answered(r, a, now)
	switch e {
	case modbus.Acknowledge: // the unit obeys, and goes on with everything else
		return r.reads() && r.putOff(now)
	case modbus.ServerDeviceBusy: // the unit did not obey: a write can be sent again
		again = r.putOff(now)
		if again {
			r.unit.free = r.due
		}
	case modbus.ServerDeviceFailure, modbus.MemoryParityError:
		l.fault(r.unit, e, now)
	}
	return again
}

// putOff gives the unit time, more with each try; false when it had enough.
func (r *request) putOff(now time.Time) bool {
	if r.put == putOffs || r.probe {
		return false
	}
	r.due = now.Add(putOffPause << r.put)
	r.put++
	return true
}

// fault notes that a unit reports a fault, and logs when that begins. l.mu is
// held.
func (l *Line) fault(u *unit, e modbus.Exception, now time.Time) {
	f := u.faults[e]
	if f.count == 0 {
		l.o.Log.Warn("unit reports a fault", "unit", u.id, "err", e)
	}
	u.faults[e] = fault{f.count + 1, now}
}

// faultsOver logs which faults ended. l.mu is held.
func (l *Line) faultsOver(u *unit, now time.Time) {
	for e, f := range u.faults {
		if now.Sub(f.last) >= faultOver {
			l.o.Log.Info("unit reports a fault no more", "unit", u.id, "err", e, "times", f.count)
			delete(u.faults, e)
		}
	}
}

package bus

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"skyhaul/modbus"
)

const (
	putOffs     = 3                      // after the first try
	putOffPause = 100 * time.Millisecond // doubled each time

	// broadcastHold is the time units get to obey a broadcast before the next
	// request. MODBUS over Serial Line V1.02, section 2.4.1.
	broadcastHold = 200 * time.Millisecond
)

// exchange sends r and deals with what comes of it. It returns false when the
// connection should be opened anew.
func (l *Line) exchange(ctx context.Context, client *modbus.Client, r *request) bool {
	began := time.Now()
	answer, err := client.Do(ctx, r.unit.id, r.pdu, l.timeout(r))
	now := time.Now()
	if err == nil && r.reads() {
		l.observed(r, answer)
	}

	l.mu.Lock()
	defer l.mu.Unlock()
	l.wire = client.Counters()
	l.spent(r, now.Sub(began), now)
	r.count(err)
	again, keep := l.judge(r, answer, err, now)
	if again && len(r.callers) > 0 {
		l.queue = slices.Insert(l.queue, 0, r)
		r.unit.stats.Retries++
		return keep
	}
	if errors.Is(err, modbus.ErrConn) {
		err = fmt.Errorf("%w: %w", ErrNotConnected, err)
	}
	r.end(result{answer, err})
	return keep
}

// timeout returns how long to wait for the answer. What a unit takes to read
// says nothing of what it takes to write, into flash perhaps.
func (l *Line) timeout(r *request) time.Duration {
	switch {
	case r.unit.id == modbus.Broadcast:
		return broadcastHold
	case !r.reads():
		return l.o.Timeout
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	unknown := l.o.Timeout
	if r.probe {
		unknown /= 8 // nearly all units are faster, and the others find longer waits
	}
	return r.unit.turnaround.timeout(l.o.Timeout, unknown)
}

// observed shows an answer to whoever observes. l.mu is not held: an observer
// may ask for Stats.
func (l *Line) observed(r *request, a modbus.Answer) {
	l.mu.Lock()
	observers := l.observers
	l.mu.Unlock()
	for _, f := range observers {
		f(r.unit.id, r.pdu, a)
	}
}

// spent notes what an exchange took. l.mu is held.
func (l *Line) spent(r *request, took time.Duration, now time.Time) {
	l.busy += took
	r.unit.stats.Busy += took
	r.unit.free = now.Add(l.o.Gap[r.unit.id])
	if r.probe {
		l.probeFree = now.Add(probeShare * took)
	}
}

// judge says whether r is to be sent again and the connection to be kept. l.mu
// is held.
func (l *Line) judge(r *request, answer modbus.Answer, err error, now time.Time) (again, keep bool) {
	l.faultsOver(r.unit, now)
	exception, declined := errors.AsType[modbus.Exception](err)
	switch {
	case err == nil:
		l.answered(r, answer, now)
		return false, true
	case declined:
		return l.declined(r, answer, exception, now), true
	case errors.Is(err, modbus.ErrTimeout):
		healthy := !r.unit.down && r.unit.timeouts == 0
		gone := l.missed(r, modbus.ErrTimeout, now)
		return healthy && r.resend(), !gone || l.alive()
	case errors.Is(err, modbus.ErrDamaged):
		l.missed(r, modbus.ErrDamaged, now)
		return !r.unit.down && r.repair(), true
	case errors.Is(err, modbus.ErrConn):
		return r.resend(), false
	}
	return false, true // nothing was sent
}

// answered notes a valid answer. l.mu is held.
func (l *Line) answered(r *request, a modbus.Answer, now time.Time) {
	u := r.unit
	l.seen(u)
	if r.reads() {
		u.turnaround.measured(l.silence(r.pdu, a))
	}
	if since := u.stats.Since; u.answered(now) {
		l.o.Log.Info("unit up again", "unit", u.id, "after", now.Sub(since).Round(time.Millisecond), "probes", u.probes)
	}
}

// missed notes that an exchange had no valid answer of the unit, and reports
// whether the unit went down by it. l.mu is held.
func (l *Line) missed(r *request, why error, now time.Time) (gone bool) {
	u := r.unit
	l.seen(u)
	if r.probe {
		u.probed(now)
	}
	gone = u.missed(why, now)
	if gone {
		l.o.Log.Warn("unit down", "unit", u.id, "err", why)
		l.refuse(ErrUnitDown, func(q *request) bool { return q.unit == u && q.class != Probe })
	}
	return gone
}

// seen gives the other units their turn. l.mu is held.
func (l *Line) seen(u *unit) {
	l.turn++
	u.turn = l.turn
}

// alive reports whether the connection is worth keeping when a unit has gone: an
// endpoint's may be dead itself when no unit is left. A line is kept, since its
// client knows which late answers may still come. l.mu is held.
func (l *Line) alive() bool {
	if !l.o.Framing.OverTCP() {
		return true
	}
	for _, u := range l.units {
		if !u.down {
			return true
		}
	}
	return false
}

// silence returns how long the line was silent between a request and its answer.
func (l *Line) silence(req modbus.PDU, a modbus.Answer) time.Duration {
	return max(0, a.FirstByte-l.o.wire(len(req))-l.o.Timing.Wire(1))
}

// resend says whether r is worth another try after nothing came: once, and
// never a write, which may have been obeyed.
func (r *request) resend() bool {
	again := !r.probe && !r.resent && r.reads()
	r.resent = true
	return again
}

// repair is resend after damage.
func (r *request) repair() bool {
	again := !r.probe && !r.repaired && r.reads()
	r.repaired = true
	return again
}

// count adds an exchange to the counters of its unit.
func (r *request) count(err error) {
	s := &r.unit.stats
	exception, declined := errors.AsType[modbus.Exception](err)
	switch {
	case err == nil:
		s.OK++
	case declined:
		s.Exceptions++
		r.unit.exceptions[exception]++
	case errors.Is(err, modbus.ErrTimeout):
		s.Timeouts++
	case errors.Is(err, modbus.ErrDamaged):
		s.Damaged++
	default:
		return // nothing was sent, or the connection was lost
	}
	s.Requests++
	if r.probe {
		s.Probes++
	}
}

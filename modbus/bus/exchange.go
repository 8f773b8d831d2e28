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
	busyTries = 3                      // after the first
	busyPause = 100 * time.Millisecond // doubled each time

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

	l.mu.Lock()
	defer l.mu.Unlock()
	l.wire = client.Counters()
	l.busy += now.Sub(began)
	r.unit.free = now.Add(l.o.Gap[r.unit.id])
	r.count(err)
	if !r.probe.IsZero() {
		l.probeFree = now.Add(probeShare * now.Sub(began))
	}
	again, keep := l.judge(r, answer, err, now)
	if again {
		l.queue = slices.Insert(l.queue, 0, r)
		r.unit.stats.Retries++
		return keep
	}
	if errors.Is(err, modbus.ErrConn) {
		err = fmt.Errorf("%w: %w", ErrNotConnected, err)
	}
	r.result <- result{answer, err}
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
	return r.unit.turnaround.timeout(l.o.Timeout)
}

func (r *request) reads() bool { return r.pdu.Function().Reads() }

// judge says whether r is to be sent again and the connection to be kept. l.mu
// is held.
func (l *Line) judge(r *request, answer modbus.Answer, err error, now time.Time) (again, keep bool) {
	exception, declined := errors.AsType[modbus.Exception](err)
	switch {
	case err == nil, declined && exception != modbus.GatewayTarget:
		l.answered(r, answer, now)
		return exception == modbus.ServerDeviceBusy && r.askLater(now), true
	case declined || errors.Is(err, modbus.ErrTimeout):
		healthy := !r.unit.down && r.unit.timeouts == 0
		keep = !l.timedOut(r, now)
		return !declined && healthy && r.resend(), keep
	case errors.Is(err, modbus.ErrDamaged):
		return r.repair(), true
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

// timedOut notes a missing answer and reports whether the connection itself may
// be dead: on an endpoint that is so when the last unit falls silent. A line is
// kept, since its client knows which late answers may still come. l.mu is held.
func (l *Line) timedOut(r *request, now time.Time) (dead bool) {
	u := r.unit
	l.seen(u)
	if !r.probe.IsZero() {
		u.probed(now)
	}
	if !u.timedOut(now) {
		return false
	}
	l.o.Log.Warn("unit down", "unit", u.id, "timeouts", u.timeouts)
	l.refuse(ErrUnitDown, func(q *request) bool { return q.unit == u && q.class != Probe })
	return l.o.Framing != modbus.RTU && l.allDown()
}

// seen gives the other units their turn. l.mu is held.
func (l *Line) seen(u *unit) {
	l.turn++
	u.turn = l.turn
}

func (l *Line) allDown() bool {
	for _, u := range l.units {
		if !u.down {
			return false
		}
	}
	return true
}

// silence returns how long the line was silent between a request and its answer.
func (l *Line) silence(req modbus.PDU, a modbus.Answer) time.Duration {
	const adu = 3 // unit id and CRC; MBAP takes no time on a line
	return max(0, a.FirstByte-l.o.Timing.Wire(len(req)+adu+1))
}

// resend says whether r is worth another try after nothing came: once, and
// never a write, which may have been obeyed.
func (r *request) resend() bool {
	again := r.probe.IsZero() && !r.resent && r.reads()
	r.resent = true
	return again
}

// repair is resend after damage.
func (r *request) repair() bool {
	again := r.probe.IsZero() && !r.repaired && r.reads()
	r.repaired = true
	return again
}

// askLater gives a busy unit time. Such a unit did not obey, so that a write can
// be sent again. V1.1b3, section 7.
func (r *request) askLater(now time.Time) bool {
	if r.busy == busyTries || !r.probe.IsZero() {
		return false
	}
	r.unit.free = now.Add(busyPause << r.busy)
	r.busy++
	return true
}

// count adds an exchange to the counters of its unit.
func (r *request) count(err error) {
	s := &r.unit.stats
	_, declined := errors.AsType[modbus.Exception](err)
	switch {
	case err == nil:
		s.OK++
	case declined:
		s.Exceptions++
	case errors.Is(err, modbus.ErrTimeout):
		s.Timeouts++
	case errors.Is(err, modbus.ErrDamaged):
		s.Damaged++
	default:
		return // nothing was sent, or the connection was lost
	}
	s.Requests++
	if !r.probe.IsZero() {
		s.Probes++
	}
}

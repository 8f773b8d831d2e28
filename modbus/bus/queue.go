package bus

import (
	"bytes"
	"cmp"
	"slices"
	"time"

	"skyhaul/modbus"
)

// Class is the urgency of a request. A line serves a class only while no
// request of a more urgent one can be sent.
type Class uint8

// The classes, most urgent first.
const (
	Operator Class = iota // somebody waits for it
	Alarm                 // points with alarm limits
	Poll                  // everything that is due on a grid
	Archive               // what instruments keep for later
	Probe                 // is a unit there? Asked even of a unit that is down
)

// request waits for its turn on a line.
type request struct {
	class   Class
	unit    *unit
	pdu     modbus.PDU
	probe   bool          // the line's own, not a caller's
	due     time.Time     // not sent before then
	callers []chan result // each takes one result

	resent   bool // after a timeout or a lost connection
	repaired bool // after damage
	put      int  // times the unit put it off: exceptions 05 and 06
}

type result struct {
	answer modbus.Answer
	err    error
}

// end tells everybody who waits for r how it ended.
func (r *request) end(res result) {
	for _, c := range r.callers {
		c <- res
	}
}

func (r *request) reads() bool { return r.pdu.Function().Reads() }

// serves reports whether the answer to r answers q too. Class [Probe] stays
// alone: it is sent where others are refused.
func (r *request) serves(q *request) bool {
	return r.unit == q.unit && r.reads() && r.class != Probe && q.class != Probe && bytes.Equal(r.pdu, q.pdu)
}

// enqueue lets a request wait for its turn, or the caller for the answer to one
// that waits already.
func (l *Line) enqueue(c Class, id modbus.UnitID, req modbus.PDU) (r *request, mine chan result, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	u, now := l.unit(id), time.Now()
	known := u.down && u.isWanted(now)
	u.wanted = now
	switch {
	case l.lost:
		return nil, nil, ErrNotConnected
	case known && c != Probe:
		return nil, nil, ErrUnitDown
	}
	if c != Archive {
		u.asked(req, &l.o)
	}
	r, mine = &request{class: c, unit: u, pdu: req}, make(chan result, 1)
	if i := slices.IndexFunc(l.queue, func(q *request) bool { return q.serves(r) }); i >= 0 {
		r = l.queue[i]
		r.class = min(r.class, c)
	} else {
		l.queue = append(l.queue, r)
	}
	r.callers = append(r.callers, mine)
	select {
	case l.wake <- struct{}{}:
	default:
	}
	return r, mine, nil
}

// leave lets a caller give up. What nobody waits for is not sent.
func (l *Line) leave(r *request, mine chan result) {
	l.mu.Lock()
	defer l.mu.Unlock()
	r.callers = slices.DeleteFunc(r.callers, func(c chan result) bool { return c == mine })
	if len(r.callers) == 0 {
		l.remove(r)
	}
}

// sooner orders requests that can be sent: by class, then the unit that waits
// longest since its last exchange. What is equal goes in order of arrival.
func sooner(a, b *request) int {
	return cmp.Or(cmp.Compare(a.class, b.class), cmp.Compare(a.unit.turn, b.unit.turn))
}

// ready returns when the request may be sent, as far as its unit is concerned.
func (r *request) ready() time.Time {
	if r.due.After(r.unit.free) {
		return r.due
	}
	return r.unit.free
}

// next takes the request to send now from the queue. If there is none, it
// returns how long to wait for the next.
func (l *Line) next(now time.Time) (r *request, wait time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	wait = time.Hour
	var can []*request
	for _, q := range append(l.probes(now), l.queue...) {
		if early := q.ready().Sub(now); early > 0 {
			wait = min(wait, early)
		} else {
			can = append(can, q)
		}
	}
	if len(can) == 0 {
		return nil, wait
	}
	r = slices.MinFunc(can, sooner)
	l.remove(r)
	return r, 0
}

// probes returns a probe for each unit that is down. They compete with polls,
// so that a busy line finds its units again, but take a small share of the time
// unless no unit answers at all. l.mu is held.
func (l *Line) probes(now time.Time) []*request {
	var probes []*request
	idle := true
	for _, u := range l.units {
		idle = idle && u.down
		if u.down && u.isWanted(now) {
			probes = append(probes, &request{class: Poll, unit: u, pdu: u.probe, probe: true, due: u.probeAt})
		}
	}
	for _, p := range probes {
		if !idle && l.probeFree.After(p.due) {
			p.due = l.probeFree
		}
	}
	return probes
}

// remove takes r from the queue, if it is there. l.mu is held.
func (l *Line) remove(r *request) {
	l.queue = slices.DeleteFunc(l.queue, func(q *request) bool { return q == r })
}

// refuse ends every queued request that match chooses with err. l.mu is held.
func (l *Line) refuse(err error, match func(*request) bool) {
	l.queue = slices.DeleteFunc(l.queue, func(r *request) bool {
		if !match(r) {
			return false
		}
		r.end(result{err: err})
		return true
	})
}

package bus

import (
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
	class  Class
	unit   *unit
	pdu    modbus.PDU
	probe  time.Time   // when the line's own probe is due; zero for a request
	result chan result // takes one

	resent   bool // after a timeout or a lost connection
	repaired bool // after damage
	busy     int  // exceptions 06 so far
}

type result struct {
	answer modbus.Answer
	err    error
}

// sooner orders requests that can be sent: by class, then the unit that waits
// longest since its last exchange. What is equal goes in order of arrival.
func sooner(a, b *request) int {
	return cmp.Or(cmp.Compare(a.class, b.class), cmp.Compare(a.unit.turn, b.unit.turn))
}

// ready returns when the request may be sent, as far as its unit is concerned.
func (r *request) ready() time.Time {
	if r.probe.After(r.unit.free) {
		return r.probe
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
	for _, q := range append(l.probes(), l.queue...) {
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
func (l *Line) probes() []*request {
	var probes []*request
	idle := true
	for _, u := range l.units {
		idle = idle && u.down
		if u.down {
			probes = append(probes, &request{class: Poll, unit: u, pdu: u.probe, probe: u.probeAt, result: make(chan result, 1)})
		}
	}
	for _, p := range probes {
		if !idle && l.probeFree.After(p.probe) {
			p.probe = l.probeFree
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
		r.result <- result{err: err}
		return true
	})
}

package gateway

import (
	"time"

	"skyhaul/modbus"
)

// Event is a write that was sent for a client, or refused.
type Event struct {
	Client  string // its address
	Role    string // of its certificate; "" without one
	Unit    modbus.UnitID
	Request modbus.PDU
	Refused bool  // not on the list, and so not sent
	Err     error // of a write that was sent: nil if the unit obeyed; else it may have, unless this is an exception of its own
	Times   int   // refusals of the same function and unit that this stands for; else 1
}

func (c *client) event(unit modbus.UnitID, req modbus.PDU, err error) Event {
	return Event{Client: c.addr, Role: c.role, Unit: unit, Request: req, Err: err, Times: 1}
}

// refusalPause is how often a client's refusals of one kind are told: one that
// tries again and again must not fill the records.
const refusalPause = time.Minute

// refusals remembers what a client was refused.
type refusals map[refusal]*refused

type refusal struct {
	unit     modbus.UnitID
	function modbus.FunctionCode
}

type refused struct {
	last  modbus.PDU
	times int       // since it was told
	told  time.Time // last
}

// refused notes a refusal, and tells it unless the same was told a moment ago.
func (r *refusals) refused(c *client, unit modbus.UnitID, req modbus.PDU) {
	c.count(func(s *Counters) { s.Refused++ })
	if *r == nil {
		*r = make(refusals)
	}
	k := refusal{unit, req.Function()}
	n := (*r)[k]
	if n == nil {
		n = &refused{}
		(*r)[k] = n
	}
	n.last, n.times = req, n.times+1
	if now := time.Now(); now.Sub(n.told) >= refusalPause {
		n.tell(c, unit, now)
	}
}

func (n *refused) tell(c *client, unit modbus.UnitID, now time.Time) {
	e := c.event(unit, n.last, nil)
	e.Refused, e.Times = true, n.times
	n.times, n.told = 0, now
	c.door.g.o.Audit(e)
}

// end tells what was not told yet.
func (r refusals) end(c *client) {
	for k, n := range r {
		if n.times > 0 {
			n.tell(c, k.unit, time.Now())
		}
	}
}

package modbus

import "slices"

// pending holds, unit by unit, the requests that may still be answered, in the
// order they were sent. RTU has no transaction id, so a late answer can only be
// told from the awaited one by its shape; and since a unit answers in the order
// it was asked, an answer proves that nothing sent before it will come any more.
type pending map[UnitID][]shape

// maxPending is how many unanswered requests to a unit are remembered. Only an
// answer that is later than so many requests could be mistaken.
const maxPending = 16

// sent remembers a request.
func (p pending) sent(s shape) {
	q := append(p[s.unit], s)
	if len(q) > maxPending {
		q = q[1:]
	}
	p[s.unit] = q
}

// answered forgets the earliest request that a may answer and all before it,
// which is the most that a proves. Only an intact frame proves anything: what
// looks like a damaged answer may be a late one. It reports whether there was one.
func (p pending) answered(unit UnitID, a PDU) bool {
	for i, s := range p[unit] {
		if s.accepts(a) {
			p[unit] = p[unit][i+1:]
			return true
		}
	}
	return false
}

// has reports whether an answer to an earlier request would look like s.
func (p pending) has(s shape) bool {
	return slices.Contains(p[s.unit], s)
}

// confusing reports whether any answer to s, an exception among them, could
// have been meant for an earlier request.
func (p pending) confusing(s shape) bool {
	return slices.ContainsFunc(p[s.unit], func(q shape) bool { return q.function() == s.function() })
}

// none reports whether no unit owes an answer.
func (p pending) none() bool {
	for _, q := range p {
		if len(q) > 0 {
			return false
		}
	}
	return true
}

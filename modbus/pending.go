package modbus

import (
	"slices"
	"time"
)

// pending holds what units may still answer.
type pending map[UnitID]*debt

// debt is what one unit may still answer, in the order it was asked. RTU has no
// transaction id, so a late answer can only be told from the awaited one by its
// shape; and since a unit answers in the order it was asked, an answer proves
// that nothing asked before will come any more.
type debt struct {
	shapes   []shape
	declined bool      // the last separator met an exception
	silent   int       // separators in a row that met silence
	since    time.Time // when the first of those was sent
}

const (
	// maxShapes is how many unanswered requests to a unit are remembered. Only
	// an answer that is later than so many requests could be mistaken.
	maxShapes = 16
	// A unit that met so many separators of all kinds with silence for so long
	// owes nothing; else one that knows a single request would never be asked it
	// again. TCP delivers what was sent into a dead link for up to 16 minutes.
	silentSeparators = 4
	silentTime       = 20 * time.Minute
)

// of returns the debt of a unit.
func (p pending) of(unit UnitID) *debt {
	d := p[unit]
	if d == nil {
		d = &debt{}
		p[unit] = d
	}
	return d
}

// sent remembers a request. A unit that listens only owes nothing: else it
// could never be told to restart.
func (d *debt) sent(s shape) {
	if DiagListenOnly.asks(PDU(s.head)) {
		return
	}
	d.shapes = append(d.shapes, s)
	if len(d.shapes) > maxShapes {
		d.shapes = slices.Delete(d.shapes, 0, 1)
	}
}

// heard takes in an intact frame of the unit. It forgets the earliest request
// that a may answer and all before it, which is the most that a proves. Only an
// intact frame proves anything: what looks like a damaged answer may be a late
// one. It reports whether there was such a request.
func (d *debt) heard(a PDU) bool {
	d.silent = 0
	i := slices.IndexFunc(d.shapes, func(s shape) bool { return s.accepts(a) })
	d.shapes = slices.Delete(d.shapes, 0, i+1)
	return i >= 0
}

// confuses reports whether an answer to an earlier request, an exception among
// them, could be taken for the one to s.
func (d *debt) confuses(s shape) bool {
	return slices.ContainsFunc(d.shapes, func(q shape) bool { return q.function() == s.function() })
}

// mistakable reports whether a normal answer to an earlier request could be
// taken for the one to s.
func (d *debt) mistakable(s shape) bool { return slices.ContainsFunc(d.shapes, s.overlaps) }

// tryAgain notes that a separator is about to be sent.
func (d *debt) tryAgain(now time.Time) {
	if d.silent == 0 {
		d.since = now
	}
	d.silent++
}

// lapse forgets all when the unit has been silent for long enough.
func (d *debt) lapse(now time.Time) {
	if d.silent >= silentSeparators && now.Sub(d.since) >= silentTime {
		d.shapes, d.silent = nil, 0
	}
}

// none reports whether no unit owes an answer.
func (p pending) none() bool {
	for _, d := range p {
		if len(d.shapes) > 0 {
			return false
		}
	}
	return true
}

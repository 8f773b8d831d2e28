package bus

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"skyhaul/modbus"
)

// Stats is what a line has done since Run began. Its times are wall times.
type Stats struct {
	Connected bool
	Since     time.Time // when it was connected, or was found not to be; zero before the first attempt
	Opened    int       // connections so far
	Busy      float64   // share of the time that exchanges took, 0 to 1
	Wire      modbus.Counters
	Units     []UnitStats // by unit id; those ever asked
}

// UnitStats is what a line knows of one unit.
type UnitStats struct {
	Unit  modbus.UnitID
	Down  bool
	Cause error     // why it is down: [modbus.ErrTimeout], [modbus.ErrDamaged] or [modbus.GatewayTarget]; nil while it is up
	Since time.Time // of the last change to up or down; zero if it never answered and isn't down

	Requests   uint64 // OK, declined, timed out or damaged; probes and retries included
	Retries    uint64
	Probes     uint64
	OK         uint64 // answered, not by an exception
	Exceptions uint64
	ByCode     map[modbus.Exception]uint64 // Exceptions by their code
	Timeouts   uint64
	Damaged    uint64
	Busy       time.Duration // for which its exchanges held the line, waits for its answers included

	Turnaround time.Duration // mean silence between request and answer; 0 if it never answered
	Timeout    time.Duration // silence a read is granted now
}

// Stats returns a snapshot.
func (l *Line) Stats() Stats {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := Stats{Connected: l.connected, Since: l.since, Opened: l.opened, Wire: l.wire}
	if running := time.Since(l.began); !l.began.IsZero() && running > 0 {
		s.Busy = float64(l.busy) / float64(running)
	}
	for _, u := range l.units {
		v := u.stats
		v.Down, v.Cause, v.ByCode = u.down, u.cause, maps.Clone(u.exceptions)
		v.Turnaround, v.Timeout = u.turnaround.mean, u.turnaround.timeout(l.o.Timeout, l.o.Timeout)
		s.Units = append(s.Units, v)
	}
	slices.SortFunc(s.Units, func(a, b UnitStats) int { return cmp.Compare(a.Unit, b.Unit) })
	return s
}

// Turnaround returns the mean silence between a request to the unit and its
// answer, 0 if it never answered: what plans of its reads should count with.
func (l *Line) Turnaround(id modbus.UnitID) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if u := l.units[id]; u != nil {
		return u.turnaround.mean
	}
	return 0
}

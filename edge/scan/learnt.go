package scan

import (
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"slices"
	"time"

	"skyhaul/modbus"
	"skyhaul/modbus/bus"
)

// How long what a unit refused is left out before it is tried again. A refusal
// is a fault of the configuration, a module pulled out or the nature of the unit:
// asking each second would only spend the line.
const (
	refusedFor = time.Hour      // a point, which nobody sees meanwhile
	holeFor    = 24 * time.Hour // addresses that nobody wants, and limits
)

// learnt is what a unit taught about itself. It outlives the process, for
// learning it again would cost requests that the unit refuses.
type learnt struct {
	holes     map[bus.Range]time.Time // addresses between points that the unit refuses, and when to try again
	refused   map[bus.Range]time.Time // likewise points and exclusive ranges
	registers limit
	bits      limit
	changed   bool // since it was saved
}

// limit is the greatest quantity that a unit serves. The zero value is none.
type limit struct {
	Most  int       `json:"most"`
	Again time.Time `json:"again"` // when to try more
}

// hole notes that the unit refuses addresses that nobody wants.
func (l *learnt) hole(r bus.Range, now time.Time) {
	l.holes[r], l.changed = now.Add(holeFor), true
}

// atMost notes that the unit serves no more than r at once.
func (l *learnt) atMost(r bus.Range, now time.Time) {
	most := limit{registers(r), now.Add(holeFor)}
	l.changed = true
	if r.Function.Bits() {
		l.bits = most
	} else {
		l.registers = most
	}
}

// refuse notes that the unit refuses all of r, and reports whether that is new.
func (l *learnt) refuse(r bus.Range, now time.Time) (isNew bool) {
	_, known := l.refused[r]
	l.refused[r], l.changed = now.Add(refusedFor), true
	return !known
}

// refuses reports whether the unit is known to refuse r.
func (l *learnt) refuses(r bus.Range) bool {
	for q := range l.refused {
		if q.Contains(r) {
			return true
		}
	}
	return false
}

// forgive forgets that the unit refused r, if it did.
func (l *learnt) forgive(r bus.Range) (did bool) {
	_, did = l.refused[r]
	delete(l.refused, r)
	l.changed = l.changed || did
	return did
}

// lapse forgets holes and limits whose time is over, and reports whether there
// were any.
func (l *learnt) lapse(now time.Time) (did bool) {
	for r, again := range l.holes {
		if now.After(again) {
			delete(l.holes, r)
			did = true
		}
	}
	for _, m := range []*limit{&l.registers, &l.bits} {
		if m.Most > 0 && now.After(m.Again) {
			*m = limit{}
			did = true
		}
	}
	l.changed = l.changed || did
	return did
}

// avoid returns what no block may touch.
func (l *learnt) avoid() []bus.Range {
	return slices.AppendSeq(slices.Collect(maps.Keys(l.holes)), maps.Keys(l.refused))
}

// limits returns the cost of a unit as the unit taught it.
func (l *learnt) limits(c bus.Cost) bus.Cost {
	c.MaxRegisters = l.registers.of(c.MaxRegisters)
	c.MaxBits = l.bits.of(c.MaxBits)
	return c
}

// of returns the lower of two limits; 0 is none.
func (m limit) of(most int) int {
	if m.Most > 0 && (most == 0 || m.Most < most) {
		return m.Most
	}
	return most
}

// exceeds reports whether r is more than the unit is known to serve at once.
func (l *learnt) exceeds(r bus.Range) bool {
	if r.Function.Bits() {
		return l.bits.Most > 0 && r.Quantity > l.bits.Most
	}
	return l.registers.Most > 0 && registers(r) > l.registers.Most
}

// registers returns how many registers of two bytes the items of r would fill.
func registers(r bus.Range) int {
	if r.ItemBytes > 0 {
		return r.Quantity * r.ItemBytes / 2
	}
	return r.Quantity
}

// memory is how learnt is saved: a value a group, by unit.
type memory map[modbus.UnitID]unitMemory

type unitMemory struct {
	Holes     []savedRange `json:"holes,omitempty"`
	Refused   []savedRange `json:"refused,omitempty"`
	Registers limit        `json:"registers,omitzero"`
	Bits      limit        `json:"bits,omitzero"`
}

type savedRange struct {
	bus.Range
	Again time.Time
}

func (l *learnt) memory() unitMemory {
	return unitMemory{savedRanges(l.holes), savedRanges(l.refused), l.registers, l.bits}
}

func savedRanges(m map[bus.Range]time.Time) (rs []savedRange) {
	for r, again := range m {
		rs = append(rs, savedRange{r, again})
	}
	return rs
}

// recall takes in what was saved. The clock may have been set meanwhile: nothing
// is left out for longer than if it were refused now.
func (l *learnt) recall(m unitMemory, now time.Time) {
	recallRanges(l.holes, m.Holes, now.Add(holeFor))
	recallRanges(l.refused, m.Refused, now.Add(refusedFor))
	l.registers, l.bits = m.Registers.until(now.Add(holeFor)), m.Bits.until(now.Add(holeFor))
}

func recallRanges(m map[bus.Range]time.Time, rs []savedRange, latest time.Time) {
	for _, r := range rs {
		m[r.Range] = earlier(r.Again, latest)
	}
}

func (m limit) until(latest time.Time) limit { return limit{max(0, m.Most), earlier(m.Again, latest)} }

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// recall takes what was learnt from the memory. Without, all is learnt anew.
func (s *Scanner) recall() {
	s.saved = time.Now()
	if s.opts.Memory == nil {
		return
	}
	var m memory
	value, err := s.opts.Memory.Load(s.opts.MemoryName)
	if err == nil {
		err = json.Unmarshal(value, &m)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.opts.Logger.Warn("what was learnt of units is lost", "err", err)
	}
	for _, u := range s.units {
		u.learnt.recall(m[u.unit], s.saved)
		maps.DeleteFunc(u.learnt.refused, func(r bus.Range, _ time.Time) bool { return !u.asks(r) })
		maps.DeleteFunc(u.learnt.holes, func(r bus.Range, _ time.Time) bool { return u.wants(r) })
	}
}

// asks reports whether r is read by itself when the unit refuses more: what
// another configuration asked for must not be asked again.
func (u *unitReader) asks(r bus.Range) bool {
	return slices.Contains(u.want, r) || slices.Contains(u.cost.Exclusive, r)
}

// wants reports whether a point or an exclusive range lies in r, if only in
// part: what was a hole between the points of another configuration hides them.
func (u *unitReader) wants(r bus.Range) bool {
	return slices.ContainsFunc(u.want, r.Touches) || slices.ContainsFunc(u.cost.Exclusive, r.Touches)
}

func (s *Scanner) rememberHourly() {
	if time.Since(s.saved) >= time.Hour {
		s.remember()
	}
}

// remember saves what was learnt, if anything was since it was last saved.
func (s *Scanner) remember() {
	s.saved = time.Now()
	changed := slices.ContainsFunc(s.units, func(u *unitReader) bool { return u.learnt.changed })
	if s.opts.Memory == nil || !changed {
		return
	}
	m := memory{}
	for _, u := range s.units {
		m[u.unit] = u.learnt.memory()
		u.learnt.changed = false
	}
	value, err := json.Marshal(m)
	if err == nil {
		err = s.opts.Memory.Save(s.opts.MemoryName, value)
	}
	if err != nil {
		s.opts.Logger.Warn("what was learnt of units is not saved", "err", err)
	}
}

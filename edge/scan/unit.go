package scan

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"skyhaul/edge/point"
	"skyhaul/modbus"
	"skyhaul/modbus/bus"
)

// unitReader reads the points of one unit and learns what it refuses. It is
// used by one goroutine at a time.
type unitReader struct {
	unit   modbus.UnitID
	points []int       // indices of the group's points
	want   []bus.Range // one a point, in the same order
	cost   bus.Cost
	learnt learnt
	blocks []bus.Block // nil: to be planned
}

func newUnitReaders(g Group) (us []*unitReader) {
	byUnit := map[modbus.UnitID]*unitReader{}
	for i := range g.Points {
		p := &g.Points[i]
		u := byUnit[p.Unit]
		if u == nil {
			u = &unitReader{
				unit: p.Unit, cost: g.Costs[p.Unit],
				learnt: learnt{holes: map[bus.Range]time.Time{}, refused: map[bus.Range]time.Time{}},
			}
			byUnit[p.Unit] = u
			us = append(us, u)
		}
		u.points = append(u.points, i)
		u.want = append(u.want, p.Range())
	}
	return us
}

// Range returns the addresses of the point.
func (p *Point) Range() bus.Range {
	r := bus.Range{Function: p.Function, Addr: p.Addr, Quantity: 1, ItemBytes: p.ItemBytes}
	switch {
	case p.Function.Bits():
	case p.ItemBytes > 0:
		r.Quantity = (2*p.Format.Registers() + p.ItemBytes - 1) / p.ItemBytes
	default:
		r.Quantity = p.Format.Registers()
	}
	return r
}

// read fills in the values and qualities of the unit's points and returns when
// its first request left; zero if none did.
func (u *unitReader) read(ctx context.Context, s *Scanner) (sent time.Time) {
	r := reading{unit: u, scanner: s}
	for place, i := range u.points {
		q := point.MakeQuality(point.Bad, point.Comm)
		if u.learnt.refuses(u.want[place]) {
			q = point.MakeQuality(point.Bad, point.Exception)
		}
		s.values[i], s.quality[i] = 0, q
	}
	for _, b := range u.plan(time.Now(), s.opts.Turnaround(u.unit)) {
		r.block(ctx, b)
	}
	return r.sent
}

// plan returns the blocks to read now: what is known to be refused is left out
// of them, and tried by itself when its time has come.
func (u *unitReader) plan(now time.Time, turnaround time.Duration) []bus.Block {
	if u.learnt.lapse(now) || u.drifted(turnaround) {
		u.blocks = nil
	}
	if u.blocks == nil {
		u.blocks = u.merged()
	}
	blocks := slices.Clip(u.blocks)
	for r, again := range u.learnt.refused {
		if now.After(again) {
			blocks = append(blocks, u.alone(r))
		}
	}
	return blocks
}

// merged returns the blocks of the plan. What the unit refused of several values
// says nothing of one that is longer: that is asked for by itself.
func (u *unitReader) merged() []bus.Block {
	avoid := u.learnt.avoid()
	blocks := bus.Plan(u.want, u.learnt.limits(u.cost), avoid)
	single := u.cost
	single.Longest = 1
	for _, b := range bus.Plan(u.want, single, avoid) {
		if u.learnt.exceeds(b.Range) {
			blocks = append(blocks, b)
		}
	}
	return blocks
}

// drifted takes in what the bus knows of the unit's turnaround and reports
// whether it moved by so much that other blocks may be faster now.
func (u *unitReader) drifted(turnaround time.Duration) bool {
	planned := u.cost.Turnaround
	if turnaround == 0 || (turnaround-planned).Abs() <= planned/4 {
		return false
	}
	u.cost.Turnaround = turnaround
	return true
}

// alone returns the block that is r.
func (u *unitReader) alone(r bus.Range) bus.Block {
	b := bus.Block{Range: r, Alone: true}
	for place, want := range u.want {
		if r.Contains(want) {
			b.Holds = append(b.Holds, place)
		}
	}
	return b
}

// reading is one pass over one unit.
type reading struct {
	unit    *unitReader
	scanner *Scanner
	sent    time.Time
}

// block reads one block. A block that the unit refuses is halved until the
// refusal stands alone, so that it costs its own points only; what was learnt
// changes the next plan. It reports whether the unit answered the whole block.
func (r *reading) block(ctx context.Context, b bus.Block) (whole bool) {
	err := r.ask(ctx, b)
	if err == nil {
		return true
	}
	left, right, parts := b.Split(r.unit.want)
	if refusal(err) && parts {
		r.halves(ctx, b, left, right)
		return false
	}
	if refusal(err) {
		r.refuse(b)
	}
	r.fail(b, reasonOf(err))
	return false
}

func (r *reading) ask(ctx context.Context, b bus.Block) error {
	req, err := modbus.ReadRequest(b.Function, b.Addr, b.Quantity)
	if err != nil {
		return err
	}
	answer, err := r.scanner.opts.Bus.Do(ctx, r.scanner.class, r.unit.unit, req)
	r.scanner.opts.Tick()
	if r.sent.IsZero() {
		r.sent = answer.Sent
	}
	if err != nil {
		return err
	}
	return r.decode(b, answer.PDU)
}

// halves reads the two parts of a refused block. If the unit answers both and
// still refuses the whole, what it refuses lies between them, or it is the number
// of values at once. A unit that starts refuses for a moment what it serves.
func (r *reading) halves(ctx context.Context, b, left, right bus.Block) {
	wholeLeft, wholeRight := r.block(ctx, left), r.block(ctx, right)
	if !wholeLeft || !wholeRight || !refusal(r.ask(ctx, b)) {
		return
	}
	hole := left.Range
	hole.Addr += uint16(left.Quantity) // the right one lies behind it
	hole.Quantity = int(right.Addr) - int(left.Addr) - left.Quantity
	now := time.Now()
	switch {
	case hole.Quantity > 0:
		r.unit.learnt.hole(hole, now)
	case left.Quantity > right.Quantity:
		r.unit.learnt.atMost(left.Range, now)
	default:
		r.unit.learnt.atMost(right.Range, now)
	}
	r.unit.blocks = nil
}

// refuse leaves the points of b out of the plans for a while.
func (r *reading) refuse(b bus.Block) {
	if !r.unit.learnt.refuse(b.Range, time.Now()) {
		return
	}
	r.unit.blocks = nil
	for _, place := range b.Holds {
		p := &r.scanner.group.Points[r.unit.points[place]]
		r.scanner.opts.Logger.Warn("unit refuses a point", "unit", p.Unit, "tag", p.Tag, "function", p.Function, "addr", p.Addr)
	}
}

// fail marks the points of b as not read.
func (r *reading) fail(b bus.Block, why point.Reason) {
	for _, place := range b.Holds {
		r.scanner.quality[r.unit.points[place]] = point.MakeQuality(point.Bad, why)
	}
}

// decode takes the values of b out of an answer.
func (r *reading) decode(b bus.Block, answer modbus.PDU) error {
	take := r.registers
	if b.Function.Bits() {
		take = r.bits
	}
	if err := take(b, answer); err != nil {
		return err
	}
	if r.unit.learnt.forgive(b.Range) {
		r.unit.blocks = nil
	}
	return nil
}

func (r *reading) bits(b bus.Block, answer modbus.PDU) error {
	bits, err := modbus.Bits(answer, b.Quantity)
	if err != nil {
		return err
	}
	for _, place := range b.Holds {
		raw := uint64(0)
		if bits[r.unit.want[place].Addr-b.Addr] {
			raw = 1
		}
		r.put(place, raw, 0)
	}
	return nil
}

func (r *reading) registers(b bus.Block, answer modbus.PDU) error {
	regs, err := modbus.Registers(answer)
	if err != nil {
		return err
	}
	each := max(2, b.ItemBytes) / 2
	if len(regs) != b.Quantity*each {
		return fmt.Errorf("%w: %d registers for %d items", modbus.ErrDamaged, len(regs), b.Quantity)
	}
	for _, place := range b.Holds {
		p := &r.scanner.group.Points[r.unit.points[place]]
		at := int(p.Addr-b.Addr) * each
		raw, err := p.Format.Decode(regs[at : at+p.Format.Registers()])
		q := point.Quality(0)
		if err != nil {
			q = point.MakeQuality(point.Bad, point.ScaleError)
		}
		r.put(place, raw, q)
	}
	return nil
}

func (r *reading) put(place int, raw uint64, q point.Quality) {
	i := r.unit.points[place]
	r.scanner.values[i], r.scanner.quality[i] = raw, q
}

// refusal reports whether a unit answered that it doesn't serve what was asked.
func refusal(err error) bool {
	var e modbus.Exception
	if !errors.As(err, &e) {
		return false
	}
	return e == modbus.IllegalFunction || e == modbus.IllegalDataAddress || e == modbus.IllegalDataValue
}

// reasonOf says what an error means for the values that were not read.
func reasonOf(err error) point.Reason {
	var e modbus.Exception
	switch {
	case errors.As(err, &e):
		return point.Exception
	case errors.Is(err, bus.ErrNotConnected):
		return point.NotConnected
	}
	return point.Comm
}

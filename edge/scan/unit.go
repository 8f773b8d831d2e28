package scan

import (
	"context"
	"errors"
	"time"

	"skyhaul/edge/point"
	"skyhaul/modbus"
	"skyhaul/modbus/bus"
)

// refusedFor is how long a point that its unit refuses by itself is left out.
// An exception 01, 02 or 03 to a single point is a fault of the configuration
// or a module pulled out: asking each second would only spend the line.
const refusedFor = time.Hour

// unitReader reads the points of one unit and learns what it refuses. It is
// used by one goroutine at a time.
type unitReader struct {
	unit    modbus.UnitID
	points  []int       // indices of the group's points
	want    []bus.Range // one a point, in the same order
	cost    bus.Cost
	holes   []bus.Range       // addresses between points that the unit refuses
	refused map[int]time.Time // places in want that it refuses, and when to try again
	blocks  []bus.Block       // nil: to be planned
}

func newUnitReaders(g Group) (us []*unitReader) {
	byUnit := map[modbus.UnitID]*unitReader{}
	for i := range g.Points {
		p := &g.Points[i]
		u := byUnit[p.Unit]
		if u == nil {
			u = &unitReader{unit: p.Unit, cost: g.Costs[p.Unit], refused: map[int]time.Time{}}
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
	r := bus.Range{Function: p.Function, Addr: p.Addr, Quantity: 1}
	if !p.Function.Bits() {
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
		if _, ok := u.refused[place]; ok {
			q = point.MakeQuality(point.Bad, point.Exception)
		}
		s.values[i], s.quality[i] = 0, q
	}
	for _, b := range u.plan(time.Now()) {
		r.block(ctx, b)
	}
	return r.sent
}

// plan returns the blocks to read now: what is known to be refused is left out
// of them, and tried by itself when its time has come.
func (u *unitReader) plan(now time.Time) []bus.Block {
	if u.blocks == nil {
		avoid := u.holes
		for place := range u.refused {
			avoid = append(avoid[:len(avoid):len(avoid)], u.want[place])
		}
		u.blocks = bus.Plan(u.want, u.cost, avoid)
	}
	blocks := u.blocks
	for place, again := range u.refused {
		if now.After(again) {
			blocks = append(blocks[:len(blocks):len(blocks)], bus.Block{Range: u.want[place], Holds: []int{place}})
		}
	}
	return blocks
}

// reading is one pass over one unit.
type reading struct {
	unit    *unitReader
	scanner *Scanner
	sent    time.Time
}

// block reads one block. A block that the unit refuses is halved until the
// refusal stands alone, so that it costs its own points only; what was learnt
// changes the next plan. It reports whether all of the block was read.
func (r *reading) block(ctx context.Context, b bus.Block) bool {
	req, err := modbus.ReadRequest(b.Function, b.Addr, b.Quantity)
	if err == nil {
		var answer modbus.Answer
		answer, err = r.scanner.opts.Bus.Do(ctx, r.scanner.class, r.unit.unit, req)
		r.scanner.opts.Tick()
		if r.sent.IsZero() {
			r.sent = answer.Sent
		}
		if err == nil {
			err = r.decode(b, answer.PDU)
		}
	}
	if err == nil {
		return true
	}
	if refusal(err) {
		left, right, ok := b.Split(r.unit.want)
		if ok {
			return r.halves(ctx, b, left, right)
		}
		r.refuse(b)
	}
	r.fail(b, reasonOf(err))
	return false
}

// halves reads the two parts of a refused block. If the unit answers both, what
// it refused lies between them, or it is the number of values at once.
func (r *reading) halves(ctx context.Context, b, left, right bus.Block) bool {
	okLeft, okRight := r.block(ctx, left), r.block(ctx, right)
	if !okLeft || !okRight {
		return false
	}
	end := int(left.Addr) + left.Quantity
	if gap := int(right.Addr) - end; gap > 0 {
		r.unit.holes = append(r.unit.holes, bus.Range{Function: b.Function, Addr: uint16(end), Quantity: gap})
	} else {
		r.unit.limit(b.Function, max(left.Quantity, right.Quantity))
	}
	r.unit.blocks = nil
	return true
}

// limit lowers the greatest quantity asked of the unit.
func (u *unitReader) limit(f modbus.FunctionCode, quantity int) {
	if f.Bits() {
		u.cost.MaxBits = quantity
	} else {
		u.cost.MaxRegisters = quantity
	}
}

// refuse leaves the points of b out of the plans for a while.
func (r *reading) refuse(b bus.Block) {
	for _, place := range b.Holds {
		if _, known := r.unit.refused[place]; !known {
			r.unit.blocks = nil
			p := &r.scanner.group.Points[r.unit.points[place]]
			r.scanner.opts.Logger.Warn("unit refuses a point", "unit", p.Unit, "tag", p.Tag, "function", p.Function, "addr", p.Addr)
		}
		r.unit.refused[place] = time.Now().Add(refusedFor)
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
	var regs []uint16
	var bits []bool
	var err error
	if b.Function.Bits() {
		bits, err = modbus.Bits(answer, b.Quantity)
	} else {
		regs, err = modbus.Registers(answer)
	}
	if err != nil {
		return err
	}
	for _, place := range b.Holds {
		i := r.unit.points[place]
		p := &r.scanner.group.Points[i]
		at := int(p.Addr) - int(b.Addr)
		raw, q := uint64(0), point.Quality(0)
		switch {
		case bits != nil:
			if bits[at] {
				raw = 1
			}
		default:
			raw, err = p.Format.Decode(regs[at : at+p.Format.Registers()])
			if err != nil {
				q = point.MakeQuality(point.Bad, point.ScaleError)
			}
		}
		r.scanner.values[i], r.scanner.quality[i] = raw, q
		if _, was := r.unit.refused[place]; was {
			delete(r.unit.refused, place)
			r.unit.blocks = nil
		}
	}
	return nil
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

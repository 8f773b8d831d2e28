package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"skyhaul/edge/point"
	"skyhaul/edge/scan"
	"skyhaul/modbus"
)

// tables names the four tables of a unit and the digit that begins their
// numbers in the notation that Modicon gave them.
var tables = []struct {
	name     string
	digit    int
	function modbus.FunctionCode
}{
	{"coil", 0, modbus.FuncReadCoils},
	{"discrete", 1, modbus.FuncReadDiscreteInputs},
	{"input", 3, modbus.FuncReadInputRegisters},
	{"holding", 4, modbus.FuncReadHoldingRegisters},
}

// address turns the address of a tag list into a table and the number on the
// wire, in the notation that the unit states once.
func (t *table) address(notation string) (fn modbus.FunctionCode, addr uint16) {
	name := t.choice("table", "", "", "coil", "discrete", "input", "holding")
	if !t.has("address") {
		t.fail("address", "is missing")
	}
	v, ok := t.number("address", true, 0, 465536)
	if !ok {
		return modbus.FuncReadHoldingRegisters, 0
	}
	n := int(v)
	if notation == "modicon" {
		return t.modicon(n, name)
	}
	if name == "" {
		name = "holding"
	}
	if notation == "one-based" {
		n--
	}
	if n < 0 || n > math.MaxUint16 {
		t.fail("address", "%s is not an address in %s notation", show(t.values["address"]), notation)
		return modbus.FuncReadHoldingRegisters, 0
	}
	for _, tab := range tables {
		if tab.name == name {
			fn = tab.function
		}
	}
	return fn, uint16(n)
}

// modicon reads 40001 as the first holding register; 400001 where five digits
// don't reach.
func (t *table) modicon(n int, name string) (modbus.FunctionCode, uint16) {
	step := 10_000
	if n >= 100_000 {
		step = 100_000
	}
	for _, tab := range tables {
		if n/step != tab.digit {
			continue
		}
		if name != "" && name != tab.name {
			t.fail("address", "%d is in table %s by its first digit, but table says %s", n, tab.name, name)
		}
		if wire := n%step - 1; wire >= 0 && wire <= math.MaxUint16 {
			return tab.function, uint16(wire)
		}
	}
	t.fail("address", "%s is no address in modicon notation: 40001 is the first holding register, 30001 input register, 10001 discrete input, 1 coil",
		show(t.values["address"]))
	return modbus.FuncReadHoldingRegisters, 0
}

// bcdTypes are the numbers that a meter keeps as decimal digits.
var bcdTypes = map[string]point.Type{"bcd16": point.Uint16, "bcd32": point.Uint32}

// format reads the type of a value and how its registers hold it.
func (t *table) format(fn modbus.FunctionCode, unitOrder string) (typ point.Type, f modbus.Format) {
	bit, hasBit := t.number("bit", true, 0, 15)
	def := "uint16"
	if fn.Bits() || hasBit {
		def = "bool"
	}
	name := strings.ToLower(t.text("type", def))
	typ, ok := point.ParseType(name)
	if bcd, is := bcdTypes[name]; is {
		typ, ok, f.BCD = bcd, true, true
	}
	order := t.text("order", "")
	switch {
	case !ok:
		t.fail("type", "%q is not one of bool, int16, uint16, int32, uint32, int64, uint64, float32, float64, bcd16, bcd32", name)
		return point.Uint16, f
	case fn.Bits() && typ != point.Bool:
		t.fail("type", "%q can't be: coils and discrete inputs hold bool", name)
	case !fn.Bits() && (typ == point.Bool) != hasBit:
		t.fail("bit", "a bool in a register needs its bit, 0 (lowest) to 15, and a bit needs the type bool")
	}
	switch {
	case typ == point.Bool:
		f.Mask, f.Shift = 1<<int(bit), uint8(bit)
	case order == "" && typ.Size() == 4:
		order = unitOrder
	case order == "" && typ.Size() == 8:
		order = wide[unitOrder]
	}
	if order == "" {
		return typ, f
	}
	o, err := modbus.ParseOrder(strings.ToUpper(order))
	if err != nil || o.Registers()*2 != max(typ.Size(), 2) {
		t.fail("order", "%q is no order of the %d bytes of %s: A is the highest byte, letters in the order of the wire, as ABCD or CDAB",
			order, typ.Size(), typ)
		return typ, f
	}
	f.Order = o
	return typ, f
}

// wide gives the order of 64-bit values that goes with one of 32 bits.
var wide = map[string]string{"ABCD": "ABCDEFGH", "CDAB": "GHEFCDAB", "BADC": "BADCFEHG", "DCBA": "HGFEDCBA"}

// scale reads either scale and offset or a raw and an engineering range.
func (t *table) scale() point.Scale {
	s := point.NoScale
	factor, offset := t.float("scale"), t.float("offset")
	rawLow, rawHigh := t.float("raw_low"), t.float("raw_high")
	engLow, engHigh := t.float("eng_low"), t.float("eng_high")
	ranges := []*float64{rawLow, rawHigh, engLow, engHigh}
	given := 0
	for _, r := range ranges {
		if r != nil {
			given++
		}
	}
	switch {
	case given == 0:
		if factor != nil {
			s.Factor = *factor
		}
		if offset != nil {
			s.Offset = *offset
		}
	case factor != nil || offset != nil:
		t.fail("scale", "give either scale and offset, or raw_low, raw_high, eng_low and eng_high")
	case given < 4:
		t.fail("raw_low", "a range needs all of raw_low, raw_high, eng_low and eng_high")
	case *rawLow == *rawHigh:
		t.fail("raw_high", "%v is the same as raw_low: the range is empty", *rawHigh)
	default:
		s.Factor = (*engHigh - *engLow) / (*rawHigh - *rawLow)
		s.Offset = *engLow - *rawLow*s.Factor
	}
	if s.Factor == 0 {
		t.fail("scale", "0 makes every value the same")
	}
	return s
}

// alarms reads the limits of a point and checks that they are in order.
func (t *table) alarms() (as []scan.Alarm) {
	var deadband float64
	if d, ok := t.number("deadband", false, 0, math.MaxFloat64); ok {
		deadband = d
	}
	delay := t.duration("alarm_delay", 0, 0, 24*time.Hour)
	last := math.Inf(-1)
	for _, name := range []string{"lolo", "lo", "hi", "hihi"} {
		limit := t.float(name)
		if limit == nil {
			continue
		}
		if *limit <= last {
			t.fail(name, "%v is not above the limit before it, %v: lolo < lo < hi < hihi", *limit, last)
		}
		last = *limit
		as = append(as, scan.Alarm{
			Condition: name, Below: strings.HasPrefix(name, "lo"), Limit: *limit, Deadband: deadband, Delay: delay,
		})
	}
	return as
}

// valid reads the bounds outside which a value is bad.
func (t *table) valid() *scan.Bounds {
	low, high := t.float("valid_low"), t.float("valid_high")
	if low == nil && high == nil {
		return nil
	}
	b := scan.Bounds{Low: math.Inf(-1), High: math.Inf(1)}
	if low != nil {
		b.Low = *low
	}
	if high != nil {
		b.High = *high
	}
	if b.Low > b.High {
		t.fail("valid_high", "%v is below valid_low, %v", b.High, b.Low)
	}
	return &b
}

// pointID returns the id of a point, zero where there is none.
func (t *table) pointID() point.ID {
	v, _ := t.number("id", true, 1, math.MaxUint32)
	return point.ID(v)
}

// point reads one point. enabled is false for one that is switched off or
// wrong; a wrong one has been reported.
func (t *table) point(unit modbus.UnitID, n notation) (p scan.Point, group string, enabled bool) {
	before := len(t.probs.errs)
	p.Unit = unit
	p.ID = t.pointID()
	if !t.has("id") {
		t.fail("id", "is missing: number the points of the site once and for ever (`skyhaul init --from LIST.csv` does it)")
	}
	p.Tag = t.needText("tag", "it names the point for people")
	t.name = "tag " + strconv.Quote(p.Tag)
	p.Description = t.text("description", "")
	p.Column.Unit = t.text("unit", "")
	p.Function, p.Addr = t.address(n.addresses)
	p.Type, p.Format = t.format(p.Function, n.order)
	p.Scale = t.scale()
	p.Decimals = int8(t.integer("decimals", -1, -1, 9))
	p.Valid = t.valid()
	p.Alarms = t.alarms()
	p.FrozenAfter = t.duration("frozen_after", 0, 0, 8760*time.Hour)
	p.Lane, _ = point.ParseLane(t.choice("lane", "history", "history", "custody"))
	t.send(&p)
	group = t.text("group", "")
	enabled = t.flag("enabled", true)
	for _, s := range []struct{ key, text string }{{"tag", p.Tag}, {"description", p.Description}, {"unit", p.Column.Unit}} {
		if len(s.text) > 255 {
			t.fail(s.key, "is %d bytes long, 255 are the most", len(s.text))
		}
	}
	if end := int(p.Addr) + p.Range().Quantity; end > 1<<16 {
		t.fail("address", "a %s of %d registers does not fit before the end of the table", p.Type, p.Range().Quantity)
	}
	return p, group, enabled && len(t.probs.errs) == before
}

// overlaps reports two points of a unit whose registers overlap without being
// the same: one of the addresses or types is wrong. Bits of one register are no
// overlap.
func overlaps(probs *problems, ps []placed) {
	for i := range ps {
		for k := range i {
			a, b := &ps[k], &ps[i]
			ra, rb := a.Range(), b.Range()
			if a.Unit != b.Unit || !ra.Touches(rb) || ra == rb {
				continue
			}
			if a.Format.Mask != 0 || b.Format.Mask != 0 {
				continue
			}
			probs.add("%s: tag %q: %s overlaps tag %q (%s): one of the addresses or types is wrong",
				b.where, b.Tag, describe(b), a.Tag, describe(a))
		}
	}
}

func describe(p *placed) string {
	r := p.Range()
	return fmt.Sprintf("%s at %d, %d long", p.Type, r.Addr, r.Quantity)
}

package config

import (
	"cmp"
	"fmt"
	"math"
	"slices"
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
	switch {
	case n < 0:
		t.fail("address", "there is no %s where 1 is the first: does the list count from zero?", t.found("address"))
		n = 0
	case n > math.MaxUint16:
		t.fail("address", "%s is past the end of the table, which has 65536 (%s)", t.found("address"), notation)
		n = 0
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
	if text, _ := t.values["address"].(string); n >= 100_000 || len(text) == 6 {
		step = 100_000
	}
	for _, tab := range tables {
		if n/step != tab.digit {
			continue
		}
		if name != "" && name != tab.name {
			t.fail("address", "%s is in table %s by its first digit, but table says %s", t.found("address"), tab.name, name)
		}
		first := tab.digit*step + 1
		switch wire := n - first; {
		case wire < 0 && n > 0:
			t.fail("address", "%s is before the first of its table, %d: does the list count from %d? Then all of it is one too low", t.found("address"), first, n)
		case wire < 0:
			t.fail("address", "0 is no address in modicon notation: does the list count from zero?")
		case wire > math.MaxUint16:
			t.fail("address", "%s is past the last of its table, %d", t.found("address"), first+math.MaxUint16)
		default:
			return tab.function, uint16(wire)
		}
		return tab.function, 0
	}
	t.fail("address", "%s is no address in modicon notation: 40001 is the first holding register, 30001 input register, 10001 discrete input, 1 coil",
		t.found("address"))
	return modbus.FuncReadHoldingRegisters, 0
}

// packed are the numbers that registers hold otherwise than as their bits: as
// decimal digits, four of them a register; as a sign and a magnitude; as half a
// register.
var packed = map[string]struct {
	typ    point.Type
	format modbus.Format
}{
	"bcd16": {point.Uint16, modbus.Format{BCD: true}}, "bcd32": {point.Uint32, modbus.Format{BCD: true}}, "bcd64": {point.Uint64, modbus.Format{BCD: true}},
	"mod10k32": {point.Uint32, modbus.Format{Mod10k: true}}, "mod10k64": {point.Uint64, modbus.Format{Mod10k: true}},
	"signmag16": {point.Int16, modbus.Format{SignMagnitude: true}}, "signmag32": {point.Int32, modbus.Format{SignMagnitude: true}},
	"uint8high": {point.Uint16, modbus.Format{Mask: 0xFF00, Shift: 8}}, "uint8low": {point.Uint16, modbus.Format{Mask: 0x00FF}},
}

// typeNamed returns the type of a value by its name, and how its registers hold
// it; ok is false for an unknown name.
func typeNamed(name string) (typ point.Type, f modbus.Format, ok bool) {
	if p, ok := packed[name]; ok {
		return p.typ, p.format, true
	}
	typ, ok = point.ParseType(name)
	return typ, f, ok
}

// format reads the type of a value and how its registers hold it.
func (t *table) format(fn modbus.FunctionCode, unitOrder string) (typ point.Type, f modbus.Format) {
	bit, _ := t.number("bit", true, 0, 15)
	hasBit := t.values["bit"] != nil
	def := "uint16"
	if fn.Bits() || hasBit {
		def = "bool"
	}
	name := strings.ToLower(t.text("type", def))
	typ, f, ok := typeNamed(name)
	order := t.text("order", "")
	switch {
	case !ok:
		t.unknownType(name)
		return point.Uint16, f
	case fn.Bits() && typ != point.Bool:
		t.fail("type", "%q can't be: coils and discrete inputs hold bool", name)
	case fn.Bits() && hasBit:
		t.fail("bit", "can't be: coils and discrete inputs are one bit each")
	case !fn.Bits() && (typ == point.Bool) != hasBit:
		t.fail("bit", "a bool in a register needs its bit, 0 (lowest) to 15, and a bit the type bool; a bool in no register needs its table, coil or discrete")
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

// unknownType reports a type that is none, and what it may mean.
func (t *table) unknownType(name string) {
	known, order, err := parseTypeName(name)
	switch {
	case err != nil:
		t.fail("type", "%v", err)
	case known == "" || order != "":
		t.fail("type", "%q is not one of %s; the order of its bytes stands under order", name, strings.Join(typeNames, ", "))
	default:
		t.fail("type", "%q is not one of %s: did you mean %s?", name, strings.Join(typeNames, ", "), known)
	}
}

// wide gives the order of 64-bit values that goes with one of 32 bits.
var wide = map[string]string{"ABCD": "ABCDEFGH", "CDAB": "GHEFCDAB", "BADC": "BADCFEHG", "DCBA": "HGFEDCBA"}

// scale reads either scale and offset or a raw and an engineering range. A range
// of the engineering value alone only says what it spans.
func (t *table) scale(typ point.Type) point.Scale {
	s := point.NoScale
	factor, offset := t.float("scale"), t.float("offset")
	rawLow, rawHigh := t.float("raw_low"), t.float("raw_high")
	engLow, engHigh := t.float("eng_low"), t.float("eng_high")
	raw, eng := rawLow != nil && rawHigh != nil, engLow != nil && engHigh != nil
	if factor != nil {
		s.Factor = *factor
	}
	if offset != nil {
		s.Offset = *offset
	}
	switch {
	case (rawLow != nil || rawHigh != nil) && (factor != nil || offset != nil):
		t.fail("scale", "give either scale and offset, or raw_low, raw_high, eng_low and eng_high")
	case raw != (rawLow != nil || rawHigh != nil), raw && !eng:
		t.fail("raw_low", "a range needs all of raw_low, raw_high, eng_low and eng_high")
	case eng != (engLow != nil || engHigh != nil):
		t.fail("eng_high", "a range has two ends, eng_low and eng_high: one of them is missing")
	case eng && *engLow >= *engHigh:
		t.fail("eng_high", "%v is not above eng_low, %v: exchange them; where the raw value falls while the value rises, exchange raw_low and raw_high", *engHigh, *engLow)
	case raw && *rawLow == *rawHigh:
		t.fail("raw_high", "%v is the same as raw_low: the range is empty", *rawHigh)
	case raw:
		s.Factor = (*engHigh - *engLow) / (*rawHigh - *rawLow)
		s.Offset = *engLow - *rawLow*s.Factor
	case eng && factor == nil && typ != point.Float32 && typ != point.Float64:
		t.fail("eng_low", "a range of %v to %v, and nothing that says which numbers of the %s stand for it: give raw_low and raw_high, or scale; scale 1 where the register holds the value itself",
			*engLow, *engHigh, typ)
	}
	if s.Factor == 0 {
		t.fail("scale", "0 makes every value the same")
	}
	return s
}

// signal reads how a value tells that its sensor failed: by the current of its
// loop, or by raw values that stand for that.
func (t *table) signal(p *scan.Point) {
	if t.choice("signal", "", "", "4-20mA") != "" {
		low, high := t.float("raw_low"), t.float("raw_high")
		if low == nil || high == nil {
			t.fail("signal", "needs raw_low and raw_high: the numbers that stand for 4 and 20 mA")
			return
		}
		p.Signal = &scan.Signal{Raw4: *low, Raw20: *high}
		if broken := *low - (*high-*low)/4; broken < 0 && slices.Contains(unsigned, p.Type) {
			t.fail("signal", "a broken wire, 0 mA, would be %v, which no %s holds: is it a signed type?", broken, p.Type)
		}
	}
	for _, text := range strings.FieldsFunc(t.text("sentinel", ""), func(r rune) bool { return r == ',' || r == ';' || r == ' ' }) {
		raw, err := parseRaw(p.Type, text)
		if err != nil || p.Type == point.Bool {
			t.fail("sentinel", "%q is no raw value of a %s: write numbers as 32767, bits as 0x7FFF, or NaN", text, p.Type)
			return
		}
		p.Sentinels = append(p.Sentinels, raw)
	}
}

var unsigned = []point.Type{point.Uint16, point.Uint32, point.Uint64}

// parseRaw reads the raw bits of a value from a number of its type, or from the
// bits themselves.
func parseRaw(typ point.Type, text string) (uint64, error) {
	if digits, ok := strings.CutPrefix(strings.ToLower(text), "0x"); ok {
		return strconv.ParseUint(digits, 16, 8*typ.Size())
	}
	return typ.Parse(text)
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
	p.Scale = t.scale(p.Type)
	t.signal(&p)
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
	if int(p.Addr)+p.Range().Quantity > 1<<16 {
		t.fail("address", "a %s of %d registers does not fit before the end of the table", p.Type, p.Range().Quantity)
	}
	return p, group, enabled && len(t.probs.errs) == before
}

// overlaps reports points of a unit whose registers overlap without being the
// same, or are the same and of another type: one of the addresses or types is
// wrong. Bits of one register are no overlap.
func overlaps(probs *problems, ps []placed) {
	var byAddress []*placed
	for i := range ps {
		if ps[i].Format.Mask == 0 {
			byAddress = append(byAddress, &ps[i])
		}
	}
	slices.SortStableFunc(byAddress, func(a, b *placed) int {
		return cmp.Or(cmp.Compare(a.Function, b.Function), cmp.Compare(a.Addr, b.Addr))
	})
	var clashes [][2]*placed
	var reach *placed // the one that reaches furthest so far
	apart := 0        // clashes of values whose addresses are one apart
	for _, p := range byAddress {
		if reach != nil && reach.Range().Touches(p.Range()) && (reach.Range() != p.Range() || reach.Type != p.Type) {
			clashes = append(clashes, [2]*placed{reach, p})
			if p.Type == reach.Type && p.Addr == reach.Addr+1 {
				apart++
			}
		}
		if reach == nil || reach.Function != p.Function || p.end() > reach.end() {
			reach = p
		}
	}
	const plenty = 4
	if apart == len(clashes) && apart >= plenty {
		a, b := clashes[0][0], clashes[0][1]
		probs.add("%s: tag %q: %s overlaps tag %q (%s), and so on for %d: their addresses are one apart and each takes %d registers: "+
			"either the list numbers the values and not the registers, or they are 16 bits each, or the unit has a dialect of wide items",
			b.where, b.Tag, describe(b), a.Tag, describe(a), apart+1, a.Range().Quantity)
		return
	}
	for _, c := range clashes {
		a, b := c[0], c[1]
		if a.Range() == b.Range() {
			probs.add("%s: tag %q: %s is a %s for tag %q (%s): one of the addresses or types is wrong", b.where, b.Tag, describe(b), a.Type, a.Tag, a.where)
			continue
		}
		probs.add("%s: tag %q: %s overlaps tag %q (%s): one of the addresses or types is wrong", b.where, b.Tag, describe(b), a.Tag, describe(a))
	}
}

// end is the address behind the point: up to 65536.
func (p *placed) end() int { return int(p.Addr) + p.Range().Quantity }

func describe(p *placed) string {
	r := p.Range()
	if r.Quantity == 1 {
		return fmt.Sprintf("%s at wire %d", p.Type, r.Addr)
	}
	return fmt.Sprintf("%s at wire %d to %d", p.Type, r.Addr, p.end()-1)
}

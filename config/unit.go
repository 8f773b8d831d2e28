package config

import (
	"fmt"
	"hash"
	"net"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"skyhaul/edge/point"
	"skyhaul/edge/scan"
	"skyhaul/modbus"
	"skyhaul/modbus/bus"
	"skyhaul/modbus/serial"
)

// reader is one reading of a configuration.
type reader struct {
	probs     problems
	dir       string            // of the file: all paths in it are relative to it
	hash      hash.Hash         // over all that was read
	intervals map[string]string // where the interval of each group stands
}

// path returns the path of a file that the configuration names; "" and
// credentials stay as they are.
func (r *reader) path(name string) string {
	if name == "" || filepath.IsAbs(name) || strings.HasPrefix(name, "credential:") {
		return name
	}
	return filepath.Join(r.dir, name)
}

// Line is a serial line or an endpoint.
type Line struct {
	Name    string
	Serial  *serial.Config // nil for an endpoint
	Address string         // host:port of an endpoint
	Bus     bus.Options    // all but who dials and who logs
}

// unit is what points need to know of theirs.
type unit struct {
	name, line, addresses, order string
	id                           modbus.UnitID
	cost                         bus.Cost
	points                       []placed
}

// placed is a point with its place in the files and its group.
type placed struct {
	scan.Point
	where, group string
}

// host:port, either of them may be empty where net.Listen or net.Dial takes it.
func (t *table) checkAddress(key, addr string) {
	_, port, err := net.SplitHostPort(addr)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		t.fail(key, "%q is not host:port", addr)
	}
}

func (r *reader) lines(root *table) (ls []Line) {
	for _, t := range root.subs("line") {
		ls = append(ls, r.line(t))
	}
	for _, t := range root.subs("endpoint") {
		ls = append(ls, r.endpoint(t))
	}
	seen := map[string]bool{}
	for _, l := range ls {
		if l.Name != "" && seen[l.Name] {
			r.probs.add("%s: name %q is used for two lines or endpoints", root.where("line"), l.Name)
		}
		seen[l.Name] = true
	}
	return ls
}

// parities are the words of the file.
var parities = map[string]serial.Parity{
	"none": serial.NoParity, "even": serial.EvenParity, "odd": serial.OddParity,
	"mark": serial.MarkParity, "space": serial.SpaceParity,
}

func (r *reader) line(t *table) Line {
	name := t.needText("name", "units say by it which line they are on")
	t.name = "line " + strconv.Quote(name)
	c := serial.Config{
		Device:   t.needText("device", "as /dev/ttyUSB0"),
		Baud:     t.integer("baud", 9600, 50, 4_000_000),
		DataBits: t.integer("data_bits", 8, 7, 8),
		Parity:   parities[t.choice("parity", "none", "none", "even", "odd", "mark", "space")],
		StopBits: t.integer("stop_bits", 1, 1, 2),
	}
	if t.flag("rs485", false) {
		c.RS485 = &serial.RS485{}
	}
	return Line{Name: name, Serial: &c, Bus: bus.Options{
		Framing: modbus.RTU, Timing: modbus.LineTiming{Bit: c.Bit(), CharBits: c.CharBits()}, Timeout: t.timeout(), Gap: map[modbus.UnitID]time.Duration{},
	}}
}

func (r *reader) endpoint(t *table) Line {
	name := t.needText("name", "units say by it which endpoint they are behind")
	t.name = "endpoint " + strconv.Quote(name)
	l := Line{Name: name, Address: t.needText("address", "host:port")}
	if l.Address != "" {
		t.checkAddress("address", l.Address)
	}
	l.Bus = bus.Options{Framing: modbus.TCP, Timeout: t.timeout(), Gap: map[modbus.UnitID]time.Duration{}}
	if t.choice("framing", "tcp", "tcp", "rtu-over-tcp") != "tcp" {
		l.Bus.Framing = modbus.RTUOverTCP
	}
	return l
}

func (t *table) timeout() time.Duration {
	return t.duration("timeout", time.Second, 50*time.Millisecond, time.Minute)
}

func (r *reader) units(root *table, ls []Line) (us []*unit) {
	type place struct {
		line string
		id   modbus.UnitID
	}
	seen := map[place]string{}
	for _, t := range root.subs("unit") {
		u := r.unit(t, ls)
		at := place{u.line, u.id}
		if other, ok := seen[at]; ok && u.id != 0 {
			t.fail("id", "%d on %q is unit %q already", u.id, u.line, other)
		}
		seen[at] = u.name
		us = append(us, u)
	}
	r.unique(us)
	return us
}

func (r *reader) unit(t *table, ls []Line) *unit {
	u := &unit{name: t.needText("name", "for messages and people")}
	t.name = "unit " + strconv.Quote(u.name)
	u.line = t.needText("on", "the name of a line or an endpoint")
	i := slices.IndexFunc(ls, func(l Line) bool { return l.Name == u.line })
	if i < 0 && u.line != "" {
		t.fail("on", "there is no line or endpoint %q", u.line)
	}
	u.id = modbus.UnitID(t.integer("id", 0, 1, 247))
	if !t.has("id") {
		t.fail("id", "is missing: 1 to 247")
	}
	gap := t.duration("min_gap", 0, 0, 10*time.Second)
	if i >= 0 {
		ls[i].Bus.Gap[u.id] = gap
		u.cost = ls[i].cost()
	}
	u.addresses = t.needText("addresses", `say "modicon", "zero-based" or "one-based": how the tag list counts`)
	if u.addresses != "" {
		u.addresses = t.choice("addresses", "modicon", "modicon", "zero-based", "one-based")
	}
	u.order = t.choice("order", "ABCD", "ABCD", "CDAB", "BADC", "DCBA")
	u.cost.MaxRegisters = t.integer("max_registers", modbus.MaxReadRegisters, 1, modbus.MaxReadRegisters)
	u.cost.MaxBits = t.integer("max_bits", modbus.MaxReadBits, 1, modbus.MaxReadBits)
	r.unitPoints(t, u)
	return u
}

// unitPoints reads the points of a unit, inline and from its tag list.
func (r *reader) unitPoints(t *table, u *unit) {
	inline := t.subs("point")
	list := t.text("points", "")
	if u.addresses == "" {
		return // every address would be reported for the same cause
	}
	for _, pt := range inline {
		r.place(u, pt)
	}
	if list == "" {
		return
	}
	path := r.path(list)
	text, err := readFile(path)
	if err != nil {
		t.fail("points", "%v", err)
		return
	}
	r.hash.Write(text)
	var probs problems
	rows := readTagList(&probs, filepath.Base(path), text)
	if len(rows)+len(probs.errs) == 0 {
		t.fail("points", "there are no points in %s", list)
	}
	for _, row := range rows {
		r.place(u, row)
	}
	probs.finish()
	fold(rows, &probs, &r.probs)
}

// place reads a point and puts it under its unit.
func (r *reader) place(u *unit, t *table) {
	where := t.where("tag")
	p, group, ok := t.point(u)
	if ok {
		u.points = append(u.points, placed{p, where, group})
	}
}

// unique reports ids and tags that two points of the site share, and registers
// that two points of a unit tear at.
func (r *reader) unique(us []*unit) {
	ids := map[point.ID]*placed{}
	tags := map[string]*placed{}
	for _, u := range us {
		for i := range u.points {
			p := &u.points[i]
			if other, ok := ids[p.ID]; ok {
				r.probs.add("%s: tag %q: id: %d is the id of tag %q (%s) already", p.where, p.Tag, p.ID, other.Tag, other.where)
			}
			if other, ok := tags[p.Tag]; ok {
				r.probs.add("%s: tag %q: tag: there is one of this name at %s", p.where, p.Tag, other.where)
			}
			ids[p.ID], tags[p.Tag] = p, p
		}
		overlaps(&r.probs, u.points)
	}
}

// groups spreads the points over the groups, one for each line they lie on.
func (r *reader) groups(root *table, us []*unit) (gs []Group) {
	intervals := map[string]time.Duration{}
	r.intervals = map[string]string{}
	var names []string
	for _, t := range root.subs("group") {
		name := t.needText("name", "points say by it which group they are in")
		t.name = "group " + strconv.Quote(name)
		if _, ok := intervals[name]; ok {
			t.fail("name", "there is a group %q already", name)
		}
		if !t.has("interval") {
			t.fail("interval", "is missing: how often to scan, as 1s")
		}
		intervals[name] = t.duration("interval", time.Second, 50*time.Millisecond, 24*time.Hour)
		r.intervals[name] = t.where("interval")
		names = append(names, name)
	}
	index := map[string]int{}
	for _, u := range us {
		for _, p := range u.points {
			if p.group == "" && len(names) == 1 {
				p.group = names[0]
			}
			interval, ok := intervals[p.group]
			switch {
			case len(names) == 0:
				r.probs.add("%s: tag %q: group: there is none: write a [[group]] with a name and an interval", p.where, p.Tag)
				return nil // the same holds for every point
			case !ok:
				r.probs.add("%s: tag %q: group: there is no group %q: there are %q", p.where, p.Tag, p.group, names)
				continue
			}
			p.tooSeldom(&r.probs, p.group, interval)
			key := p.group + "\x00" + u.line
			i, ok := index[key]
			if !ok {
				i = len(gs)
				index[key] = i
				gs = append(gs, Group{Line: u.line, Group: scan.Group{Name: p.group, Interval: interval, Costs: map[modbus.UnitID]bus.Cost{}}})
			}
			gs[i].Costs[u.id] = u.cost
			gs[i].Points = append(gs[i].Points, p.Point)
		}
	}
	for i := range gs {
		if n := len(gs[i].Points); n > point.MaxColumns {
			r.probs.add("group %q on %q: %d points, %d are the most: split it", gs[i].Name, gs[i].Line, n, point.MaxColumns)
		}
	}
	return gs
}

// What a read costs before anything is learnt: a usual turnaround on a line; a
// usual round trip behind an endpoint, by which merging always pays. A block of
// longestRead at most lets an operator's write wait no longer than that, but on
// a slow line a few values may always be read together.
const (
	usualTurnaround = 5 * time.Millisecond
	usualRoundTrip  = 50 * time.Millisecond
	longestRead     = 160 * time.Millisecond
)

func (l *Line) cost() bus.Cost {
	if l.Serial == nil {
		return bus.Cost{Exchange: usualRoundTrip, Byte: time.Microsecond}
	}
	c := bus.NewCost(l.Bus.Timing, l.Bus.Timing.T35()+usualTurnaround)
	c.Longest = max(longestRead, 2*c.Exchange)
	return c
}

// String names a line as messages do.
func (l *Line) String() string {
	if l.Serial != nil {
		return fmt.Sprintf("line %q on %s", l.Name, l.Serial.Device)
	}
	return fmt.Sprintf("endpoint %q at %s", l.Name, l.Address)
}

package config

import (
	"cmp"
	"hash"
	"iter"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"skyhaul/edge/archive"
	"skyhaul/edge/point"
	"skyhaul/edge/profile"
	"skyhaul/edge/scan"
	"skyhaul/edge/textline"
	"skyhaul/modbus"
	"skyhaul/modbus/bus"
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

// unit is what points need to know of theirs.
type unit struct {
	name, line string
	id         modbus.UnitID
	notation   // of its own points
	cost       bus.Cost
	dialect    modbus.Dialect
	text       *textline.Instrument // nil for Modbus
	points     []placed
	archives   []*table // of its profile
	overheard  bool
	profile    string
	checks     map[string]profile.Check // by tag
	harvest    *archive.Spec
	where      string // in the file
}

// notation says how a list of points counts addresses and in which order the
// bytes of their values come.
type notation struct{ addresses, order string }

// placed is a point with its place in the files and its group.
type placed struct {
	scan.Point
	where, group string
}

func (r *reader) units(root *table, ls []Line, site Site) (us []*unit) {
	type place struct {
		line string
		id   modbus.UnitID
	}
	seen := map[place]string{}
	for _, t := range root.subs("unit") {
		u := r.unit(t, ls)
		r.harvest(t, u, site)
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
	u := &unit{name: t.needText("name", "for messages and people"), where: t.where("name")}
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
	if i >= 0 && ls[i].Text != nil {
		if u.text = t.instrument(); u.text == nil {
			return u
		}
		ls[i].Text.Instruments[u.id] = u.text
	}
	rows, theirs := t.profile(u)
	gap := t.duration("min_gap", 0, 0, 10*time.Second)
	if i >= 0 {
		ls[i].Bus.Gap[u.id] = gap
		u.cost = ls[i].cost()
	}
	if u.text != nil {
		u.addresses = "zero-based"
	} else if t.has("addresses") {
		u.addresses = t.choice("addresses", "modicon", "modicon", "zero-based", "one-based")
	}
	u.order = t.choice("order", "ABCD", "ABCD", "CDAB", "BADC", "DCBA")
	u.cost.MaxRegisters = t.integer("max_registers", modbus.MaxReadRegisters, 1, modbus.MaxReadRegisters)
	u.cost.MaxBits = t.integer("max_bits", modbus.MaxReadBits, 1, modbus.MaxReadBits)
	u.dialect = dialects[t.choice("dialect", "modbus", "modbus", "enron")]
	if i >= 0 && u.dialect != nil {
		ls[i].Bus.Dialects[u.id] = u.dialect
	}
	u.cost.Dialect = u.dialect
	u.cost.Avoid = t.ranges("avoid", u)
	u.cost.Exclusive = t.ranges("exclusive", u)
	if i >= 0 {
		ls[i].Bus.Avoid[u.id], ls[i].Bus.Exclusive[u.id] = u.cost.Avoid, u.cost.Exclusive
		u.overheard = ls[i].Listen > 0
	}
	for _, row := range rows {
		r.place(u, theirs, row)
	}
	r.ownPoints(t, u)
	return u
}

// dialects are the words of the file.
var dialects = map[string]modbus.Dialect{"modbus": nil, "enron": modbus.Enron()}

// ranges reads parts of the unit's tables, such as "40100-40199" or
// "input 100-199", in its own notation.
func (t *table) ranges(key string, u *unit) (rs []bus.Range) {
	if t.has(key) && u.addresses == "" {
		t.fail(key, `can't be counted: say "modicon", "zero-based" or "one-based" in addresses`)
		return nil
	}
	for _, s := range t.words(key) {
		name, span, named := strings.Cut(s, " ")
		if !named {
			name, span = "", s
		}
		first, last, _ := strings.Cut(span, "-")
		end := func(number string) (modbus.FunctionCode, int) {
			values := map[string]any{"address": number}
			if name != "" {
				values["table"] = name
			}
			var probs problems
			fn, addr := newTable(&probs, "", values, t.where).address(u.addresses)
			if len(probs.errs) > 0 {
				t.fail(key, "%q is no part of a table: write it as the unit's points count, as \"40100-40199\" or \"input 100-199\"", s)
			}
			return fn, int(addr)
		}
		fn, from := end(first)
		fnTo, to := end(cmp.Or(last, first))
		if fn != fnTo || to < from {
			t.fail(key, "%q ends before it begins", s)
			continue
		}
		rs = append(rs, bus.Range{Function: fn, Addr: uint16(from), Quantity: to - from + 1, ItemBytes: max(0, u.dialect.ItemBytes(fn, uint16(from)))})
	}
	return rs
}

// ownPoints reads the points that are the unit's own, inline and from its tag
// list.
func (r *reader) ownPoints(t *table, u *unit) {
	inline := t.subs("point")
	list := t.text("points", "")
	if u.text == nil && !t.has("addresses") && (len(inline) > 0 || list != "" || !t.has("profile") && !t.has("archive") && !t.has("log")) {
		t.fail("addresses", `is missing: say "modicon", "zero-based" or "one-based": how the tag list counts`)
		return // every address would be reported for the same cause
	}
	for _, pt := range inline {
		r.place(u, u.notation, pt)
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
		r.place(u, u.notation, row)
	}
	probs.finish()
	fold(rows, &probs, &r.probs)
}

// place reads a point in a notation and puts it under its unit.
func (r *reader) place(u *unit, n notation, t *table) {
	where := t.where("tag")
	if u.text != nil {
		t.field(u.text)
	}
	p, group, ok := t.point(u.id, n)
	p.ItemBytes = u.dialect.ItemBytes(p.Function, p.Addr)
	switch {
	case p.ItemBytes < 0:
		t.fail("address", "%d is an archive or a log of the unit, no value: write a [[unit.archive]]", p.Addr)
	case p.ItemBytes > 0 && p.ItemBytes != 2*p.Format.Registers():
		t.fail("type", "%q takes %d bytes, an item at %d has %d in the unit's dialect", p.Type, 2*p.Format.Registers(), p.Addr, p.ItemBytes)
	case ok:
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
	for _, u := range us {
		for id, name := range u.archiveIDs() {
			if other, ok := ids[id]; ok {
				r.probs.add("%s: unit %q: %s: id: %d is the id of tag %q (%s) already", u.where, u.name, name, id, other.Tag, other.where)
			}
			ids[id] = &placed{Point: scan.Point{Column: point.Column{Tag: name}}, where: u.where}
		}
	}
}

// archiveIDs gives the ids of what the unit keeps, and the names.
func (u *unit) archiveIDs() iter.Seq2[point.ID, string] {
	return func(yield func(point.ID, string) bool) {
		if u.harvest == nil {
			return
		}
		for _, a := range u.harvest.Archives {
			if !yield(a.ID, a.Name) {
				return
			}
		}
		if l := u.harvest.Log; l != nil {
			yield(l.ID, l.Name)
		}
	}
}

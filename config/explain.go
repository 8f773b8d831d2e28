package config

import (
	"bytes"
	"cmp"
	"encoding/csv"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"

	"skyhaul/edge/point"
	"skyhaul/edge/scan"
	"skyhaul/modbus"
	"skyhaul/modbus/bus"
	"skyhaul/modbus/serial"
)

// Explain prints what was understood of the list.
func (im *Import) Explain(w io.Writer) error {
	var b strings.Builder
	for _, s := range im.said {
		fmt.Fprintf(&b, "%-13s%s\n", s[0], s[1])
	}
	for _, s := range im.words {
		fmt.Fprintf(&b, "  %s\n", s)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// separatorNames say to people what stands between cells.
var separatorNames = map[rune]string{',': "comma", ';': "semicolon", '\t': "tab", '|': "bar"}

// describe says what was understood.
func (r *importer) describe(us []*unit) {
	say := func(label, format string, args ...any) {
		r.im.said = append(r.im.said, [2]string{label, fmt.Sprintf(format, args...)})
	}
	say("points", "%d", len(r.rows))
	say("text", "%s, cells separated by %s", r.encoding, cmp.Or(separatorNames[r.separator], fmt.Sprintf("%q", r.separator)))
	switch {
	case r.told != nil:
		say("numbers", "decimal %v, by %v", r.mark, r.told)
	case r.mark != 0:
		say("numbers", "none has a fraction")
	}
	columns, ignored := r.columns()
	say("headings", "in row %d", r.top)
	say("columns", "%s", strings.Join(columns, ", "))
	if len(ignored) > 0 {
		say("ignored", "%s", strings.Join(ignored, ", "))
	}
	if len(r.passed) > 0 {
		say("no points", "%s", strings.Join(r.passed, ", "))
	}
	if len(r.units) > 1 {
		say("units", "%s", counted(r.units, func(id modbus.UnitID) string { return fmt.Sprint(id) }, func(ts []*table) int { return len(ts) }))
	}
	if r.counting.addresses != "" {
		say("addresses", "%s: %s", r.counting.addresses, r.counting.why)
	}
	r.describePoints(us, say)
	switch r.numbered {
	case 0:
		say("ids", "as in the list")
	default:
		say("ids", "%d given", r.numbered)
	}
}

// columns says what the columns are, and which are none.
func (r *importer) columns() (known, ignored []string) {
	for i, h := range r.headings {
		switch key := r.keys[i]; {
		case h == "":
		case key == "":
			ignored = append(ignored, h)
		case canonicalHeading(h) == key:
			known = append(known, key)
		default:
			known = append(known, fmt.Sprintf("%s -> %s", h, key))
		}
	}
	return known, ignored
}

// describePoints counts tables, types and orders, and puts the first points into
// words.
func (r *importer) describePoints(us []*unit, say func(label, format string, args ...any)) {
	places, orders := map[string]int{}, map[string]int{}
	ordered := false
	var twice []string
	for _, u := range us {
		first := map[string]string{}
		for i := range u.points {
			p := &u.points[i]
			at := fmt.Sprint(p.Range(), p.Format.Mask)
			if first[at] != "" {
				twice = append(twice, fmt.Sprintf("%s and %s", first[at], p.Tag))
			}
			first[at] = p.Tag
			places[tableOf(p.Function)]++
			if p.Range().Quantity > 1 {
				orders[p.Format.Order.String()]++
			}
		}
	}
	for _, t := range r.rows {
		ordered = ordered || t.values["order"] != nil
	}
	if len(twice) > 0 {
		say("read twice", "%s", strings.Join(twice, ", "))
	}
	number := func(n int) int { return n }
	if len(places) > 0 {
		say("tables", "%s", counted(places, strings.Clone, number))
	}
	if len(r.types) > 0 {
		say("types", "%s", counted(r.types, func(t [2]string) string {
			if t[0] == t[1] {
				return t[0]
			}
			return t[0] + " -> " + t[1]
		}, number))
	} else {
		say("types", "none said: uint16, and bool where there is a bit")
	}
	if len(orders) > 0 {
		how := "none said, so it is the unit's, which is ABCD until you change it"
		if ordered {
			how = counted(orders, strings.Clone, number)
		}
		say("byte order", "%s", how)
	}
	const enough = 3
	for _, t := range r.rows[:min(enough, len(r.rows))] {
		for _, u := range us {
			for i := range u.points {
				if p := &u.points[i]; p.where == t.where("tag") {
					r.im.words = append(r.im.words, p.words(t))
				}
			}
		}
	}
}

// counted lists what there is with how often, the most frequent first.
func counted[K comparable, V any](m map[K]V, name func(K) string, count func(V) int) string {
	keys := slices.SortedFunc(maps.Keys(m), func(a, b K) int {
		return cmp.Or(cmp.Compare(count(m[b]), count(m[a])), cmp.Compare(name(a), name(b)))
	})
	var parts []string
	for _, k := range keys {
		parts = append(parts, fmt.Sprintf("%s (%d)", name(k), count(m[k])))
	}
	return strings.Join(parts, ", ")
}

// tableOf names the table that a function reads.
func tableOf(f modbus.FunctionCode) string {
	for _, t := range tables {
		if t.function == f {
			return t.name
		}
	}
	return ""
}

// words says what a point is, as "FT-101: float32 CDAB at holding 40101 (wire
// 100), m3/h, 0 to 250".
func (p *placed) words(t *table) string {
	what := fmt.Sprint(cmp.Or[any](t.values["type"], p.Type))
	if p.Range().Quantity > 1 {
		what += " " + p.Format.Order.String()
	}
	at := " at "
	if p.Type == point.Bool && !p.Function.Bits() {
		at = fmt.Sprintf(", bit %d of ", p.Format.Shift)
	}
	s := fmt.Sprintf("%s: %s%s%s %v (wire %d)", p.Tag, what, at, tableOf(p.Function), t.values["address"], p.Addr)
	if p.Column.Unit != "" {
		s += ", " + p.Column.Unit
	}
	if low, high := t.values["eng_low"], t.values["eng_high"]; low != nil && high != nil {
		s += fmt.Sprintf(", %v to %v", low, high)
	}
	if p.Scale.Factor != 1 {
		s += fmt.Sprintf(", scale %.6g", p.Scale.Factor)
	}
	return s
}

// write makes the lists and the configuration that reads them.
func (r *importer) write(us []*unit) {
	var units, groups strings.Builder
	for _, u := range us {
		l := ImportedList{File: "points.csv", Text: canonicalList(r.units[u.id])}
		if len(us) > 1 {
			l.File = fmt.Sprintf("points-%d.csv", u.id)
		}
		r.im.Lists = append(r.im.Lists, l)
		fmt.Fprintf(&units, "[[unit]]\nname = \"unit-%d\"\non = \"rs485\"\nid = %[1]d\naddresses = %q\norder = \"ABCD\"                  # bytes of 32-bit values: ABCD, CDAB, BADC or DCBA\npoints = %q\n\n",
			u.id, u.addresses, l.File)
	}
	names, every := scanGroups(us)
	for _, name := range names {
		fmt.Fprintf(&groups, "[[group]]\nname = %q\ninterval = %q\n\n", name, every)
	}
	before, rest, _ := strings.Cut(Starter, "[[unit]]")
	_, after, _ := strings.Cut(rest, "# The way")
	r.im.Config = before + units.String() + groups.String() + "# The way" + after
}

// usualGroup is the scan group of points whose list names none.
const usualGroup = "fast"

// scanGroups returns the groups that points name, and an interval in which a line
// at 9600 baud, as in the starter, reads all of them with time to spare.
func scanGroups(us []*unit) (names []string, every string) {
	groups := map[string]*Group{}
	port := serial.Config{Baud: 9600, DataBits: 8, StopBits: 1}
	line := Line{Serial: &port, Bus: bus.Options{Timing: modbus.LineTiming{Bit: port.Bit(), CharBits: port.CharBits()}}}
	for _, u := range us {
		for i := range u.points {
			p := &u.points[i]
			name := cmp.Or(p.group, usualGroup)
			if groups[name] == nil {
				groups[name] = &Group{Group: scan.Group{Costs: map[modbus.UnitID]bus.Cost{}}}
			}
			groups[name].Points = append(groups[name].Points, p.Point)
			groups[name].Costs[u.id] = line.cost()
		}
	}
	var pass time.Duration
	for _, g := range groups {
		pass += planGroup(g).Pass
	}
	every = "1h"
	for _, d := range []string{"1s", "2s", "5s", "10s", "30s", "1m", "5m"} {
		if long, _ := time.ParseDuration(d); pass < long*8/10 {
			every = d
			break
		}
	}
	return slices.Sorted(maps.Keys(groups)), every
}

// canonicalList writes rows as the program keeps a tag list: columns in the usual
// order, in UTF-8, with the mark by which Excel knows it where there are letters
// that need it.
func canonicalList(rows []*table) []byte {
	used := slices.DeleteFunc(slices.Clone(columns), func(c string) bool {
		return !slices.ContainsFunc(rows, func(t *table) bool { return t.values[c] != nil })
	})
	var buf bytes.Buffer
	w := csv.NewWriter(&buf)
	w.Write(used)
	for _, t := range rows {
		cells := make([]string, len(used))
		for i, c := range used {
			cells[i], _ = t.values[c].(string)
		}
		w.Write(cells)
	}
	w.Flush() // into memory: it can't fail
	if bytes.ContainsFunc(buf.Bytes(), func(r rune) bool { return r > unicode.MaxASCII }) {
		return append([]byte("\ufeff"), buf.Bytes()...)
	}
	return buf.Bytes()
}

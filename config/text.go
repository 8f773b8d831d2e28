package config

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"skyhaul/edge/textline"
	"skyhaul/modbus"
)

// text reads what a line of instruments that know no Modbus needs.
func (l *Line) text(t *table) {
	l.Text = &textline.Options{
		Framing:     textline.Framing{Start: []byte(t.text("text_start", "")), End: []byte(t.text("text_end", "\n"))},
		Instruments: map[modbus.UnitID]*textline.Instrument{},
		Timeout:     l.Bus.Timeout,
	}
	if t.text("text_end", "\n") == "" {
		t.fail("text_end", "is empty: what ends a line, as \\n")
	}
	// Behind a request that nobody answered the next one waits as long again.
	l.Bus.Framing, l.Bus.Timeout = modbus.TCP, 3*l.Bus.Timeout
}

// checksums are the words of the file.
var checksums = map[string]textline.Checksum{
	"none": textline.NoChecksum, "xor8": textline.XOR8, "sum8": textline.Sum8, "lrc8": textline.LRC8,
}

// instrument reads how the unit speaks that t is of; nil where that is wrong.
func (t *table) instrument() *textline.Instrument {
	it := t.sub("text", t.name+" text")
	if it == nil {
		t.fail("text", "is missing: the line has framing text; write [unit.text] with what its lines look like")
		return nil
	}
	in := &textline.Instrument{
		MaxAge:   it.duration("max_age", 2*time.Second, 100*time.Millisecond, time.Hour),
		Comma:    it.flag("decimal_comma", false),
		Checksum: checksums[it.choice("checksum", "none", "none", "xor8", "sum8", "lrc8")],
	}
	if request := it.text("request", ""); request != "" {
		in.Request = []byte(request)
	}
	for _, c := range it.words("columns") {
		if f, ok := column(c); ok {
			in.Fields = append(in.Fields, f)
		} else {
			it.fail("columns", "%q is no field of fixed columns: write it as \"flow 1-8\", the first column is 1", c)
		}
	}
	if match := it.text("match", ""); match != "" {
		var err error
		if in.Match, err = regexp.Compile(match); err != nil {
			it.fail("match", "%v", err)
			return nil
		}
		for _, name := range in.Match.SubexpNames() {
			if name != "" {
				in.Fields = append(in.Fields, textline.Field{Name: name})
			}
		}
	}
	switch n := len(in.Fields); {
	case n == 0:
		it.fail("match", "finds no field: name them in match, as FLOW=(?P<flow>\\S+), or in columns")
	case n > textline.MaxFields:
		it.fail("match", "finds %d fields, %d are the most", n, textline.MaxFields)
	}
	return in
}

// mixed reports a line on which some instruments are asked and others send on
// their own.
func (r *reader) mixed(root *table, ls []Line) {
	for _, l := range ls {
		if l.Text != nil && l.Text.Mixed() {
			r.probs.add("%s: line %q: some of its units have a request and others none: a late answer could not be told from what another sends on its own; give them lines of their own",
				root.where("line"), l.Name)
		}
	}
}

// column reads a field of fixed columns, such as "flow 1-8".
func column(s string) (f textline.Field, ok bool) {
	name, span, _ := strings.Cut(s, " ")
	from, to, _ := strings.Cut(span, "-")
	var errFrom, errTo error
	f.Name = name
	f.From, errFrom = strconv.Atoi(from)
	f.To, errTo = strconv.Atoi(to)
	return f, errFrom == nil && errTo == nil && name != "" && f.From >= 1 && f.To >= f.From
}

// field puts the registers in which the point's field lies in place of it.
func (t *table) field(in *textline.Instrument) {
	for _, key := range []string{"address", "table", "type", "order", "bit"} {
		if t.has(key) {
			t.fail(key, "is not for lines of text: the point has a field")
		}
	}
	name := t.needText("field", "of the unit's match or columns")
	i := slices.IndexFunc(in.Fields, func(f textline.Field) bool { return f.Name == name })
	if i < 0 && name != "" {
		var names []string
		for _, f := range in.Fields {
			names = append(names, f.Name)
		}
		t.fail("field", "the unit has no field %q: it has %s", name, strings.Join(names, ", "))
	}
	t.values["address"] = int64(textline.Address(max(0, i)))
	t.values["type"] = "float64"
}

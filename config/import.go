package config

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"skyhaul/edge/point"
	"skyhaul/modbus"
)

// ImportOptions say of a tag list what it may not say itself.
type ImportOptions struct {
	Addresses string        // modicon, zero-based or one-based; "" where the list tells
	Unit      modbus.UnitID // of points whose list has no column for it, 1 to 247
}

// Import is a tag list as engineers keep it, and what was understood of it.
type Import struct {
	Points int
	Lists  []ImportedList // one a unit, by its id
	Config string         // a first configuration that reads them

	said  [][2]string // what was understood: label and text
	words []string    // the first points
}

// ImportedList holds the points of one unit as the program keeps them.
type ImportedList struct {
	File string // name that the configuration has for it
	Text []byte
}

// ReadImport reads a tag list in any of the ways that people keep one. It tells
// all that is wrong with it in one error; the Import is there as far as the list
// was understood, nil where it was not at all.
func ReadImport(path string, o ImportOptions) (*Import, error) {
	text, err := readFile(path)
	if err != nil {
		return nil, err
	}
	return readImport(filepath.Base(path), text, o)
}

// importer is one reading of a tag list.
type importer struct {
	*sheet
	ImportOptions
	keys     []string // one a column, "" for none
	rows     []*table
	list     problems // with the rows
	probs    problems // with all of it
	passed   []string // rows that are no points, in words
	mark     mark
	told     *cell // the number that tells it
	counting counting
	types    map[[2]string]int // as people wrote them, and what they are here
	// forgotten are the rows of which it isn't known where they are or what.
	forgotten map[*table]bool
	numbered  int // points that were given an id
	units     map[modbus.UnitID][]*table
	im        Import
}

func readImport(name string, text []byte, o ImportOptions) (*Import, error) {
	s, err := readSheet(name, text, keyLike)
	if err != nil {
		return nil, err
	}
	r := &importer{sheet: s, ImportOptions: o, types: map[[2]string]int{}, forgotten: map[*table]bool{}, units: map[modbus.UnitID][]*table{}}
	r.headingKeys()
	r.points()
	if len(r.rows) == 0 {
		r.probs.add("%s: no points in it", name)
	}
	r.numbers()
	for _, t := range r.rows {
		r.unit(t)
		r.typ(t)
		r.table(t)
	}
	r.places()
	r.groups()
	r.ids()
	us, clashes := r.check()
	byRow(r.list.errs)
	fold(r.rows, &r.list, &r.probs)
	r.probs.errs = append(r.probs.errs, clashes...)
	r.im.Points = len(r.rows)
	r.describe(us)
	if err := errors.Join(r.probs.errs...); err != nil {
		return &r.im, err
	}
	r.write(us)
	return &r.im, nil
}

// headingKeys finds what the columns are.
func (r *importer) headingKeys() {
	r.keys = keysOfHeadings(r.headings)
	for i, key := range r.keys {
		switch first := slices.Index(r.keys[:i], key); {
		case key == "" && compact(r.headings[i]) == "signal" && r.all(i, isSignal):
			r.keys[i] = "signal"
		case key == "unit" && !slices.Contains(r.keys, keyUnitID) && r.all(i, isNumber):
			r.keys[i] = keyUnitID
		case key != "" && first >= 0:
			r.probs.add("%s:%d: columns %q and %q are both the %s: take one of them out, or give it another heading", r.name, r.top, r.headings[first], r.headings[i], key)
			r.keys[i] = ""
		}
	}
	if !slices.Contains(r.keys, "address") {
		r.probs.add("%s:%d: no column is known as the address: give it the heading address; there are %q", r.name, r.top, r.headings)
	}
}

// all reports whether all cells of a column are such, and there are any.
func (r *importer) all(column int, is func(string) bool) bool {
	n := 0
	for _, row := range r.sheet.rows {
		text := row.cell(column)
		if text != "" && !is(text) {
			return false
		}
		if text != "" {
			n++
		}
	}
	return n > 0
}

func isSignal(text string) bool {
	return slices.Contains([]string{"420ma", "4to20ma", "ne43"}, compact(text))
}

func isNumber(text string) bool { return plainDigit.MatchString(text) }

// blanks are what people write into cells that are empty.
var blanks = []string{"-", "--", "---", "–", "—", "n/a", "N/A", "n.a.", "na", "NA", "k.A.", "none"}

// points takes the rows that are points out of all, and says which are not:
// headings between them have one cell, totals stand after the last address.
func (r *importer) points() {
	column, typ := slices.Index(r.keys, "address"), slices.Index(r.keys, "type")
	hex := column >= 0 && hexadecimal(r.headings[column])
	last := -1
	for i, row := range r.sheet.rows {
		for k, c := range row.cells {
			if slices.Contains(blanks, c) {
				row.cells[k] = ""
			}
		}
		if _, ok := parseAddress(row.cell(column), hex); ok {
			last = i
		}
	}
	for i, row := range r.sheet.rows {
		filled := slices.DeleteFunc(slices.Clone(row.cells), func(c string) bool { return c == "" })
		switch {
		case len(filled) == 0 || row.comment() || slices.Equal(row.cells, r.headings):
		case len(filled) == 1 || last >= 0 && i > last && len(filled) <= 3 && row.cell(typ) == "":
			r.passed = append(r.passed, fmt.Sprintf("row %d %q", row.number, strings.Join(filled, " ")))
		default:
			r.rows = append(r.rows, r.row(&r.list, row, r.keys))
		}
	}
}

// cell returns the text in a column; "" where the row ends before it.
func (r *sheetRow) cell(column int) string {
	if column < 0 || column >= len(r.cells) {
		return ""
	}
	return r.cells[column]
}

// ranges split "0 to 250 bar".
var ranges = regexp.MustCompile(`(?i)^([+-]?[0-9][0-9.,' ]*?) ?(?:\.\.\.?|…|–|-|to|bis|til|a|à|/) ?([+-]?[0-9][0-9.,' ]*?) ?([^0-9]*)$`)

// numbers writes all numbers as the program does.
func (r *importer) numbers() {
	for _, t := range r.rows {
		if text, ok := t.values[keyRange].(string); ok {
			delete(t.values, keyRange)
			r.split(t, text)
		}
	}
	var err error
	if r.mark, r.told, err = decideMark(r.name, numberCells(r.rows), r.separator); err != nil {
		r.probs.errs = append(r.probs.errs, err)
	}
	setNumbers(r.rows, r.mark)
}

// split makes two cells of one with a range, and a third of the unit behind it.
func (r *importer) split(t *table, text string) {
	m := ranges.FindStringSubmatch(text)
	if m == nil {
		t.fail(keyRange, "%q is no range: write it as 0 to 250, or in two columns range low and range high", text)
		return
	}
	for i, key := range []string{"eng_low", "eng_high"} {
		c := t.cells[keyRange]
		c.text = m[1+i]
		t.values[key], t.cells[key] = m[1+i], c
	}
	if unit := strings.TrimSpace(m[3]); unit != "" && t.values["unit"] == nil {
		t.values["unit"] = unit
	}
}

// unit puts a row under its unit.
func (r *importer) unit(t *table) {
	id := r.Unit
	if _, ok := t.values[keyUnitID]; ok {
		if v, ok := t.number(keyUnitID, true, 1, 247); ok {
			id = modbus.UnitID(v)
		}
		delete(t.values, keyUnitID)
	} else if slices.Contains(r.keys, keyUnitID) {
		t.fail(keyUnitID, "is missing: 1 to 247")
	}
	r.units[id] = append(r.units[id], t)
}

// typ writes the type and the order of a row as the program does.
func (r *importer) typ(t *table) {
	said, _ := t.values["type"].(string)
	name, order := "", ""
	if said != "" {
		var err error
		if name, order, err = parseTypeName(said); err != nil {
			t.fail("type", "%v", err)
			r.forgotten[t] = true
		}
	}
	if text, ok := t.values["order"].(string); ok {
		own, err := parseOrderName(text)
		switch {
		case err != nil:
			t.fail("order", "%v", err)
		case order != "" && order != own:
			t.fail("order", "%q is %s, but the type %q says %s", text, own, said, order)
		}
		order = cmp.Or(own, order)
	}
	set := func(key, text string) {
		delete(t.values, key)
		if text != "" {
			t.values[key] = text
		}
	}
	set("type", name)
	set("order", fitOrder(order, cmp.Or(name, "uint16")))
	if said != "" && name != "" {
		r.types[[2]string{said, name}]++
	}
	if text, ok := t.values["signal"].(string); ok && isSignal(text) {
		t.values["signal"] = "4-20mA"
	}
}

// tableNames are what people call the tables; tableCodes those that the codes of
// functions read.
var (
	tableNames = map[string]string{
		"holding": "holding", "holdingregister": "holding", "holdingregisters": "holding", "hr": "holding", "4x": "holding", "4xxxx": "holding", "4xxxxx": "holding", "halteregister": "holding",
		"input": "input", "inputregister": "input", "inputregisters": "input", "ir": "input", "3x": "input", "3xxxx": "input", "3xxxxx": "input", "eingangsregister": "input",
		"discrete": "discrete", "discreteinput": "discrete", "discreteinputs": "discrete", "inputstatus": "discrete", "di": "discrete", "1x": "discrete", "1xxxx": "discrete", "1xxxxx": "discrete",
		"coil": "coil", "coils": "coil", "coilstatus": "coil", "co": "coil", "0x": "coil", "0xxxx": "coil", "0xxxxx": "coil",
	}
	tableCodes = map[string]string{"1": "coil", "01": "coil", "2": "discrete", "02": "discrete", "3": "holding", "03": "holding", "4": "input", "04": "input"}
)

// table writes the table of a row as the program does.
func (r *importer) table(t *table) {
	if text, ok := t.values["table"].(string); ok {
		if t.values["table"], ok = tableNames[compact(text)]; !ok {
			t.fail("table", "%q is not one of coil, discrete, input, holding", text)
			delete(t.values, "table")
		}
	}
	text, ok := t.values[keyFunction].(string)
	delete(t.values, keyFunction)
	if !ok {
		return
	}
	code := strings.TrimPrefix(compact(text), "fc")
	name, known := tableCodes[code]
	switch own, given := t.values["table"]; {
	case !known:
		t.fail(keyFunction, "%q reads no table: 1 coil, 2 discrete, 3 holding, 4 input", text)
	case given && own != name:
		t.fail(keyFunction, "%q reads table %s, but another column says %s", text, name, own)
	default:
		t.values["table"] = name
	}
}

// places reads the addresses of all rows and writes them as the program does.
func (r *importer) places() {
	var ls []located
	for _, t := range r.rows {
		c := t.cells["address"]
		if c.text == "" || t.values["address"] == nil {
			continue
		}
		a, ok := parseAddress(c.text, hexadecimal(c.heading))
		if !ok {
			t.fail("address", "%q is no address: write it as 40101, 4x0101, 0x64, %%MW100, HR100 or 100, with its bit as 40101.3", c.text)
			r.forgotten[t] = true
			continue
		}
		if text, ok := t.values["table"].(string); ok && a.table != "" && a.table != text {
			t.fail("address", "%q is in table %s, but another column says %s", c.text, a.table, text)
		} else if ok {
			a.table = text
		}
		ls = append(ls, located{address: a, cell: c, of: t, typed: t.cells["type"].text != "", isBool: t.values["type"] == "bool"})
	}
	unhex(ls)
	r.bits(ls)
	if len(ls) == 0 {
		return
	}
	var err error
	if r.counting, err = decideCounting(r.name, r.Addresses, ls); err != nil {
		r.probs.errs = append(r.probs.errs, err)
		for _, l := range ls {
			r.forgotten[l.of] = true
		}
		return
	}
	for i := range ls {
		r.counting.set(&ls[i])
		ls[i].size()
	}
}

// bits takes over the bits that stand behind addresses. A program that keeps
// numbers as fractions writes 40001.0: that is no bit, where none is wanted.
func (r *importer) bits(ls []located) {
	some := slices.ContainsFunc(ls, func(l located) bool { return l.bit > 0 || l.isBool })
	seen := map[string]*table{}
	for i := range ls {
		l := &ls[i]
		if l.bit == 0 && !l.isBool && (l.typed || !some) || l.bit < 0 {
			l.bit = -1
			continue
		}
		if own, ok := l.of.values["bit"]; ok && own != strconv.Itoa(l.bit) {
			l.of.fail("address", "%q ends in bit %d, but another column says %v", l.text, l.bit, own)
		}
		l.of.values["bit"] = strconv.Itoa(l.bit)
		if first := seen[l.text]; first != nil && l.bit == 1 {
			l.of.fail("address", "%q is bit 1 for %s in row %d too: a spreadsheet makes 40001.1 of 40001.10; where it was bit 10, write it with a stroke, as 40001/10", l.text, first.name, first.row)
		}
		seen[l.text] = l.of
	}
}

// size checks a type against the registers that its address says.
func (l *located) size() {
	typ, typed := l.of.values["type"].(string)
	registers := max(1, sizeOf(typ)/2)
	switch count := l.last - l.n + 1; {
	case l.double == "float32" && !typed:
		l.of.values["type"] = l.double
	case l.double != "" && !typed:
		l.of.fail("type", "is missing: %q is 32 bits, as int32, uint32 or float32", l.text)
	case l.last > 0 && !typed:
		l.of.fail("type", "is missing: %q are %d registers", l.text, count)
	case l.last > 0 && count != registers:
		l.of.fail("address", "%q are %d registers, and a %s takes %d", l.text, count, typ, registers)
	}
}

// groups puts points without a group into the usual one where others have one.
func (r *importer) groups() {
	if !slices.Contains(r.keys, "group") {
		return
	}
	for _, t := range r.rows {
		if t.values["group"] == nil {
			t.values["group"] = usualGroup
		}
	}
}

// ids gives an id to every point that has none.
func (r *importer) ids() {
	next := int64(1)
	for _, t := range r.rows {
		if v, ok := parseNumber(fmt.Sprint(t.values["id"])); ok && v < 1<<32 {
			next = max(next, int64(v)+1)
		}
	}
	for _, t := range r.rows {
		if t.values["id"] == nil {
			t.values["id"] = strconv.FormatInt(next, 10)
			next++
			r.numbered++
		}
	}
}

// check reads the points as the daemon does.
func (r *importer) check() (us []*unit, clashes []error) {
	var daemon reader
	for _, id := range slices.Sorted(maps.Keys(r.units)) {
		u := &unit{id: id, notation: notation{cmp.Or(r.counting.addresses, "zero-based"), "ABCD"}}
		for _, t := range r.units[id] {
			before := len(r.list.errs)
			p, group, _ := t.point(id, u.notation)
			if slices.Contains(r.keys, "type") && t.values["type"] == nil && p.Type != point.Bool {
				t.fail("type", "is missing")
			}
			wrong := slices.Clone(r.list.errs[before:])
			switch {
			case r.forgotten[t]: // it is told already
				r.list.errs = append(r.list.errs[:before], slices.DeleteFunc(wrong, isPlace)...)
			case !slices.ContainsFunc(wrong, isPlace):
				u.points = append(u.points, placed{p, t.where("tag"), group})
			}
		}
		us = append(us, u)
	}
	daemon.unique(us)
	return us, daemon.probs.errs
}

// isPlace reports whether an error is about where a point is.
func isPlace(err error) bool {
	return slices.Contains([]string{"address", "table", "type", "bit", "order", "eng_low"}, columnOf(err))
}

package config

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// problems collects what is wrong, so that all of it is told in one go.
type problems struct {
	errs   []error
	tables []*table // all that were opened
}

func (p *problems) add(format string, args ...any) {
	p.errs = append(p.errs, fmt.Errorf(format, args...))
}

// finish adds the keys that nothing asked for.
func (p *problems) finish() {
	for _, t := range p.tables {
		t.unknown()
	}
	p.tables = nil
}

// err returns all problems, those that finish adds among them.
func (p *problems) err() error {
	p.finish()
	return errors.Join(p.errs...)
}

// table reads one table of a TOML file or one row of a tag list. Every reading
// method marks its key as known, reports a value that is not what it should
// be, and then returns the default, so that one pass finds every mistake.
type table struct {
	probs  *problems
	name   string // in messages: `group "fast"`, "[site]"; "" for the whole file
	values map[string]any
	where  func(key string) string // "skyhaul.toml:14"
	known  map[string]bool
	cells  map[string]cell // what a row of a tag list holds, by key; nil in a TOML file
	row    int             // of a tag list; 0 in a TOML file
}

func newTable(probs *problems, name string, values map[string]any, where func(string) string) *table {
	t := &table{probs: probs, name: name, values: values, where: where, known: map[string]bool{}}
	probs.tables = append(probs.tables, t)
	return t
}

// problem is a value that is not what it should be.
type problem struct {
	where, label string // of what stands there, as its reader calls it
	key, kind    string // alike in problems that are one
	what         string
	row          int // of a tag list
}

func (p *problem) Error() string { return fmt.Sprintf("%s: %s: %s", p.where, p.label, p.what) }

// at says where a key stands: `skyhaul.toml:14: group "fast"`.
func (t *table) at(key string) string {
	if t.name == "" {
		return t.where(key)
	}
	return t.where(key) + ": " + t.name
}

// fail reports what is wrong with a key: what was found and what to do.
func (t *table) fail(key, format string, args ...any) {
	t.probs.errs = append(t.probs.errs, &problem{t.at(key), t.label(key), key, format, fmt.Sprintf(format, args...), t.row})
}

// label names a key as the file does.
func (t *table) label(key string) string {
	if c, ok := t.cells[key]; ok && canonicalHeading(c.heading) != key {
		return fmt.Sprintf("%s (%s)", c.heading, key)
	}
	return key
}

// found prints a value as it stands in the file.
func (t *table) found(key string) string {
	if c := t.cells[key]; c.text != "" {
		return strconv.Quote(c.text)
	}
	return show(t.values[key])
}

// has reports whether a key is given.
func (t *table) has(key string) bool {
	t.known[key] = true
	_, ok := t.values[key]
	return ok
}

func (t *table) text(key, def string) string {
	if !t.has(key) {
		return def
	}
	s, ok := t.values[key].(string)
	if !ok {
		t.fail(key, "%v is not a text: write it in quotes", t.values[key])
		return def
	}
	return s
}

// needText is text that must be there.
func (t *table) needText(key, what string) string {
	s := t.text(key, "")
	if found, given := t.values[key]; !given || found == "" {
		t.fail(key, "is missing: %s", what)
	}
	return s
}

// words is a list of texts.
func (t *table) words(key string) (list []string) {
	if !t.has(key) {
		return nil
	}
	values, ok := t.values[key].([]any)
	for _, v := range values {
		s, isText := v.(string)
		ok = ok && isText
		list = append(list, s)
	}
	if !ok {
		t.fail(key, "%v is not a list of texts: write it as [\"a\", \"b\"]", t.values[key])
		return nil
	}
	return list
}

// number returns a number within bounds; whole numbers only if whole is set.
func (t *table) number(key string, whole bool, lo, hi float64) (v float64, ok bool) {
	if !t.has(key) {
		return 0, false
	}
	switch x := t.values[key].(type) {
	case int64:
		v, ok = float64(x), true
	case float64:
		v, ok = x, true
	case string: // a cell
		v, ok = parseNumber(x)
	}
	if !ok || math.IsNaN(v) || (whole && v != math.Trunc(v)) {
		what := "a number"
		if whole {
			what = "a whole number"
		}
		t.fail(key, "%s is not %s", t.found(key), what)
		return 0, false
	}
	if v < lo || v > hi {
		t.fail(key, "%v is not between %v and %v", t.found(key), lo, hi)
		return 0, false
	}
	return v, true
}

// parseNumber reads a decimal number, or a hexadecimal one that begins with 0x.
// Zeros in front mean nothing: coil 00010 is the tenth.
func parseNumber(s string) (v float64, ok bool) {
	s = strings.TrimSpace(s)
	if digits, hex := strings.CutPrefix(strings.ToLower(s), "0x"); hex {
		n, err := strconv.ParseUint(digits, 16, 64)
		return float64(n), err == nil
	}
	v, err := strconv.ParseFloat(s, 64)
	return v, err == nil
}

func (t *table) integer(key string, def, lo, hi int) int {
	if v, ok := t.number(key, true, float64(lo), float64(hi)); ok {
		return int(v)
	}
	return def
}

// float returns nil where the key is not given.
func (t *table) float(key string) *float64 {
	if v, ok := t.number(key, false, -math.MaxFloat64, math.MaxFloat64); ok {
		return &v
	}
	return nil
}

func (t *table) flag(key string, def bool) bool {
	if !t.has(key) {
		return def
	}
	switch v := t.values[key].(type) {
	case bool:
		return v
	case string:
		switch strings.ToLower(v) {
		case "true", "yes", "1":
			return true
		case "false", "no", "0":
			return false
		}
	}
	t.fail(key, "%s is neither true nor false", t.found(key))
	return def
}

func (t *table) duration(key string, def, lo, hi time.Duration) time.Duration {
	s := t.text(key, "")
	if s == "" {
		return def
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		t.fail(key, "%q is not a duration: write it as 500ms, 1s, 15m or 720h", s)
		return def
	}
	if d < lo || d > hi {
		t.fail(key, "%q is not between %v and %v", s, lo, hi)
		return def
	}
	return d
}

// size is a number of bytes, such as "64KiB" or 65536.
func (t *table) size(key string, def, lo, hi int64) int64 {
	if !t.has(key) {
		return def
	}
	n, ok := t.values[key].(int64)
	if s, isText := t.values[key].(string); isText {
		n, ok = parseSize(s)
	}
	if !ok {
		t.fail(key, "%s is not a size: write it as 64KiB, 20MB or 2GiB", show(t.values[key]))
		return def
	}
	if n < lo || n > hi {
		t.fail(key, "%s is not between %d and %d bytes", show(t.values[key]), lo, hi)
		return def
	}
	return n
}

func parseSize(s string) (int64, bool) {
	units := []struct {
		name  string
		bytes float64
	}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"GB", 1e9}, {"MB", 1e6}, {"kB", 1e3}, {"B", 1}}
	for _, u := range units {
		if num, ok := strings.CutSuffix(s, u.name); ok {
			v, err := strconv.ParseFloat(strings.TrimSpace(num), 64)
			return int64(v * u.bytes), err == nil && v >= 0 && v*u.bytes < math.MaxInt64
		}
	}
	return 0, false
}

// choice is one of a few words.
func (t *table) choice(key, def string, words ...string) string {
	s := t.text(key, def)
	if !slices.Contains(words, s) {
		t.fail(key, "%q is not one of %s", s, strings.Join(words, ", "))
		return def
	}
	return s
}

// sub returns a table within this one; nil where it is not given.
func (t *table) sub(key, name string) *table {
	if !t.has(key) {
		return nil
	}
	v, ok := t.values[key].(map[string]any)
	if !ok {
		t.fail(key, "is not a table")
		return nil
	}
	return newTable(t.probs, name, v, func(k string) string { return t.where(key + "." + k) })
}

// subs returns the entries of an array of tables.
func (t *table) subs(key string) (ts []*table) {
	if !t.has(key) {
		return nil
	}
	list, ok := t.values[key].([]any)
	if !ok {
		t.fail(key, "is not an array of tables: write [[%s]]", key)
		return nil
	}
	for i, e := range list {
		v, ok := e.(map[string]any)
		if !ok {
			t.fail(key, "is not an array of tables: write [[%s]]", key)
			return nil
		}
		path := fmt.Sprintf("%s[%d]", key, i)
		ts = append(ts, newTable(t.probs, "[["+key+"]]", v, func(k string) string { return t.where(path + "." + k) }))
	}
	return ts
}

// unknown reports the keys that nothing asked for. A table that was passed over
// for a mistake around it has none.
func (t *table) unknown() {
	if len(t.known) == 0 {
		return
	}
	for _, key := range slices.Sorted(maps.Keys(t.values)) {
		if t.known[key] {
			continue
		}
		names := slices.Sorted(maps.Keys(t.known))
		if near := nearest(key, names); near != "" {
			t.probs.add("%s: unknown key %q: did you mean %q?", t.at(key), key, near)
		} else {
			t.probs.add("%s: unknown key %q: there are %s", t.at(key), key, strings.Join(names, ", "))
		}
	}
}

// nearest returns the name at most two edits away from s, if there is one. A
// short name is another word by then, not a slip.
func nearest(s string, names []string) (best string) {
	least := min(3, len(s))
	for _, n := range names {
		if d := distance(s, n); d < least {
			best, least = n, d
		}
	}
	return best
}

// distance is the Levenshtein distance.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// show prints a value as it stood in the file.
func show(v any) string {
	if s, ok := v.(string); ok {
		return strconv.Quote(s)
	}
	return fmt.Sprint(v)
}

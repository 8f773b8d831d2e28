package config

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// canonicalHeading returns a heading of a tag list as the program writes it.
func canonicalHeading(heading string) string {
	return strings.ReplaceAll(strings.ToLower(heading), " ", "_")
}

// readTagList reads a tag list as the program keeps it: the headings are the keys
// of a point, in any order, and a row is a point. Spreadsheets may have written
// it in any of their encodings, separators and ways to write numbers. Rows that
// begin with # are comments.
func readTagList(probs *problems, name string, text []byte) (rows []*table) {
	s, err := readSheet(name, text, func(heading string) string {
		if key := canonicalHeading(heading); slices.Contains(columns, key) {
			return key
		}
		return ""
	})
	if err != nil {
		probs.errs = append(probs.errs, err)
		return nil
	}
	keys := make([]string, len(s.headings))
	for i, h := range s.headings {
		keys[i] = canonicalHeading(h)
		switch {
		case h == "":
		case !slices.Contains(columns, keys[i]):
			probs.errs = append(probs.errs, s.unknown(h))
			keys[i] = ""
		case slices.Contains(keys[:i], keys[i]):
			probs.add("%s:%d: there are two columns %q", name, s.top, keys[i])
			return nil
		}
	}
	for _, r := range s.rows {
		if !r.comment() {
			rows = append(rows, s.row(probs, r, keys))
		}
	}
	m, _, err := decideMark(name, numberCells(rows), s.separator)
	if err != nil {
		probs.errs = append(probs.errs, err)
	}
	setNumbers(rows, m)
	return rows
}

// unknown reports a heading that is none of a tag list.
func (s *sheet) unknown(heading string) error {
	hint := fmt.Sprintf("there are %s", strings.Join(columns, ", "))
	if near := nearest(canonicalHeading(heading), columns); near != "" {
		hint = fmt.Sprintf("did you mean %q?", near)
	} else if key := keyLike(heading); slices.Contains(columns, key) {
		hint = fmt.Sprintf("here it is called %q; `skyhaul init --from LIST.csv` makes a list of yours one of these", key)
	}
	return fmt.Errorf("%s:%d: unknown column %q: %s", s.name, s.top, heading, hint)
}

// comment reports whether a row is a remark.
func (r *sheetRow) comment() bool {
	for _, c := range r.cells {
		if c != "" {
			return strings.HasPrefix(c, "#") && !strings.HasPrefix(c, "#N") // as Excel's #N/A
		}
	}
	return true
}

// row returns a row as a table of the cells that have a key.
func (s *sheet) row(probs *problems, r sheetRow, keys []string) *table {
	values, cells := map[string]any{}, map[string]cell{}
	for i, key := range keys {
		if key == "" {
			continue
		}
		c := cell{row: r.number, heading: s.headings[i]}
		if i < len(r.cells) {
			c.text = r.cells[i]
		}
		cells[key] = c
		if c.text != "" {
			values[key] = c.text
		}
	}
	where := fmt.Sprintf("%s:%d", s.name, r.number)
	tag, _ := values["tag"].(string)
	t := newTable(probs, "tag "+strconv.Quote(tag), values, func(string) string { return where })
	t.cells, t.row = cells, r.number
	return t
}

// given counts the rows that have something in a column; all of them where none
// has.
func given(rows []*table, key string) (n int) {
	for _, r := range rows {
		if r.values[key] != nil {
			n++
		}
	}
	return cmp.Or(n, len(rows))
}

// swapped looks for the cause of a column that is wrong in every row: its
// neighbour in a range, or another column, of words, that holds its numbers.
func swapped(rows []*table, bad string) string {
	if slices.Contains([]string{"lo", "hi", "hihi", "eng_high", "valid_high"}, bad) {
		return fmt.Sprintf("; it is so in every row: is column %s swapped with the one below it?", rows[0].label(bad))
	}
	for _, free := range []string{"description", "tag", "unit", "group", "type"} {
		numbers := 0
		for _, r := range rows {
			s, _ := r.values[free].(string)
			if _, ok := parseNumber(s); ok {
				numbers++
			}
		}
		if free != bad && numbers == len(rows) {
			return fmt.Sprintf("; column %s holds numbers only: are the two swapped?", rows[0].label(free))
		}
	}
	return ""
}

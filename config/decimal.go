package config

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// numberKeys are the keys of a tag list that hold numbers with a fraction.
var numberKeys = []string{
	"raw_low", "raw_high", "eng_low", "eng_high", "scale", "offset", "valid_low", "valid_high", "lolo", "lo", "hi", "hihi", "deadband",
}

// mark is the sign between the whole of a number and its fraction.
type mark byte

const (
	decimalPoint mark = '.'
	decimalComma mark = ','
)

func (m mark) String() string {
	if m == decimalComma {
		return "comma"
	}
	return "point"
}

// numbers match a number with either mark: a fraction, or thousands set apart by
// the other mark, by spaces, or by apostrophes as the Swiss do.
var numbers = map[mark]*regexp.Regexp{
	decimalPoint: regexp.MustCompile(`^[+-]?(?:[0-9]*(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?|[1-9][0-9]{0,2}(?:(?:,[0-9]{3})+|(?: [0-9]{3})+|(?:['’][0-9]{3})+)(?:\.[0-9]*)?)$`),
	decimalComma: regexp.MustCompile(`^[+-]?(?:[0-9]*(?:,[0-9]*)?(?:[eE][+-]?[0-9]+)?|[1-9][0-9]{0,2}(?:(?:\.[0-9]{3})+|(?: [0-9]{3})+|(?:['’][0-9]{3})+)(?:,[0-9]*)?)$`),
}

// reads reports whether a text is a number with this mark.
func (m mark) reads(text string) bool {
	return m != 0 && strings.ContainsAny(text, "0123456789") && numbers[m].MatchString(text)
}

// canonical returns a number with this mark as the program writes it; what is no
// number stays as it is.
func (m mark) canonical(text string) string {
	if !m.reads(text) {
		return text
	}
	return strings.Map(func(r rune) rune {
		switch {
		case r == rune(m):
			return '.'
		case strings.ContainsRune(",. '’", r):
			return -1
		}
		return r
	}, text)
}

// cell is what stands in a row under a heading.
type cell struct {
	row           int
	heading, text string
}

func (c *cell) String() string { return fmt.Sprintf("%q in row %d, %s", c.text, c.row, c.heading) }

// decideMark finds the mark of a list from all its numbers, and the number that
// tells, nil where none has a mark. A number that can be read both ways is a
// mistake where nothing else decides: it is 1,234 or 1234, and nobody would see
// it. The mark is 0 then.
func decideMark(name string, cells []cell, separator rune) (m mark, witness *cell, err error) {
	told := map[mark]*cell{}
	var open *cell
	for i := range cells {
		c := &cells[i]
		withComma, withPoint := decimalComma.reads(c.text), decimalPoint.reads(c.text)
		switch {
		case !strings.ContainsAny(c.text, ".,"):
		case withComma && withPoint:
			open = cmp.Or(open, c)
		case withComma:
			told[decimalComma] = cmp.Or(told[decimalComma], c)
		case withPoint:
			told[decimalPoint] = cmp.Or(told[decimalPoint], c)
		}
	}
	switch {
	case told[decimalComma] != nil && told[decimalPoint] != nil:
		return 0, nil, fmt.Errorf("%s: there are numbers with a decimal comma (%v) and with a decimal point (%v): write all of them one way",
			name, told[decimalComma], told[decimalPoint])
	case told[decimalComma] != nil:
		return decimalComma, told[decimalComma], nil
	case told[decimalPoint] != nil:
		return decimalPoint, told[decimalPoint], nil
	case open == nil:
		return decimalPoint, nil, nil
	case separator == ',' && strings.Contains(open.text, "."):
		return decimalPoint, open, nil // where the comma is decimal it doesn't separate cells
	}
	return 0, nil, fmt.Errorf("%s:%d: %s: %q is %s with a decimal %v and %s with a decimal %v, and no other number of the list decides: write it as %s or %s",
		name, open.row, open.heading, open.text, decimalComma.canonical(open.text), decimalComma, decimalPoint.canonical(open.text), decimalPoint,
		open.text+"0", strings.NewReplacer(",", "", ".", "").Replace(open.text))
}

// setNumbers writes the numbers of all rows as the program does. With a mark that
// is not known, which is told, each is what it looks like.
func setNumbers(rows []*table, m mark) {
	for _, t := range rows {
		for _, key := range numberKeys {
			text, ok := t.values[key].(string)
			switch {
			case !ok:
			case m == 0 && decimalPoint.reads(text):
				t.values[key] = decimalPoint.canonical(text)
			case m == 0:
				t.values[key] = decimalComma.canonical(text)
			default:
				t.values[key] = m.canonical(text)
			}
		}
	}
}

// numberCells returns the cells of all rows that should be numbers, by row.
func numberCells(rows []*table) (cells []cell) {
	for _, t := range rows {
		for _, key := range slices.Sorted(slices.Values(numberKeys)) {
			if c := t.cells[key]; c.text != "" {
				cells = append(cells, c)
			}
		}
	}
	return cells
}

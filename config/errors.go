package config

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
)

// fold shortens what is wrong with the rows of one tag list: what is wrong alike
// in many rows is one mistake, told once.
func fold(rows []*table, list *problems, into *problems) {
	count := map[string]int{}
	for _, e := range list.errs {
		count[kindOf(e)]++
	}
	told := map[string]bool{}
	for _, e := range list.errs {
		kind := kindOf(e)
		n := count[kind]
		switch {
		case kind == "" || n <= 3:
			into.errs = append(into.errs, e)
		case !told[kind]:
			told[kind] = true
			hint := ""
			if n >= given(rows, columnOf(e)) {
				hint = swapped(rows, columnOf(e))
			}
			into.errs = append(into.errs, fmt.Errorf("%w (and %d more rows like it%s)", e, n-1, hint))
		}
	}
}

// kindOf returns what errors that are alike have in common; "" for one that
// stands for itself.
func kindOf(err error) string {
	p, ok := errors.AsType[*problem](err)
	switch {
	case !ok:
		return ""
	case p.kind == "%v":
		return p.key + "\x00" + quoted.ReplaceAllString(p.what, "")
	}
	return p.key + "\x00" + p.kind
}

// quoted is a value in a message.
var quoted = regexp.MustCompile(`"[^"]*"`)

// byRow sorts errors by the row of a tag list that they speak of; those that
// speak of none come first.
func byRow(errs []error) {
	row := func(err error) int {
		if p, ok := errors.AsType[*problem](err); ok {
			return p.row
		}
		return 0
	}
	slices.SortStableFunc(errs, func(a, b error) int { return cmp.Compare(row(a), row(b)) })
}

// columnOf returns the column that an error speaks of; "" if it is none.
func columnOf(err error) string {
	if p, ok := errors.AsType[*problem](err); ok {
		return p.key
	}
	return ""
}

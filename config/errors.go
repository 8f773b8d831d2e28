package config

import (
	"errors"
	"fmt"
)

// fold shortens what is wrong with the rows of one tag list: a column that is
// wrong in many rows is one mistake, told once.
func fold(rows []*table, list *problems, into *problems) {
	count := map[string]int{}
	for _, e := range list.errs {
		count[columnOf(e)]++
	}
	told := map[string]bool{}
	for _, e := range list.errs {
		col := columnOf(e)
		n := count[col]
		switch {
		case col == "" || n <= 3:
			into.errs = append(into.errs, e)
		case !told[col]:
			told[col] = true
			hint := ""
			if n >= len(rows) {
				hint = swapped(rows, col)
			}
			into.errs = append(into.errs, fmt.Errorf("%w (and %d more rows like it%s)", e, n-1, hint))
		}
	}
}

// columnOf returns the column that an error speaks of; "" if it is none.
func columnOf(err error) string {
	if p, ok := errors.AsType[*problem](err); ok {
		return p.key
	}
	return ""
}

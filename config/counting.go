package config

import (
	"fmt"
	"slices"
	"strconv"
)

// located is an address of a list with what decides how it is meant.
type located struct {
	address
	cell
	of     *table // the row
	typed  bool   // the type is said
	isBool bool   // and it is bool
}

// counting is how a list counts addresses.
type counting struct {
	addresses string // as a unit says it: modicon, zero-based or one-based
	why       string
	halves    bool // %MD100 is %MW200, not %MW100
}

// witnesses are the first addresses of each kind in a list.
type witnesses struct {
	modicon, wire, letter *located
	plain                 *located // of less than five digits
	coil                  *located // that too, and of type bool: it may have lost its zeros
	odd                   *located // of five digits and more, and no modicon address
	five, six             *located // of the modicon ones, by their digits
}

func witnessesOf(ls []located) (w witnesses) {
	keep := func(to **located, l *located) {
		if *to == nil {
			*to = l
		}
	}
	for i := range ls {
		l := &ls[i]
		_, _, ok := l.modicon()
		switch {
		case l.form == hexForm || l.form == iecForm || l.form == doubleForm:
			keep(&w.wire, l)
		case l.form == letterForm:
			keep(&w.letter, l)
		case l.form == prefixForm || ok && l.digits >= 5:
			keep(&w.modicon, l)
			if l.digits == 5 {
				keep(&w.five, l)
			}
			if l.digits == 6 {
				keep(&w.six, l)
			}
		case ok && (l.isBool || l.table == "coil"):
			keep(&w.coil, l)
		case l.digits >= 5:
			keep(&w.odd, l)
		default:
			keep(&w.plain, l)
		}
	}
	return w
}

// decideCounting finds how a list counts from all its addresses. stated is what
// its reader was told, "" for nothing. What can be read two ways is a mistake
// that names both.
func decideCounting(name, stated string, ls []located) (c counting, err error) {
	w := witnessesOf(ls)
	c.addresses = stated
	if c.halves, err = doubles(name, ls); err != nil {
		return c, err
	}
	if stated != "" {
		c.why = "as you say"
		return c, nil
	}
	switch {
	case w.modicon != nil && (w.wire != nil || w.letter != nil || w.plain != nil):
		return c, mixed(name, w.modicon, firstOf(w.plain, w.letter, w.wire))
	case w.modicon != nil:
		c.addresses, c.why = "modicon", "the first digit is the table's, the first number 1"
		return c, lostZeros(name, ls, &w)
	case w.plain == nil && w.letter == nil && w.coil == nil && w.odd == nil:
		c.addresses, c.why = "zero-based", "as on the wire"
		return c, nil
	}
	return decideBase(name, ls, firstOf(w.plain, w.letter, w.coil, w.odd))
}

// firstOf returns the first that is there.
func firstOf(ls ...*located) *located {
	return ls[slices.IndexFunc(ls, func(l *located) bool { return l != nil })]
}

// mixed reports two addresses that are not written alike.
func mixed(name string, a, b *located) error {
	table, wire, _ := a.modicon()
	if a.form == prefixForm {
		table, wire = a.table, a.n-1
	}
	return fmt.Errorf("%s: the addresses are written in two ways: %v, is %s, if its first digit is the table's; %v, is %s: write all of them one way, or say --addresses",
		name, &a.cell, place(table, wire), &b.cell, b.readings())
}

// readings says to people what an address can be.
func (l *located) readings() string {
	table := l.table
	if table == "" {
		table = "holding"
	}
	if l.form == hexForm || l.form == iecForm || l.form == doubleForm || l.n == 0 {
		return place(table, l.n)
	}
	return fmt.Sprintf("%s if the list counts from zero and %s if it counts from one", place(table, l.n), place(table, l.n-1))
}

// lostZeros looks for five digits in a list of six: they are what they are, or
// six whose first zero a spreadsheet has dropped.
func lostZeros(name string, ls []located, w *witnesses) error {
	if w.five == nil || w.six == nil {
		return nil
	}
	for i := range ls {
		l := &ls[i]
		if table, wire, ok := l.modicon(); ok && l.digits == 5 && table != "coil" && (l.isBool || !l.typed) && l.of.values["bit"] == nil {
			return fmt.Errorf("%s: the addresses have six digits (%v) and five: %v, is %s by its five digits, and %s if it was 0%s before a spreadsheet took the zero: write all of them with six",
				name, &w.six.cell, &l.cell, place(table, wire), place("coil", l.n-1), l.text)
		}
	}
	return nil
}

// decideBase finds whether plain numbers count from zero or from one.
func decideBase(name string, ls []located, first *located) (c counting, err error) {
	var zero, last *located
	for i := range ls {
		switch ls[i].n {
		case 0:
			zero = &ls[i]
		case 65_536:
			last = &ls[i]
		}
	}
	said := base(first.heading)
	switch {
	case said != "" && zero == nil:
		return counting{addresses: said, why: "as the heading says"}, nil
	case zero != nil && last == nil && said != "one-based":
		return counting{addresses: "zero-based", why: fmt.Sprintf("there is a 0 (%v)", &zero.cell)}, nil
	case last != nil && zero == nil:
		return counting{addresses: "one-based", why: fmt.Sprintf("there is a 65536 (%v)", &last.cell)}, nil
	case zero != nil:
		return c, fmt.Errorf("%s: %v, can't be where 1 is the first: does the list count from zero?", name, &zero.cell)
	}
	return c, fmt.Errorf("%s: %v, is %s, and nothing in the list decides: say --addresses zero-based or --addresses one-based", name, &first.cell, first.readings())
}

// doubles finds what %MD100 is: the double word at %MW100, as in PLCs that lay
// both kinds over each other, or the hundredth, at %MW200, as IEC 61131-3 has it.
// %MF, of the same PLCs as the former, decides; so do addresses that would
// overlap.
func doubles(name string, ls []located) (halves bool, err error) {
	var first *located
	words, ds := map[int]bool{}, map[int]bool{}
	overlay := false
	for i := range ls {
		l := &ls[i]
		switch {
		case l.form == doubleForm:
			ds[l.n] = true
			if first == nil && l.n > 0 {
				first = l
			}
		case l.form == iecForm && l.double != "":
			overlay = true
		case l.form == iecForm && l.address.table == "holding":
			words[l.n] = true
		}
	}
	if first == nil || overlay {
		return false, nil
	}
	atWord, atHalf := true, true // what is still possible
	for n := range ds {
		if ds[n+1] || words[n] || words[n+1] {
			atWord = false
		}
		if words[2*n] || words[2*n+1] {
			atHalf = false
		}
	}
	if atWord != atHalf {
		return atHalf, nil
	}
	return false, fmt.Errorf("%s: %v, is %s if double words lie over the words of the same number, and %s if they are counted by themselves, and nothing in the list decides: write it as %%MW with a type of 32 bits",
		name, &first.cell, place("holding", first.n), place("holding", 2*first.n))
}

// set writes an address as the program does, in the notation of c.
func (c *counting) set(l *located) {
	values := l.of.values
	if l.address.table != "" && c.addresses != "modicon" {
		values["table"] = l.address.table
	}
	n := l.n
	switch {
	case c.addresses == "modicon" && l.form == prefixForm && n > 9999:
		values["address"] = fmt.Sprintf("%d%05d", digitOf(l.address.table), n)
		return
	case c.addresses == "modicon" && l.form == prefixForm:
		values["address"] = fmt.Sprintf("%d%04d", digitOf(l.address.table), n)
		return
	case c.addresses == "modicon" && l.form == plainForm:
		values["address"] = fmt.Sprintf("%0*d", l.digits, n)
		return
	case c.addresses == "modicon", c.addresses == "one-based" && (l.form == iecForm || l.form == doubleForm || l.form == hexForm):
		l.of.fail("address", "%q is %s, not an address in %s notation", l.text, formNames[l.form], c.addresses)
		return
	case l.form == prefixForm && c.addresses == "zero-based":
		n--
	case l.form == doubleForm && c.halves:
		n *= 2
	}
	values["address"] = strconv.Itoa(n)
}

// digitOf is the inverse of tableOfDigit.
func digitOf(table string) int {
	for _, t := range tables {
		if t.name == table {
			return t.digit
		}
	}
	return 0
}

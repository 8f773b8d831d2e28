package config

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// form is how an address is written.
type form int

const (
	plainForm  form = iota // 100, 40101: the list says how it counts
	prefixForm             // 4x0101: the first is 1; 0x0101 too where others are written so
	hexForm                // 0x64, 64h, 16#64: the number on the wire
	iecForm                // %MW100: the number on the wire
	doubleForm             // %MD100: that number, or half of it
	letterForm             // HR100: the list says how it counts
	formsInAll
)

// formNames say to people what the forms are.
var formNames = [formsInAll]string{"a plain number", "a number behind the table's digit", "hexadecimal", "a variable of a PLC", "a double word of a PLC", "a number behind the table's letters"}

// address is what one cell says, before it is known how the list counts.
type address struct {
	form
	table  string // "" where neither the form nor another cell says
	n      int    // as it is written, 0 to 999999
	digits int    // that it is written with
	bit    int    // -1 for none
	last   int    // of "40001-40002"; 0 for none
	double string // type that a %MD or %MF is by itself; "" for none
}

// The forms, behind which a bit may stand: 40001.3, 40001/3, 40001 bit 3, %MW100:X3.
var (
	bitBehind  = regexp.MustCompile(`(?i)^(.*[0-9a-fh])(?:[.,/:]x?| bit ?)([0-9]{1,2})$`)
	spanning   = regexp.MustCompile(`^([0-9]+) ?(?:-|–|\.\.\.?|to|bis) ?([0-9]+)$`)
	thousands  = regexp.MustCompile(`^[1-9][0-9]{0,2}(?:[., '’][0-9]{3})+$`)
	plainDigit = regexp.MustCompile(`^[0-9]{1,6}$`)
	prefixed   = regexp.MustCompile(`(?i)^([134])x0*([0-9]{1,5})$`)
	hexed      = regexp.MustCompile(`(?i)^(?:0x|16#|\$|&h)([0-9a-f]{1,4})$|^([0-9][0-9a-f]{0,4})h$`)
	iec        = regexp.MustCompile(`(?i)^%(m|i|q|mw|iw|qw|md|mf|mx|ix|qx)([0-9]{1,5})$`)
	lettered   = regexp.MustCompile(`(?i)^(hr|ir|di|co|c|coil|holding|input|discrete|hreg|ireg)[ :_-]?([0-9]{1,6})$`)
)

// iecTables are the tables in which PLCs keep their variables for Modbus, and
// tableLetters those of HR100.
var (
	iecTables    = map[string]string{"m": "coil", "q": "coil", "i": "discrete", "mw": "holding", "qw": "holding", "iw": "input", "md": "holding", "mf": "holding"}
	tableLetters = map[string]string{
		"hr": "holding", "hreg": "holding", "holding": "holding", "ir": "input", "ireg": "input", "input": "input",
		"di": "discrete", "discrete": "discrete", "co": "coil", "c": "coil", "coil": "coil",
	}
)

// parseAddress reads a cell. hex says that its numbers are hexadecimal without
// saying so.
func parseAddress(text string, hex bool) (a address, ok bool) {
	if m := spanning.FindStringSubmatch(strings.ToLower(text)); m != nil && !hex {
		if a, ok = parseAddress(m[1], false); ok {
			a.last, _ = strconv.Atoi(m[2])
		}
		return a, ok && a.last >= a.n
	}
	if thousands.MatchString(text) && !hex {
		text = strings.NewReplacer(".", "", ",", "", " ", "", "'", "", "’", "").Replace(text)
	}
	a.bit = -1
	if m := bitBehind.FindStringSubmatch(text); m != nil {
		text = m[1]
		a.bit, _ = strconv.Atoi(m[2])
	}
	a.digits = len(text)
	if hex && len(text) <= 4 {
		n, err := strconv.ParseUint(text, 16, 16)
		a.form, a.n = hexForm, int(n)
		return a, err == nil
	}
	switch {
	case plainDigit.MatchString(text):
		a.n, _ = strconv.Atoi(text)
	case prefixed.MatchString(text):
		m := prefixed.FindStringSubmatch(text)
		a.form, a.table = prefixForm, tableOfDigit(int(m[1][0]-'0'))
		a.n, _ = strconv.Atoi(m[2])
	case hexed.MatchString(text):
		m := hexed.FindStringSubmatch(text)
		n, err := strconv.ParseUint(m[1]+m[2], 16, 16)
		a.form, a.n = hexForm, int(n)
		return a, err == nil
	case iec.MatchString(text):
		m := iec.FindStringSubmatch(strings.ToLower(text))
		a.form, a.table = iecForm, iecTables[m[1]]
		a.n, _ = strconv.Atoi(m[2])
		switch m[1] {
		case "mx", "ix", "qx":
			return a, false // of bytes, which Modbus does not number
		case "mf":
			a.double = "float32"
		case "md":
			a.form, a.double = doubleForm, "int32"
		}
	case lettered.MatchString(text):
		m := lettered.FindStringSubmatch(strings.ToLower(text))
		a.form, a.table = letterForm, tableLetters[m[1]]
		a.n, _ = strconv.Atoi(m[2])
	default:
		return a, false
	}
	return a, true
}

// tableOfDigit returns the table that a digit stands for; "" for none.
func tableOfDigit(digit int) string {
	for _, t := range tables {
		if t.digit == digit {
			return t.name
		}
	}
	return ""
}

// coils are the numbers behind 0x where it is the digit of a table.
var coils = regexp.MustCompile(`^0[xX]([0-9]{1,5})$`)

// unhex reads 0x0101 as a coil where the list has others such as 4x0101.
func unhex(ls []located) {
	if !slices.ContainsFunc(ls, func(l located) bool { return l.form == prefixForm }) {
		return
	}
	for i := range ls {
		l := &ls[i]
		if m := coils.FindStringSubmatch(l.text); m != nil && l.form == hexForm {
			l.form, l.address.table = prefixForm, "coil"
			l.n, _ = strconv.Atoi(m[1])
		}
	}
}

// modicon splits a plain number as Modicon wrote them; ok is false for one that
// can't be.
func (a *address) modicon() (table string, wire int, ok bool) {
	step := 10_000
	if a.digits == 6 {
		step = 100_000
	}
	table, wire = tableOfDigit(a.n/step), a.n%step-1
	return table, wire, a.form == plainForm && table != "" && wire >= 0 && wire <= 65_535
}

// place says to people where an address is.
func place(table string, wire int) string { return fmt.Sprintf("%s, wire %d", table, wire) }

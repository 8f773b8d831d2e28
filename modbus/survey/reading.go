package survey

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
)

// Mark says how much a reading looks like what was meant.
type Mark uint8

// The marks.
const (
	Unlikely Mark = iota
	Possible
	Likely
)

// String returns the mark in a word.
func (m Mark) String() string { return [...]string{"unlikely", "possible", "likely"}[m] }

// Reading is what some registers may mean.
type Reading struct {
	Offset    int // of the first register among those read
	Registers int
	Encoding  Encoding
	Value     string // of the last read
	Mark      Mark
	Reason    string // for the mark
}

// Readings returns all that registers may mean, given one or more reads of the
// same registers, by offset and the likeliest first. Reads a moment apart tell
// more than one: a value moves smoothly, wrong bytes jump.
func Readings(reads ...[]uint16) (rs []Reading) {
	if len(reads) == 0 {
		return nil
	}
	n := len(reads[0])
	for _, width := range []int{1, 2, 4} {
		for _, e := range encodings(width) {
			for at := 0; at+width <= n; at++ {
				rs = append(rs, reading(e, at, part(reads, at, width)))
			}
		}
	}
	for _, e := range encodings(0) {
		rs = append(rs, reading(e, 0, reads))
	}
	claim(rs)
	slices.SortStableFunc(rs, func(a, b Reading) int {
		return cmp.Or(cmp.Compare(a.Offset, b.Offset), cmp.Compare(b.Mark, a.Mark))
	})
	return rs
}

// claim lets likely readings take their registers from weaker ones, and leaves
// one reading of each value.
func claim(rs []Reading) {
	for i := range rs {
		r := &rs[i]
		if r.Mark == Unlikely {
			continue
		}
		for _, other := range rs {
			switch {
			case other.strength() > r.strength() && r.overlaps(other):
				r.Mark, r.Reason = Unlikely, "its registers look like "+other.Encoding.String()
			case r.repeats(other):
				r.Mark, r.Reason = Unlikely, "the same as "+other.Encoding.Type()
			}
		}
	}
}

// strength says whose claim on registers prevails: the more bits have to be as
// they are by chance, the stronger.
func (r Reading) strength() int {
	switch {
	case r.Mark != Likely:
		return 0
	case r.Encoding.kind.name == text, r.Encoding.kind.name == "float64":
		return 3
	case r.Encoding.kind.name == "float32":
		return 2
	}
	return 1
}

func (r Reading) overlaps(o Reading) bool {
	return r.Offset < o.Offset+o.Registers && o.Offset < r.Offset+r.Registers
}

// repeats reports whether r, signed or decimal, only says what o says unsigned.
func (r Reading) repeats(o Reading) bool {
	return r.Encoding.kind.name != o.Encoding.kind.name && o.Encoding.kind.name[0] == 'u' && o.Mark != Unlikely &&
		r.Offset == o.Offset && r.Registers == o.Registers && r.Encoding.order == o.Encoding.order && r.Value == o.Value
}

// part returns the registers of each read that one reading takes.
func part(reads [][]uint16, at, width int) [][]uint16 {
	parts := make([][]uint16, len(reads))
	for i, regs := range reads {
		parts[i] = regs[at : at+width]
	}
	return parts
}

func reading(e Encoding, at int, reads [][]uint16) Reading {
	r := Reading{Offset: at, Registers: len(reads[0]), Encoding: e}
	values := make([]float64, len(reads))
	for i, regs := range reads {
		var err error
		if r.Value, values[i], err = e.Value(regs); err != nil {
			r.Value, r.Reason = "-", "a digit is over 9"
			return r
		}
	}
	switch {
	case e.kind.name == text:
		r.Mark, r.Reason = judgeText(bytesOf(reads[len(reads)-1]))
	case isFloat(e):
		r.Mark, r.Reason = judgeFloat(values, 8*e.kind.typ.Size())
	case e.kind.bcd:
		r.Mark, r.Reason = judgeBCD(r.Value, e)
	default:
		r.Mark, r.Reason = judgeInteger(values, e)
	}
	return r
}

func isFloat(e Encoding) bool { return e.kind.name == "float32" || e.kind.name == "float64" }

// The ranges of what is measured in plants.
const (
	leastFloat, mostFloat = 1e-6, 1e9 // in any unit
	usualLow, usualHigh   = 1e-2, 1e6 // in a unit that people chose
	neatDigits            = 5         // of a setting or a rounded value
	smallInteger          = 10_000
	smallLong             = 10_000_000
	mostCounted           = 1000 // by a counter between two reads
	rareDigits            = 6    // decimal digits in a row that chance does not bring
)

// smallestNormal32 and 64 are the least floats that are not denormal. IEEE 754.
var smallestNormal = map[int]float64{32: 0x1p-126, 64: 0x1p-1022}

func judgeFloat(values []float64, bits int) (Mark, string) {
	v := values[len(values)-1]
	size := math.Abs(v)
	switch {
	case math.IsNaN(v):
		return Unlikely, "not a number"
	case math.IsInf(v, 0):
		return Unlikely, "infinite"
	case v == 0 && moved(values) == 0:
		return Unlikely, "zero"
	case size < smallestNormal[bits]:
		return Unlikely, "denormal: the exponent is empty"
	case size < leastFloat:
		return Unlikely, "smaller than anything measured"
	case size > mostFloat:
		return Unlikely, "larger than anything measured"
	}
	switch change := moved(values); {
	case change > 0.5:
		return Unlikely, fmt.Sprintf("jumps between reads, from %s to %s", short(values[0]), short(v))
	case change > 0 && size >= usualLow && size <= usualHigh:
		return Likely, fmt.Sprintf("moves smoothly, from %s to %s", short(values[0]), short(v))
	case change == 0 && significant(v, bits) <= neatDigits:
		return Likely, "a round number"
	case v >= usualLow && v <= usualHigh && bits == 32:
		return Likely, "in a usual range"
	}
	return Possible, "in range, but not round"
}

// short writes a float for a sentence.
func short(v float64) string { return fmt.Sprintf("%.5g", v) }

// moved returns the greatest step between two reads, as a share of the value.
func moved(values []float64) (most float64) {
	for i := 1; i < len(values); i++ {
		a, b := values[i-1], values[i]
		if math.IsNaN(a) || math.IsNaN(b) || a != b && (a == 0 || b == 0) && math.Abs(a-b) > 1 {
			return math.Inf(1)
		}
		if a != b {
			most = max(most, math.Abs(a-b)/max(math.Abs(a), math.Abs(b)))
		}
	}
	return most
}

// nothing are the patterns that stand for a missing value in many instruments.
var nothing = map[string][]float64{
	"uint16": {0xFFFF, 0x8000, 0x7FFF},
	"int16":  {-1 << 15, 0x7FFF},
	"uint32": {0xFFFFFFFF, 0x80000000, 0x7FFFFFFF},
	"int32":  {-1 << 31, 0x7FFFFFFF},
}

func judgeInteger(values []float64, e Encoding) (Mark, string) {
	v := values[len(values)-1]
	small := float64(smallInteger)
	if e.kind.registers > 1 {
		small = smallLong
	}
	usual := e.order.String()[0] == 'A'
	switch {
	case v == 0 && moved(values) == 0:
		return zero(e)
	case slices.Contains(nothing[e.kind.name], v):
		return Unlikely, "often stands for no value"
	case e.kind.registers > 1 && counts(values):
		return Likely, fmt.Sprintf("counts up, by %.0f", v-values[0])
	case moved(values) > 0.5 && math.Abs(v) > small:
		return Unlikely, fmt.Sprintf("jumps between reads, from %.0f to %.0f", values[0], v)
	case math.Abs(v) <= small && (usual || e.kind.registers == 2 && e.order.String() == "CDAB"):
		return Possible, "small"
	case math.Abs(v) <= small/1000:
		return Possible, "small with its bytes swapped"
	}
	return Unlikely, "large"
}

// zero is the same in every order and in all of its registers.
func zero(e Encoding) (Mark, string) {
	if e.kind.registers > 1 || e.swapped() {
		return Unlikely, "zero"
	}
	return Possible, "zero says nothing"
}

// counts reports whether values never fall and rise by little.
func counts(values []float64) bool {
	first, last := values[0], values[len(values)-1]
	return slices.IsSorted(values) && last > first && first >= 0 && last-first <= mostCounted
}

func judgeBCD(value string, e Encoding) (Mark, string) {
	switch digits := strings.TrimRight(value, "0"); {
	case value == "0":
		return zero(e)
	case e.order.String()[0] != 'A':
		return Unlikely, "valid digits, but in an unusual order"
	case len(digits) >= rareDigits:
		return Likely, fmt.Sprintf("all %d digits are valid", len(value))
	}
	return Possible, "valid digits"
}

func judgeText(b []byte) (Mark, string) {
	end := len(b)
	for end > 0 && (b[end-1] == 0 || b[end-1] == ' ') {
		end--
	}
	letters := 0
	for _, c := range b[:end] {
		switch {
		case c == 0:
		case c < ' ' || c > '~':
			return Unlikely, "not printable"
		case c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c >= '0' && c <= '9':
			letters++
		}
	}
	switch {
	case letters < 4 || 2*letters < end:
		return Unlikely, "few letters"
	case letters >= 6:
		return Likely, "printable"
	}
	return Possible, "printable"
}

package batch

import (
	"math"
	"math/bits"

	"skyhaul/edge/point"
)

// The forms in which the values of a column become integers. The values are
// part of the format, in the mode byte.
const (
	formInteger = iota << 6 // integers as they are, floats as the integers that sort like them
	formDecimal             // m: the float is m / 10^exponent
	formBinary              // m: the float is m * 2^-exponent
	formMask
)

// form is a column as integers. Values that the form can't give back bit for
// bit are patched: in xs they repeat the value before.
type form struct {
	kind     byte
	exponent int8
	xs       []uint64 // two's complement
	patches  []patch
}

type patch struct {
	at  int
	raw uint64
}

// maxMantissa bounds the integers of decimal and binary forms: up to there a
// float64 holds them all.
const maxMantissa = 1 << 53

var powersOf10 = func() (p [23]float64) { // the greatest that a float64 holds exactly
	p[0] = 1
	for i := 1; i < len(p); i++ {
		p[i] = p[i-1] * 10
	}
	return p
}()

// raws is the inverse of integers and of fill: it turns the integers in xs into
// raw bits. Above the width of t they may hold anything.
func raws(xs []uint64, t point.Type, kind byte, exponent int8) {
	switch {
	case kind == formInteger && t == point.Float32:
		for i, x := range xs {
			s := int32(x)
			xs[i] = uint64(s ^ int32(uint32(s>>31)>>1))
		}
	case kind == formInteger && t == point.Float64:
		for i, x := range xs {
			s := int64(x)
			xs[i] = uint64(s ^ int64(uint64(s>>63)>>1))
		}
	case kind == formDecimal:
		divided(xs, t, powersOf10[exponent])
	case kind == formBinary:
		multiplied(xs, t, math.Ldexp(1, -int(exponent)))
	}
}

func divided(xs []uint64, t point.Type, by float64) {
	if t == point.Float32 {
		for i, x := range xs {
			xs[i] = uint64(math.Float32bits(float32(float64(int64(x)) / by)))
		}
		return
	}
	for i, x := range xs {
		xs[i] = math.Float64bits(float64(int64(x)) / by)
	}
}

func multiplied(xs []uint64, t point.Type, by float64) {
	if t == point.Float32 {
		for i, x := range xs {
			xs[i] = uint64(math.Float32bits(float32(float64(int64(x)) * by)))
		}
		return
	}
	for i, x := range xs {
		xs[i] = math.Float64bits(float64(int64(x)) * by)
	}
}

// former makes the forms of columns, reusing its memory.
type former struct {
	forms  [4]form
	values []float64
}

// of returns the forms worth trying for the raw values of a column.
func (m *former) of(t point.Type, raws []uint64) []form {
	n := 0
	if t == point.Float32 || t == point.Float64 {
		m.convert(t, raws)
		if n = m.floats(t, raws); n > 0 && m.forms[0].beats(t) {
			return m.forms[:n]
		}
	}
	f := &m.forms[n]
	f.kind, f.exponent, f.xs, f.patches = formInteger, 0, resize(f.xs, len(raws)), f.patches[:0]
	integers(f.xs, raws, t)
	return m.forms[:n+1]
}

// floats makes the decimal and binary forms and returns how many there are.
func (m *former) floats(t point.Type, raws []uint64) (n int) {
	least, most := decimalRange(t, raws, m.values)
	if least >= 0 && m.forms[n].fill(t, raws, m.values, formDecimal, int8(least)) {
		n++
	}
	if most > least && m.forms[n].fill(t, raws, m.values, formDecimal, int8(most)) {
		n++
	}
	k := binaryExponent(m.values)
	// Integers with that many bits behind the point are as long as the decimal ones.
	longer := n > 0 && 3*max(k, 0) >= 10*least
	if !longer && k >= math.MinInt8 && k <= math.MaxInt8 && m.forms[n].fill(t, raws, m.values, formBinary, int8(k)) {
		n++
	}
	return n
}

func (m *former) convert(t point.Type, raws []uint64) {
	m.values = resize(m.values, len(raws))
	if t == point.Float32 {
		for i, r := range raws {
			m.values[i] = float64(math.Float32frombits(uint32(r)))
		}
		return
	}
	for i, r := range raws {
		m.values[i] = math.Float64frombits(r)
	}
}

// beats reports whether a decimal form is shorter than the integers as they are,
// whatever the values do: an integer more is more than what a float of its
// magnitude can tell.
func (f *form) beats(t point.Type) bool {
	limit := int64(maxMantissa)
	if t == point.Float32 {
		limit = 1 << 23
	}
	for _, x := range f.xs {
		if m := int64(x); m >= limit || m <= -limit {
			return false
		}
	}
	return f.kind == formDecimal && len(f.patches) == 0
}

// integers sets xs to raws as integers in whose order and differences the
// values are near each other. It loses nothing.
func integers(xs, raws []uint64, t point.Type) {
	switch t {
	case point.Int16:
		for i, r := range raws {
			xs[i] = uint64(int16(r))
		}
	case point.Int32:
		for i, r := range raws {
			xs[i] = uint64(int32(r))
		}
	case point.Float32:
		for i, r := range raws {
			s := int32(r)
			xs[i] = uint64(s ^ int32(uint32(s>>31)>>1))
		}
	case point.Float64:
		for i, r := range raws {
			s := int64(r)
			xs[i] = uint64(s ^ int64(uint64(s>>63)>>1))
		}
	default:
		copy(xs, raws)
	}
}

// fill makes f the given form of raws; false if more than an eighth would need patches.
func (f *form) fill(t point.Type, raws []uint64, values []float64, kind byte, exponent int8) bool {
	f.kind, f.exponent, f.xs, f.patches = kind, exponent, resize(f.xs, len(raws)), f.patches[:0]
	c := newConverter(t, kind, exponent)
	var last uint64
	for i, v := range values {
		if m, ok := c.mantissa(v, raws[i]); ok {
			last = uint64(m)
		} else {
			f.patches = append(f.patches, patch{i, raws[i]})
			if len(f.patches) > len(raws)/8 {
				return false
			}
		}
		f.xs[i] = last
	}
	return true
}

// converter finds the integers of one form.
type converter struct {
	single  bool
	up      float64 // a value times this is about its integer
	divided bool    // the integer divided by it, else multiplied, is the value
	down    float64
}

func newConverter(t point.Type, kind byte, exponent int8) converter {
	if kind == formDecimal {
		p := powersOf10[exponent]
		return converter{single: t == point.Float32, up: p, divided: true, down: p}
	}
	return converter{t == point.Float32, math.Ldexp(1, int(exponent)), false, math.Ldexp(1, -int(exponent))}
}

// mantissa returns the integer of a value; ok is false if it doesn't give the raw bits back.
func (c *converter) mantissa(v float64, raw uint64) (m int64, ok bool) {
	f := math.RoundToEven(v * c.up)
	if !(math.Abs(f) < maxMantissa) {
		return 0, false
	}
	m = int64(f)
	back := float64(m)
	if c.divided {
		back /= c.down
	} else {
		back *= c.down
	}
	if c.single {
		return m, uint64(math.Float32bits(float32(back))) == raw
	}
	return m, math.Float64bits(back) == raw
}

// decimalRange returns how many decimals all but a sixteenth of the values have,
// and how many all those have that have any number of them; -1 for none.
func decimalRange(t point.Type, raws []uint64, values []float64) (least, most int) {
	var count [len(powersOf10)]int
	none, hint := 0, 0
	for i, v := range values {
		k := decimals(t, raws[i], v, hint)
		if k < 0 {
			none++
			if none > len(raws)/8 {
				return -1, -1
			}
			continue
		}
		count[k]++
		hint = k
	}
	least, most = -1, -1
	rest := len(raws) - none
	for k, c := range count {
		rest -= c
		if c > 0 {
			most = k
		}
		if least < 0 && rest+none <= len(raws)/16 {
			least = k
		}
	}
	return least, most
}

// decimals returns the smallest k for which the value v is an integer / 10^k; -1
// for none. The search begins at hint.
func decimals(t point.Type, raw uint64, v float64, hint int) int {
	if v-v != 0 { // not a number, or infinite
		return -1
	}
	c := newConverter(t, formDecimal, int8(hint))
	if m, ok := c.mantissa(v, raw); ok {
		for ; hint > 0 && m%10 == 0; hint-- {
			m /= 10
		}
		return hint
	}
	for k := hint + 1; k < len(powersOf10) && math.Abs(v)*powersOf10[k] < maxMantissa; k++ {
		c = newConverter(t, formDecimal, int8(k))
		if _, ok := c.mantissa(v, raw); ok {
			return k
		}
	}
	return -1
}

// binaryExponent returns the smallest k for which every normal value is an integer * 2^-k.
func binaryExponent(values []float64) int {
	most := math.MinInt
	for _, v := range values {
		b := math.Float64bits(v)
		e := int(b >> 52 & 0x7ff)
		if e == 0 || e == 0x7ff {
			continue // zero fits any k; the others get patches
		}
		mantissa := b&(1<<52-1) | 1<<52
		most = max(most, 1075-e-bits.TrailingZeros64(mantissa))
	}
	return most
}

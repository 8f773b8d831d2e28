package batch

import (
	"math"

	"skyhaul/edge/point"
)

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

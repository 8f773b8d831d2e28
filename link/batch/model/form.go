package model

import "math"

// form is how the raw bits of a cell become numbers: m on a grid, and where the
// grid points taken lie a step apart, the number k of the step.
//
//	integer  m is the value, or for floats the integer that sorts like it
//	decimal  value = m / 10^exponent
//	binary   value = m * 2^-exponent
type form struct {
	kind     uint8
	exponent int16
	step     int64 // in 2^-16; 0 for none, else at least 2^16
	offset   int64 // of step 0, in 2^-16
	drifts   bool  // the offset is that of the last value, whatever its rest
	leak     int64 // part in 2^-30 by which a value may be less than its step
}

const (
	formInteger = iota
	formDecimal
	formBinary
)

// mostExponent bounds the exponent of binary forms.
const mostExponent = 1000

var powersOf10 = func() (p [23]float64) { // the greatest that a float64 holds exactly
	p[0] = 1
	for i := 1; i < len(p); i++ {
		p[i] = p[i-1] * 10
	}
	return p
}()

// grid returns the m at raw or near it; any will do.
func (f *form) grid(t Column, raw uint64) int64 {
	switch f.kind {
	case formDecimal:
		return nearest(t.float(raw) * powersOf10[f.exponent])
	case formBinary:
		return nearest(t.float(raw) * math.Ldexp(1, int(f.exponent)))
	}
	return t.ordered(raw)
}

// nearest returns the integer next to v; 0 if a float64 can't tell it from others.
func nearest(v float64) int64 {
	if !(math.Abs(v) < 1<<53) {
		return 0
	}
	return int64(math.RoundToEven(v))
}

// value returns the raw bits of m.
func (f *form) value(t Column, m int64) uint64 {
	switch f.kind {
	case formDecimal:
		return t.rounded(float64(m) / powersOf10[f.exponent])
	case formBinary:
		return t.rounded(float64(m) * math.Ldexp(1, -int(f.exponent)))
	}
	return t.raw(m)
}

// at returns the m of step k.
func (f *form) at(k int64) int64 {
	if f.step == 0 {
		return k
	}
	return (f.offset + k*f.step + 1<<15) >> 16
}

// near returns the step next to m.
func (f *form) near(m int64) int64 {
	if f.step == 0 {
		return m
	}
	return divide(m<<16-f.offset, f.step)
}

// divide returns a/b for a positive b, rounded to the nearest.
func divide(a, b int64) int64 {
	if a < 0 {
		return -((b/2 - a) / b)
	}
	return (a + b/2) / b
}

// leaked is what m becomes by leaking.
func (f *form) leaked(m int64) int64 { return m - (m*f.leak+1<<29)>>30 }

// split returns the step of m, and whether it is nearer to m if it leaked.
func (f *form) split(m int64) (k int64, leaked bool) {
	k = f.near(m)
	if f.leak == 0 {
		return k, false
	}
	l := f.near(m + m*f.leak/(1<<30-f.leak))
	if abs(m-f.leaked(f.at(l))) < abs(m-f.at(k)) {
		return l, true
	}
	return k, false
}

// drift moves the offset to where m was found at step k.
func (f *form) drift(k, m int64) {
	if f.drifts {
		f.offset = m<<16 - k*f.step
	}
}

// ordered turns raw bits into the integer that sorts like the value.
func (t Column) ordered(raw uint64) int64 {
	unused := 64 - t.Width
	v := int64(raw<<unused) >> unused
	switch t.Kind {
	case Signed:
		return v
	case Float:
		return v ^ int64(uint64(v>>63)>>(unused+1))
	}
	return int64(raw)
}

// raw is the inverse of ordered; of too great a number it takes the low bits.
func (t Column) raw(v int64) uint64 {
	unused := 64 - t.Width
	v = int64(uint64(v)<<unused) >> unused
	if t.Kind == Float {
		v ^= int64(uint64(v>>63) >> (unused + 1))
	}
	return uint64(v) << unused >> unused
}

func (t Column) float(raw uint64) float64 {
	if t.Width == 32 {
		return float64(math.Float32frombits(uint32(raw)))
	}
	return math.Float64frombits(raw)
}

func (t Column) rounded(v float64) uint64 {
	if t.Width == 32 {
		return uint64(math.Float32bits(float32(v)))
	}
	return math.Float64bits(v)
}

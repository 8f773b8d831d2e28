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

// integer returns raw bits as an integer in whose order and differences the
// values are near each other, for every type. It loses nothing.
func integer(t point.Type, raw uint64) uint64 {
	switch t {
	case point.Int16:
		return uint64(int16(raw))
	case point.Int32:
		return uint64(int32(raw))
	case point.Float32:
		s := int32(raw)
		return uint64(s ^ int32(uint32(s>>31)>>1))
	case point.Float64:
		s := int64(raw)
		return uint64(s ^ int64(uint64(s>>63)>>1))
	}
	return raw
}

// float returns the raw bits of t for m in a decimal or binary form.
func float(t point.Type, kind byte, exponent int8, m uint64) (raw uint64) {
	f := float64(int64(m))
	if kind == formDecimal {
		f /= powersOf10[exponent]
	} else {
		f *= math.Ldexp(1, -int(exponent))
	}
	if t == point.Float32 {
		return uint64(math.Float32bits(float32(f)))
	}
	return math.Float64bits(f)
}

// raws is the inverse of integer and of fill: it turns the integers in xs into
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
type former struct{ forms [4]form }

// of returns the forms worth trying for the raw values of a column.
func (m *former) of(t point.Type, raws []uint64) []form {
	n := 0
	if t == point.Float32 || t == point.Float64 {
		least, most := decimalRange(t, raws)
		if least >= 0 && m.forms[n].fill(t, raws, formDecimal, int8(least)) {
			n++
		}
		if most > least && m.forms[n].fill(t, raws, formDecimal, int8(most)) {
			n++
		}
		if k := binaryExponent(t, raws); k >= math.MinInt8 && k <= math.MaxInt8 && m.forms[n].fill(t, raws, formBinary, int8(k)) {
			n++
		}
	}
	f := &m.forms[n]
	f.kind, f.exponent, f.xs, f.patches = formInteger, 0, f.xs[:0], f.patches[:0]
	for _, r := range raws {
		f.xs = append(f.xs, integer(t, r))
	}
	return m.forms[:n+1]
}

// fill makes f the given form of raws; false if more than an eighth would need patches.
func (f *form) fill(t point.Type, raws []uint64, kind byte, exponent int8) bool {
	f.kind, f.exponent, f.xs, f.patches = kind, exponent, f.xs[:0], f.patches[:0]
	factor := math.Ldexp(1, int(exponent))
	if kind == formDecimal {
		factor = powersOf10[exponent]
	}
	var last uint64
	for i, r := range raws {
		m := math.RoundToEven(t.Float(r) * factor)
		if math.Abs(m) < maxMantissa && float(t, kind, exponent, uint64(int64(m))) == r {
			last = uint64(int64(m))
		} else {
			f.patches = append(f.patches, patch{i, r})
			if len(f.patches) > len(raws)/8 {
				return false
			}
		}
		f.xs = append(f.xs, last)
	}
	return true
}

// decimalRange returns how many decimals all but a sixteenth of the values have,
// and how many all those have that have any number of them; -1 for none.
func decimalRange(t point.Type, raws []uint64) (least, most int) {
	var count [len(powersOf10)]int
	none, hint := 0, 0
	for _, r := range raws {
		k := decimals(t, r, hint)
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

// decimals returns the smallest k for which the value is an integer / 10^k; -1
// for none. The search begins at hint.
func decimals(t point.Type, raw uint64, hint int) int {
	v := t.Float(raw)
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return -1
	}
	fits := func(k int) bool {
		m := math.RoundToEven(v * powersOf10[k])
		return math.Abs(m) < maxMantissa && float(t, formDecimal, int8(k), uint64(int64(m))) == raw
	}
	if fits(hint) {
		for hint > 0 && fits(hint-1) {
			hint--
		}
		return hint
	}
	for k := hint + 1; k < len(powersOf10) && math.Abs(v)*powersOf10[k] < maxMantissa; k++ {
		if fits(k) {
			return k
		}
	}
	return -1
}

// binaryExponent returns the smallest k for which every normal value is an integer * 2^-k.
func binaryExponent(t point.Type, raws []uint64) int {
	most := math.MinInt
	for _, r := range raws {
		b := math.Float64bits(t.Float(r))
		e := int(b >> 52 & 0x7ff)
		if e == 0 || e == 0x7ff {
			continue // zero fits any k; the others get patches
		}
		mantissa := b&(1<<52-1) | 1<<52
		most = max(most, 1075-e-bits.TrailingZeros64(mantissa))
	}
	return most
}

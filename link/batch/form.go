package batch

import (
	"math"

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

package point

import (
	"math"
	"strconv"
)

// Float returns the number that raw bits stand for, before scaling.
func (t Type) Float(raw uint64) float64 {
	switch t {
	case Bool:
		return float64(raw & 1)
	case Int16:
		return float64(int16(raw))
	case Uint16:
		return float64(uint16(raw))
	case Int32:
		return float64(int32(raw))
	case Uint32:
		return float64(uint32(raw))
	case Int64:
		return float64(int64(raw))
	case Uint64:
		return float64(raw)
	case Float32:
		return float64(math.Float32frombits(uint32(raw)))
	case Float64:
		return math.Float64frombits(raw)
	}
	return math.NaN()
}

// Format returns the raw value as text that reads back to the same bits: the
// shortest decimal for floats. (The payload of a NaN is the one thing a text
// can't carry; exports give the bits beside it.)
func (t Type) Format(raw uint64) string {
	switch t {
	case Int16:
		return strconv.FormatInt(int64(int16(raw)), 10)
	case Int32:
		return strconv.FormatInt(int64(int32(raw)), 10)
	case Int64:
		return strconv.FormatInt(int64(raw), 10)
	case Float32:
		return strconv.FormatFloat(t.Float(raw), 'g', -1, 32)
	case Float64:
		return strconv.FormatFloat(t.Float(raw), 'g', -1, 64)
	}
	return strconv.FormatUint(raw&t.mask(), 10)
}

// Parse is the inverse of Format. It refuses what is out of the type's range.
func (t Type) Parse(s string) (raw uint64, err error) {
	switch t {
	case Bool:
		return strconv.ParseUint(s, 10, 1)
	case Int16, Int32, Int64:
		v, err := strconv.ParseInt(s, 10, 8*t.Size())
		return uint64(v) & t.mask(), err
	case Float32:
		v, err := strconv.ParseFloat(s, 32)
		return uint64(math.Float32bits(float32(v))), err
	case Float64:
		v, err := strconv.ParseFloat(s, 64)
		return math.Float64bits(v), err
	}
	return strconv.ParseUint(s, 10, 8*t.Size())
}

// less reports whether raw bits a stand for a smaller number than b; never of a NaN.
func (t Type) less(a, b uint64) bool {
	switch t {
	case Int16, Int32, Int64:
		unused := 64 - 8*t.Size()
		return int64(a<<unused) < int64(b<<unused)
	case Float32, Float64:
		return t.Float(a) < t.Float(b)
	}
	return a < b
}

// mask covers the bits that a type uses.
func (t Type) mask() uint64 {
	if t == Bool {
		return 1
	}
	return ^uint64(0) >> (64 - 8*t.Size())
}

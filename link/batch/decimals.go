package batch

import (
	"math"
	"math/bits"

	"skyhaul/edge/point"
)

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

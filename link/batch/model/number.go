package model

import "math/bits"

// number codes a signed number whose size is about usual: whether it is zero if
// it can be, its sign, its size and the bits behind the first, of which six are
// decided and the rest written as they are. id and class are those of the first
// of its decisions.
func (t *Table) number(c *Coder, id uint32, class, usual int, canBeZero bool, v int64) int64 {
	if canBeZero && !t.decide(c, id, class, false, v != 0) {
		return 0
	}
	negative := t.decide(c, id+1, class+1, false, v < 0)
	id += 2
	magnitude := uint64(v)
	if negative {
		id += 1 << 19
		magnitude = -magnitude
	}
	n := t.size(c, id, class+2, usual, bits.Len64(magnitude))
	got := uint64(1)
	left := n - 1
	for i := 0; i < 6 && left > 0; i++ {
		left--
		got <<= 1
		if t.decide(c, id+256+uint32(n)<<7+uint32(got), class+5+i, i > 1, magnitude>>left&1 != 0) {
			got |= 1
		}
	}
	got = got<<left | c.Bits(magnitude, left)
	if negative {
		return -int64(got)
	}
	return int64(got)
}

// size codes a size of 1 to 64 bits by steps from the usual one.
func (t *Table) size(c *Coder, id uint32, class, usual, n int) int {
	at := usual
	if t.decide(c, id, class, false, n >= usual) {
		for at < 64 && t.decide(c, id+4+uint32(at), class+1, false, n > at) {
			at++
		}
		return at
	}
	for at--; at > 1 && t.decide(c, id+70+uint32(at), class+2, false, n < at); {
		at--
	}
	return max(at, 1)
}

// usual is the mean size of numbers, in 2^-8.
type usual int32

func (u usual) size() int { return int(max((u+128)>>8, 1)) }

func (u *usual) add(v int64) { *u += (usual(size(v))<<8 - *u) >> 3 }

// size returns the bits of the magnitude of v.
func size(v int64) int { return bits.Len64(uint64(abs(v))) }

func abs(v int64) int64 {
	if v < 0 {
		return -v
	}
	return v
}

// rough and fine tell numbers apart that are small, and by size and two or
// three bits behind the first.
func rough(v int64) uint32 { return short(v, 2) }
func fine(v int64) uint32  { return short(v, 3) }

func short(v int64, behind int) uint32 {
	sign := uint32(0)
	if v < 0 {
		sign, v = 1<<16, -v
	}
	n := bits.Len64(uint64(v))
	if n <= behind {
		return sign + uint32(v)
	}
	return sign + uint32(n<<behind) + uint32(uint64(v)>>(n-1-behind))&(1<<behind-1)
}

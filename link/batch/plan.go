package batch

import "math/bits"

// plan says how the integers of a column page become residuals.
type plan struct {
	transform byte
	base      uint64 // centred: the centre; else the first integer
	step      uint64 // at least 1
	centre    int64  // steps from the first integer to base
	cost      int64  // of the residuals, in units of 1/bit bit
}

// bit is the unit of costs.
const bit = 256

// planner finds plans, reusing its memory.
type planner struct {
	us    []uint64
	count [tokens]uint32
}

// plan returns the plan for xs, not empty, whose residuals cost least.
func (p *planner) plan(xs []uint64) (best plan) {
	step := commonStep(xs)
	if step == 0 {
		return plan{transform: constant, base: xs[0], step: 1}
	}
	for t := byte(centred); t < transforms; t++ {
		q := plan{transform: t, base: xs[0], step: step}
		if t == centred {
			q.centre = centre(xs, step)
			q.base += step * uint64(q.centre)
		}
		q.cost = p.cost(p.residuals(xs, q))
		if t == centred || q.cost < best.cost {
			best = q
		}
	}
	return best
}

// residuals returns what is left of xs under a plan; it is valid until the next call.
func (p *planner) residuals(xs []uint64, q plan) []uint64 {
	p.us = p.us[:0]
	var last, slope int64
	for _, x := range xs {
		y := int64(x - xs[0])
		if q.step > 1 {
			y = divide(y, q.step)
		}
		switch q.transform {
		case centred:
			p.us = append(p.us, zigzag(y-q.centre))
		case delta:
			p.us = append(p.us, zigzag(y-last))
		case delta2:
			p.us = append(p.us, zigzag(y-last-slope))
			slope = y - last
		}
		last = y
	}
	if q.transform != centred {
		return p.us[1:] // the first is the base itself
	}
	return p.us
}

// restore is the inverse of residuals: it turns the residuals in us, one an
// integer, into the integers.
func (q *plan) restore(us []uint64) {
	base, step := q.base, q.step
	var y, slope uint64
	switch q.transform {
	case centred:
		for i, u := range us {
			us[i] = base + uint64(unzigzag(u))*step
		}
	case delta:
		for i, u := range us {
			y += uint64(unzigzag(u))
			us[i] = base + y*step
		}
	case delta2:
		for i, u := range us {
			slope += uint64(unzigzag(u))
			y += slope
			us[i] = base + y*step
		}
	}
}

// divide divides a multiple of step; unlike Go's division it takes a step of 2^63.
func divide(y int64, step uint64) int64 {
	if y < 0 {
		return -int64(uint64(-y) / step)
	}
	return int64(uint64(y) / step)
}

// commonStep returns the greatest common divisor of all differences; 0 if there are none.
func commonStep(xs []uint64) uint64 {
	var g uint64
	for _, x := range xs {
		d := x - xs[0]
		if int64(d) < 0 {
			d = -d
		}
		for d != 0 {
			g, d = d, g%d
		}
		if g == 1 {
			break
		}
	}
	return g
}

// centre returns about the mean of the integers, in steps from the first.
func centre(xs []uint64, step uint64) int64 {
	var sum int64
	for _, x := range xs {
		sum += divide(int64(x-xs[0]), step)
	}
	return sum / int64(len(xs))
}

// cost estimates the length of residuals once packed: the entropy of their
// tokens, their rest bits, and a few bits a different token for the table.
func (p *planner) cost(us []uint64) int64 {
	clear(p.count[:])
	var n int64
	for _, u := range us {
		t, rest := token(u)
		p.count[t]++
		n += int64(rest) * bit
	}
	n += xlog(uint32(len(us)))
	for _, c := range p.count {
		if c > 0 {
			n += symbolCost - xlog(c)
		}
	}
	return n
}

// symbolCost is what a symbol that occurs costs in a table.
const symbolCost = 4 * bit

// xlog returns x * log2(x) in units of 1/bit bit. It is made of integers only,
// so that every machine takes the same decisions.
func xlog(x uint32) int64 {
	s := max(bits.Len32(x)-10, 0)
	return int64(x) * int64(s*bit+int(log2s[x>>s]))
}

// log2s holds the logarithms of 1 to 1023 in units of 1/bit.
var log2s = func() (t [1024]uint16) {
	for i := 1; i < len(t); i++ {
		l := bits.Len(uint(i)) - 1
		m := uint64(i) << (31 - l) // the mantissa, as 1.31 bits
		for range 8 {
			l <<= 1
			if m = m * m >> 31; m >= 1<<32 {
				l, m = l+1, m>>1
			}
		}
		t[i] = uint16(l)
	}
	return t
}()

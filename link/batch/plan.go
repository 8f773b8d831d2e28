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
	ys    []int64 // the integers as steps from the first
	us    []uint64
	tally [transforms]tally // of the tokens of the residuals
}

// plan returns the plan for xs, not empty, whose residuals cost least.
func (p *planner) plan(xs []uint64) (best plan) {
	step := commonStep(xs)
	if step == 0 {
		return plan{transform: constant, base: xs[0], step: 1}
	}
	p.steps(xs, step)
	centre := p.centre()
	p.count(centre)
	for t := byte(centred); t < transforms; t++ {
		q := plan{transform: t, base: xs[0], step: step}
		n := len(xs) - 1 // the first is the base itself
		if t == centred {
			q.centre = centre
			q.base += step * uint64(centre)
			n++
		}
		q.cost = p.tally[t].cost(n)
		if t == centred || q.cost < best.cost {
			best = q
		}
	}
	return best
}

// steps fills p.ys: the differences to the first integer, which are multiples of step.
func (p *planner) steps(xs []uint64, step uint64) {
	shift := bits.TrailingZeros64(step)
	factor := inverse(step >> shift)
	p.ys = resize(p.ys, len(xs))
	for i, x := range xs {
		p.ys[i] = int64(uint64(int64(x-xs[0])>>shift) * factor)
	}
}

// inverse returns what odd multiplies with to 1, modulo 2^64: a multiple of odd
// is divided by a multiplication.
func inverse(odd uint64) uint64 {
	v := odd // right in the lowest 3 bits
	for range 5 {
		v *= 2 - odd*v // each time in twice as many
	}
	return v
}

// centre returns about the mean of p.ys.
func (p *planner) centre() int64 {
	var sum int64
	for _, y := range p.ys {
		sum += y
	}
	return sum / int64(len(p.ys))
}

// count counts the tokens of the residuals under every transform.
func (p *planner) count(centre int64) {
	c, d, d2 := &p.tally[centred], &p.tally[delta], &p.tally[delta2]
	c.clear()
	d.clear()
	d2.clear()
	c.add(tokenOf(zigzag(-centre)))
	var last, slope int64
	for _, y := range p.ys[1:] {
		c.add(tokenOf(zigzag(y - centre)))
		d.add(tokenOf(zigzag(y - last)))
		d2.add(tokenOf(zigzag(y - last - slope)))
		slope = y - last
		last = y
	}
}

// residuals returns what is left of xs under a plan; it is valid until the next call.
func (p *planner) residuals(xs []uint64, q plan) []uint64 {
	p.steps(xs, q.step)
	p.us = resize(p.us, len(xs))
	var last, slope int64
	switch q.transform {
	case centred:
		for i, y := range p.ys {
			p.us[i] = zigzag(y - q.centre)
		}
		return p.us
	case delta:
		for i, y := range p.ys {
			p.us[i] = zigzag(y - last)
			last = y
		}
	case delta2:
		for i, y := range p.ys {
			p.us[i] = zigzag(y - last - slope)
			slope = y - last
			last = y
		}
	}
	return p.us[1:] // the first is the base itself
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

// xlog returns x * log2(x) in units of 1/bit bit. It is made of integers only,
// so that every machine takes the same decisions.
func xlog(x uint32) int64 {
	if x < uint32(len(xlogs)) {
		return int64(xlogs[x])
	}
	s := bits.Len32(x) - 10
	return int64(x) * int64(s*bit+int(log2s[x>>s]))
}

var xlogs = func() (t [1024]uint32) {
	for i := range t {
		t[i] = uint32(i) * uint32(log2s[i])
	}
	return t
}()

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

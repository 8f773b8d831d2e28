package model

import (
	"math"
	"math/bits"
	"slices"
)

// What forms are judged by, in 1/16 bit.
const (
	switchGain = 3  // a cell, that a form must be better than the one in use
	stepCost   = 6  // a cell, for having a step
	leakCost   = 12 // a cell that changed, for telling whether it leaked
	cellCost   = 64 // for each cell of a histogram that is used
)

// learn returns the form that suits the last values best.
func learn(t Column, now form, raws []uint64) form {
	s := search{column: t, raws: raws, best: now}
	s.least = s.cost(now) - switchGain*len(raws)
	if t.Kind == Float {
		if e := s.decimals(); e >= 0 {
			s.steps(form{kind: formDecimal, exponent: int16(e)})
		} else if e, ok := s.binaries(); ok {
			s.steps(form{kind: formBinary, exponent: int16(e)})
		}
	}
	if s.best.kind == formInteger {
		s.steps(form{})
	}
	return s.best
}

// search looks for the best form of raws.
type search struct {
	column Column
	raws   []uint64
	best   form
	least  int // cost of the best
}

func (s *search) try(f form) {
	if c := s.cost(f); c < s.least {
		s.best, s.least = f, c
	}
}

// steps tries f without a step and with those that seem to be there.
func (s *search) steps(f form) {
	s.try(f)
	ms := make([]int64, len(s.raws))
	for i, raw := range s.raws {
		ms[i] = f.grid(s.column, raw)
	}
	step := findStep(ms)
	for part := int64(1); part <= 3 && step/part >= 3<<15; part++ {
		f.step, f.offset, f.drifts = step/part, ms[0]<<16, true
		s.try(f)
		if g, ok := f.leaking(ms); ok {
			s.try(g)
		}
		if f.fit(ms) {
			s.try(f)
		}
	}
}

// cost is about what the values that changed take, in 1/16 bit.
func (s *search) cost(f form) (sum int) {
	if f.drifts {
		f.offset = f.grid(s.column, s.raws[0]) << 16
	}
	last := f.near(f.grid(s.column, s.raws[0]))
	var steps, rests, fines histogram
	for i := 1; i < len(s.raws); i++ {
		raw := s.raws[i]
		if raw == s.raws[i-1] {
			continue
		}
		m := f.grid(s.column, raw)
		k, leaked := f.split(m)
		steps.add(k - last)
		last = k
		if f.step != 0 {
			x := f.at(k)
			if leaked {
				x = f.leaked(x)
			}
			rests.add(m - x)
			f.drift(k, m)
		}
		if f.leak != 0 {
			sum += leakCost
		}
		if f.kind != formInteger {
			fines.add(s.column.ordered(raw) - s.column.ordered(f.value(s.column, m)))
		}
	}
	if f.step != 0 {
		sum += stepCost * len(s.raws)
	}
	return sum + steps.cost() + rests.cost() + fines.cost()
}

// histogram counts numbers, the greater ones by their size and two bits.
type histogram struct {
	count [1024]int
	rest  int // bits of the numbers that the count doesn't tell
}

func (h *histogram) add(v int64) {
	i := 0
	if v < 0 {
		i, v = 512, -v
	}
	if uint64(v) >= 8 {
		n := bits.Len64(uint64(v))
		h.rest += n - 3
		v = int64(n*4) + int64(uint64(v)>>(n-3))&3
	}
	h.count[i+int(v)]++
}

// cost is the bits of a code that suits the numbers, and of telling the code, in 1/16.
func (h *histogram) cost() int {
	total, sum := 0, h.rest*16
	for _, n := range h.count {
		if n > 0 {
			total += n
			sum += cellCost - n*log2(uint64(n))
		}
	}
	return sum + total*log2(max(uint64(total), 1))
}

// log2 is in 1/16, and linear between powers of two.
func log2(v uint64) int {
	n := bits.Len64(v)
	return (n-1)*16 + int(v<<(64-n)<<1>>60)
}

// decimals returns the least decimals that all but a sixteenth of the values need; -1 for none.
func (s *search) decimals() int {
	limit := float64(1 << 53)
	if s.column.Width == 32 {
		limit = 1 << 24
	}
	for e := range powersOf10 {
		f := form{kind: formDecimal, exponent: int16(e)}
		bad := 0
		for _, raw := range s.raws {
			v := s.column.float(raw) * powersOf10[e]
			if !(math.Abs(v) < limit) || f.value(s.column, nearest(v)) != raw {
				bad++
			}
			if bad*16 > len(s.raws) {
				break
			}
		}
		if bad*16 <= len(s.raws) {
			return e
		}
	}
	return -1
}

// binaries returns the exponent that all but an eighth of the values need.
func (s *search) binaries() (e int, ok bool) {
	var es []int
	for _, raw := range s.raws {
		b := math.Float64bits(s.column.float(raw))
		e := int(b >> 52 & 0x7ff)
		if e != 0 && e != 0x7ff { // zero fits any; other small or no numbers don't matter
			es = append(es, 1075-e-bits.TrailingZeros64(b|1<<52))
		}
	}
	if len(es) == 0 {
		return 0, false
	}
	slices.Sort(es)
	e = es[max(len(es)-1-len(s.raws)/8, 0)]
	return e, e >= -mostExponent && e <= mostExponent
}

const (
	mostGrid = 1 << 46 // m whose steps are looked for
	mostJump = 1 << 40 // change of m, likewise
)

// findStep returns the step in 2^-16 of which the changes of ms are most nearly
// multiples; 0 for none.
func findStep(ms []int64) int64 {
	var changes []int64
	common := int64(0)
	for i := 1; i < len(ms); i++ {
		if d := abs(ms[i] - ms[i-1]); d > 0 && d < mostJump {
			changes = append(changes, d)
			common = divisor(d, common)
		}
	}
	if len(changes) < 12 {
		return 0
	}
	slices.Sort(changes)
	few := thinned(changes, 128)
	var tries []int64
	if common > 1 {
		tries = append(tries, common)
	}
	for i := 0; i < len(few) && len(tries) < 20; i++ {
		if few[i] > 1 && (len(tries) == 0 || few[i] != tries[len(tries)-1]) {
			tries = append(tries, few[i])
		}
	}
	var gaps []int64
	for i := 1; i < len(few); i++ {
		if g := few[i] - few[i-1]; g > 1 {
			gaps = append(gaps, g)
		}
	}
	slices.Sort(gaps)
	tries = append(tries, thinned(gaps, 12)...)
	best, least := int64(0), 0
	for _, d := range tries {
		step := refine(few, d<<16)
		if step < 1<<17 {
			continue
		}
		cost := 0
		for _, d := range few {
			k := divide(d<<16, step)
			cost += log2(uint64(4*k+1)) + log2(uint64(4*abs(d-(k*step+1<<15)>>16)+1))
		}
		if best == 0 || cost < least {
			best, least = step, cost
		}
	}
	if best == 0 {
		return 0
	}
	return refine(changes, best)
}

func divisor(a, b int64) int64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// thinned returns n of the values, or all if there are no more.
func thinned(values []int64, n int) []int64 {
	if len(values) <= n {
		return values
	}
	few := make([]int64, n)
	for i := range few {
		few[i] = values[i*len(values)/n]
	}
	return few
}

// refine returns the step that the changes, in rising order, lead to from a rough one.
func refine(changes []int64, step int64) int64 {
	var sum, steps int64
	for _, d := range changes {
		k := divide(d<<16, step)
		if k > 1<<20 || sum > mostGrid {
			break
		}
		if k == 0 || abs(d<<16-k*step) > step/4 {
			continue
		}
		sum += d
		steps += k
		step = sum << 16 / steps
		if step < 1<<16 {
			return 0
		}
	}
	return step
}

// fit counts the steps of ms with the step of f, and sets step and offset to what
// leaves the smallest squares; false if there is nothing to fit.
func (f *form) fit(ms []int64) bool {
	ks := make([]int64, len(ms))
	high, low := 0, 0
	for i, m := range ms {
		if abs(m) >= mostGrid {
			return false
		}
		if i == 0 {
			continue
		}
		d := m - ms[i-1]
		if abs(d) >= mostJump {
			return false
		}
		ks[i] = ks[i-1] + divide(d<<16, f.step)
		if ks[i] > ks[high] {
			high = i
		}
		if ks[i] < ks[low] {
			low = i
		}
	}
	if high == low || ks[high]-ks[low] >= 1<<20 {
		return false
	}
	step := (ms[high] - ms[low]) << 16 / (ks[high] - ks[low])
	if step < 1<<16 {
		return false
	}
	n := int64(len(ms))
	var sumK, sumE int64
	es := make([]int64, len(ms)) // in 2^-8
	for i, m := range ms {
		es[i] = min(max((m-ms[0])<<16-ks[i]*step, -1<<28), 1<<28) >> 8
		sumK += ks[i]
		sumE += es[i]
	}
	meanK := sumK / n
	var up, down int64
	for i, k := range ks {
		up += (k - meanK) * es[i]
		down += (k - meanK) * (k - meanK)
	}
	more := up / (down>>8 + 1)
	f.step, f.offset, f.drifts = step+more, ms[0]<<16+sumE/n<<8-meanK*more, false
	return f.step >= 1<<16
}

// leaking returns f with the leak that ms have and a step to go with it; false for none.
func (f form) leaking(ms []int64) (form, bool) {
	if f.kind != formBinary || f.step < 1<<22 {
		return f, false
	}
	for _, m := range ms {
		if abs(m) >= 1<<30 {
			return f, false
		}
	}
	// The values that don't leak give the step: the most exact one near by, then
	// ever more exactly from ever greater changes.
	middle, most := f.step, 0
	for j := int64(-16); j <= 16; j++ {
		step := middle + middle>>10*j
		if n := exact(ms, step, step>>7, 8); n > most {
			f.step, most = step, n
		}
	}
	for n := range 6 {
		most, near := int64(8)<<n, f.step>>(7+n)
		var up, down int64
		for i := 1; i < len(ms); i++ {
			d := ms[i] - ms[i-1]
			if l := divide(d<<16, f.step); abs(l) <= most && abs(d<<16-l*f.step) < near {
				up += d * l
				down += l * l
			}
		}
		if f.step = ratio(up, down, 16); f.step < 1<<22 {
			return f, false
		}
	}
	var leaks []int64
	for i := 1; i < len(ms); i++ {
		d, m := ms[i]-ms[i-1], ms[i]
		rest := d - (divide(d<<16, f.step)*f.step+1<<15)>>16
		if abs(rest) > f.step>>24 && abs(m) < f.step>>16*40 && abs(m) > f.step>>17 && m != rest {
			leaks = append(leaks, -rest<<30/(m-rest))
		}
	}
	if len(leaks) < 16 {
		return f, false
	}
	slices.Sort(leaks)
	f.leak = leaks[len(leaks)/2]
	for range 3 {
		if f.leak == 0 || abs(f.leak) > mostLeak {
			return f, false
		}
		var up, down int64
		for i := 1; i < len(ms); i++ {
			f.offset = ms[i-1] << 16
			k, leaked := f.split(ms[i])
			x := f.at(k)
			if leaked && abs(ms[i]-f.leaked(x)) < f.step>>22 {
				up += (x - ms[i]) * (x >> 12)
				down += x * (x >> 12)
			}
		}
		f.leak = ratio(up, down, 30)
	}
	return f, f.leak != 0 && abs(f.leak) <= mostLeak
}

const mostLeak = 1 << 27

// exact counts the changes that are some steps, most at most, give or take near.
func exact(ms []int64, step, near, most int64) (n int) {
	for i := 1; i < len(ms); i++ {
		d := ms[i] - ms[i-1]
		if abs(d) > step>>12 {
			continue
		}
		if k := divide(d<<16, step); abs(k) <= most && abs(d<<16-k*step) < near {
			n++
		}
	}
	return n
}

// ratio returns a/b in 2^-n, rounded to zero; 0 if there is none.
func ratio(a, b int64, n uint) int64 {
	high, low := bits.Mul64(uint64(abs(a)), 1<<n)
	if d := uint64(abs(b)); high < d {
		if q, _ := bits.Div64(high, low, d); q < 1<<62 {
			if a < 0 != (b < 0) {
				return -int64(q)
			}
			return int64(q)
		}
	}
	return 0
}

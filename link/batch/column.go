package batch

import (
	"encoding/binary"

	"skyhaul/edge/point"
)

// The mode byte of a column page: transform | flags | form. The values are
// part of the format.
const (
	constant   = iota // one number is all values
	centred           // distance from one number
	delta             // difference from the value before
	delta2            // change of that difference
	transforms        // mask of the above is transforms-1

	flagStep    = 1 << 2 // all differences are multiples of a step
	flagPalette = 1 << 3 // numbers are ranks in a list of the values that occur
	flagPatches = 1 << 4 // some values stand apart
	flagWhole   = 1 << 5 // values of cells without a value are there too
)

// columnWriter turns columns into modes, numbers, planes of tokens and bits.
type columnWriter struct {
	modes, exponents, numbers []byte
	planes                    planes
	bits                      bitWriter

	former  former
	planner planner
	ranker  ranker
}

// add writes one column page: raws are the values of its cells. A page
// without a cell has the mode 0 and no number.
func (w *columnWriter) add(t point.Type, raws []uint64, mode byte) {
	if len(raws) == 0 {
		w.modes = append(w.modes, mode)
		return
	}
	f, best := w.choose(t, raws)
	mode |= f.kind
	if f.kind != formInteger {
		w.exponents = append(w.exponents, byte(f.exponent))
	}
	if len(f.patches) > 0 {
		mode |= flagPatches
		w.patches(f.patches)
	}
	xs := f.xs
	if p, ok := w.ranked(xs, best); ok {
		mode |= flagPalette
		w.numbers = appendPalette(w.numbers, w.ranker.palette)
		xs, best = w.ranker.ranks, p
	}
	mode |= best.transform
	w.numbers = binary.AppendVarint(w.numbers, int64(best.base))
	if best.step > 1 && best.transform != constant {
		mode |= flagStep
		w.numbers = binary.AppendUvarint(w.numbers, best.step)
	}
	w.modes = append(w.modes, mode)
	if best.transform != constant {
		w.plane(w.planner.residuals(xs, best))
	}
}

// choose returns the form of raws that costs least, and its plan.
func (w *columnWriter) choose(t point.Type, raws []uint64) (f *form, best plan) {
	forms := w.former.of(t, raws)
	for i := range forms {
		p := w.planner.plan(forms[i].xs)
		p.cost += int64(len(forms[i].patches)*(2+t.Size())) * 8 * bit
		if f == nil || p.cost < best.cost {
			f, best = &forms[i], p
		}
	}
	return f, best
}

func (w *columnWriter) patches(ps []patch) {
	w.numbers = binary.AppendUvarint(w.numbers, uint64(len(ps)))
	next := 0
	for _, p := range ps {
		w.numbers = binary.AppendUvarint(w.numbers, uint64(p.at-next))
		w.numbers = binary.AppendUvarint(w.numbers, p.raw)
		next = p.at + 1
	}
}

// ranked has the ranker rank xs and returns the plan for the ranks; ok is false
// if that costs more than best.
func (w *columnWriter) ranked(xs []uint64, best plan) (p plan, ok bool) {
	// Each entry of the palette takes a byte, and so does its length.
	limit := min(int64(len(xs)/2), best.cost/(8*bit)-1)
	if best.transform == constant || !w.ranker.rank(xs, int(limit)) {
		return plan{}, false
	}
	p = w.planner.plan(w.ranker.ranks)
	p.cost += 8 * bit * int64(paletteSize(w.ranker.palette))
	return p, p.cost < best.cost
}

func appendPalette(dst []byte, palette []int64) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(palette)))
	dst = binary.AppendVarint(dst, palette[0])
	for i := 1; i < len(palette); i++ {
		dst = binary.AppendUvarint(dst, uint64(palette[i]-palette[i-1]))
	}
	return dst
}

func paletteSize(palette []int64) int {
	var room [10]byte
	n := 1 + binary.PutVarint(room[:], palette[0])
	for i := 1; i < len(palette); i++ {
		n += binary.PutUvarint(room[:], uint64(palette[i]-palette[i-1]))
	}
	return n
}

func (w *columnWriter) plane(residuals []uint64) {
	for _, u := range residuals {
		t := tokenOf(u)
		w.planes.b = append(w.planes.b, t)
		if t >= 4 {
			w.bits.put(u, uint(untokens[t].rest))
		}
	}
	w.planes.lens = append(w.planes.lens, len(residuals))
}

package batch

import (
	"skyhaul/edge/point"
)

// columnReader is the inverse of columnWriter.
type columnReader struct {
	modes, exponents, numbers source
	planes                    planeReader
	bits                      bitReader

	palette []uint64
	patches []patch
}

// mode takes the mode byte of the next column page.
func (r *columnReader) mode() byte { return r.modes.byte() }

// read fills dst with the raw values of a column page. What is not there, or
// not possible, sets bad.
func (r *columnReader) read(dst []uint64, t point.Type, mode byte) {
	if len(dst) == 0 {
		return
	}
	f := form{kind: mode & formMask}
	r.form(&f, t)
	r.patches = r.patches[:0]
	if mode&flagPatches != 0 {
		r.readPatches(len(dst))
	}
	r.palette = r.palette[:0]
	if mode&flagPalette != 0 {
		r.readPalette(len(dst))
	}
	q := plan{transform: mode & (transforms - 1), base: uint64(r.numbers.varint()), step: 1}
	if mode&flagStep != 0 {
		q.step = r.numbers.uvarint()
	}
	r.residuals(dst, q.transform)
	q.restore(dst)
	if mode&flagPalette != 0 {
		r.unrank(dst)
	}
	for i, x := range dst {
		dst[i] = f.raw(t, x)
	}
	for _, p := range r.patches {
		dst[p.at] = p.raw
	}
}

// form takes the exponent of f, where its kind has one.
func (r *columnReader) form(f *form, t point.Type) {
	if f.kind == formInteger {
		return
	}
	f.exponent = int8(r.exponents.byte())
	isFloat := t == point.Float32 || t == point.Float64
	tooGreat := f.kind == formDecimal && uint8(f.exponent) >= uint8(len(powersOf10))
	if !isFloat || f.kind == formMask || tooGreat {
		r.numbers.bad = true
		f.kind = formInteger
	}
}

func (r *columnReader) readPatches(cells int) {
	at := 0
	for range r.numbers.count(cells) {
		at += r.numbers.count(cells)
		if at >= cells {
			r.numbers.bad = true
			return
		}
		r.patches = append(r.patches, patch{at, r.numbers.uvarint()})
		at++
	}
}

func (r *columnReader) readPalette(cells int) {
	n := r.numbers.count(cells)
	x := uint64(r.numbers.varint())
	for i := range n {
		if i > 0 {
			x += r.numbers.uvarint()
		}
		r.palette = append(r.palette, x)
	}
}

// residuals fills dst with the residuals of the next plane; those that a
// transform has none for are zero.
func (r *columnReader) residuals(dst []uint64, transform byte) {
	switch transform {
	case constant:
		clear(dst)
		return
	case delta, delta2:
		dst[0] = 0
		dst = dst[1:]
	}
	for i, t := range r.planes.next(len(dst)) {
		v, rest := untoken(t)
		if rest > 0 {
			v |= r.bits.take(rest)
		}
		dst[i] = v
	}
}

func (r *columnReader) unrank(dst []uint64) {
	for i, k := range dst {
		if k >= uint64(len(r.palette)) {
			r.numbers.bad = true
			clear(dst)
			return
		}
		dst[i] = r.palette[k]
	}
}

// bad reports whether anything was missing or impossible so far.
func (r *columnReader) bad() bool {
	return r.modes.bad || r.exponents.bad || r.numbers.bad || r.planes.bad || r.bits.bad
}

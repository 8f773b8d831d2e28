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

// read fills dst with the raw values of a column page; bits above the width of
// the type may hold anything. Where all values are the same it fills dst[0] alone.
// What is not there, or not possible, sets bad.
func (r *columnReader) read(dst []uint64, t point.Type, mode byte) (same bool) {
	if len(dst) == 0 {
		return false
	}
	kind, exponent := r.form(t, mode)
	r.patches = r.patches[:0]
	if mode&flagPatches != 0 {
		r.readPatches(len(dst))
	}
	r.palette = r.palette[:0]
	if mode&flagPalette != 0 {
		r.readPalette(len(dst))
	}
	cells := dst
	if same = mode&(transforms-1) == constant && len(r.patches) == 0; same {
		dst = dst[:1]
	}
	r.integers(dst, mode)
	if mode&flagPalette != 0 {
		raws(r.palette, t, kind, exponent)
		r.unrank(dst)
	} else {
		raws(dst, t, kind, exponent)
	}
	for _, p := range r.patches {
		cells[p.at] = p.raw
	}
	return same
}

// form returns the form that a mode names, and takes its exponent where it has one.
func (r *columnReader) form(t point.Type, mode byte) (kind byte, exponent int8) {
	kind = mode & formMask
	if kind == formInteger {
		return kind, 0
	}
	exponent = int8(r.exponents.byte())
	isFloat := t == point.Float32 || t == point.Float64
	tooGreat := kind == formDecimal && uint8(exponent) >= uint8(len(powersOf10))
	if !isFloat || kind == formMask || tooGreat {
		r.numbers.bad = true
		return formInteger, 0
	}
	return kind, exponent
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

// integers fills dst from base, step and the next plane.
func (r *columnReader) integers(dst []uint64, mode byte) {
	q := plan{transform: mode & (transforms - 1), base: uint64(r.numbers.varint()), step: 1}
	if mode&flagStep != 0 {
		q.step = r.numbers.uvarint()
	}
	us := dst
	switch q.transform {
	case constant:
		for i := range dst {
			dst[i] = q.base
		}
		return
	case delta, delta2: // the first is the base itself
		dst[0] = 0
		us = dst[1:]
	}
	r.bits.residuals(us, r.planes.next(len(us)))
	q.restore(dst)
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

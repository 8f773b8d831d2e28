package batch

import (
	"math"
	"math/rand/v2"
	"testing"

	"skyhaul/edge/point"
)

// slowReader reads columns cell by cell, as the specification has it.
type slowReader struct {
	modes, exponents, numbers source
	plane                     []byte
	bits                      []byte
	bit                       int
}

func (r *slowReader) take(n int) (v uint64) {
	for i := range n {
		v |= uint64(r.bits[r.bit/8]>>(r.bit%8)&1) << i
		r.bit++
	}
	return v
}

func (r *slowReader) residual() uint64 {
	t := int(r.plane[0])
	r.plane = r.plane[1:]
	if t < 4 {
		return uint64(t)
	}
	l, b := t/2, uint64(t%2)
	return 1<<l + b<<(l-1) + r.take(l-1)
}

func (r *slowReader) read(cells int, t point.Type) []uint64 {
	mode := r.modes.byte()
	raws := make([]uint64, cells)
	if cells == 0 {
		return raws
	}
	exponent := 0
	if mode&formMask != formInteger {
		exponent = int(int8(r.exponents.byte()))
	}
	patches := map[int]uint64{}
	if mode&flagPatches != 0 {
		at := 0
		for range r.numbers.uvarint() {
			at += int(r.numbers.uvarint())
			patches[at] = r.numbers.uvarint()
			at++
		}
	}
	var palette []uint64
	if mode&flagPalette != 0 {
		n := r.numbers.uvarint()
		palette = []uint64{uint64(r.numbers.varint())}
		for len(palette) < int(n) {
			palette = append(palette, palette[len(palette)-1]+r.numbers.uvarint())
		}
	}
	base, step := uint64(r.numbers.varint()), uint64(1)
	if mode&flagStep != 0 {
		step = r.numbers.uvarint()
	}
	var y, d uint64
	for i := range raws {
		var n uint64
		transform := mode & 3
		if transform == centred || transform != constant && i > 0 {
			n = uint64(unzigzag(r.residual()))
		}
		switch transform {
		case centred:
			y = n
		case delta:
			y += n
		case delta2:
			d += n
			y += d
		}
		x := base + step*y
		if palette != nil {
			x = palette[x]
		}
		raws[i] = slowRaw(t, mode&formMask, exponent, x)
		if raw, ok := patches[i]; ok {
			raws[i] = raw
		}
	}
	return raws
}

func slowRaw(t point.Type, form byte, e int, x uint64) uint64 {
	isFloat := t == point.Float32 || t == point.Float64
	width := 8 * t.Size()
	mask := ^uint64(0) >> (64 - width)
	switch {
	case form == formInteger && isFloat && int64(x<<(64-width)) < 0:
		return (x&mask ^ mask) | 1<<(width-1)
	case form == formInteger:
		return x & mask
	}
	v := float64(int64(x)) * math.Pow(2, -float64(e))
	if form == formDecimal {
		v = float64(int64(x)) / math.Pow10(e)
	}
	if t == point.Float32 {
		return uint64(math.Float32bits(float32(v)))
	}
	return math.Float64bits(v)
}

// cells makes a column of type t that moves in one of many ways.
func cells(rng *rand.Rand, t point.Type, n int) []uint64 {
	width := 8 * t.Size()
	step := uint64(1) << rng.IntN(1+rng.IntN(60))
	wide := 1 + rng.IntN(1+rng.IntN(width))
	decimals := math.Pow10(rng.IntN(6))
	kind := rng.IntN(7)
	x, slope := rng.Uint64()>>rng.IntN(64), uint64(0)
	raws := make([]uint64, n)
	for i := range raws {
		noise := rng.Uint64()>>(64-wide) - 1<<wide/2
		switch kind {
		case 0: // noise
			x = noise * step
		case 1: // drift
			x += noise * step
		case 2: // momentum
			slope += noise
			x += slope
		case 3: // few
			x = []uint64{7, 1 << 60, 3, ^uint64(0)}[rng.IntN(4)]
		case 4: // few, after each other
			x = uint64(i%5) * 1e9
		}
		raws[i] = x
		v := float64(int64(x)) / decimals
		switch float := kind != 6; {
		case float && rng.IntN(40) == 0 && kind != 5:
			raws[i] = rng.Uint64()
		case float && t == point.Float32:
			raws[i] = uint64(math.Float32bits(float32(v)))
		case float && t == point.Float64:
			raws[i] = math.Float64bits(v)
		}
		raws[i] &= ^uint64(0) >> (64 - width)
		if t == point.Bool {
			raws[i] &= 1
		}
	}
	return raws
}

func TestColumnsReadFastAreThoseReadSlowlyAndThoseWritten(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 5))
	modes := map[byte]int{}
	for range 4000 {
		typ := point.Type(1 + rng.IntN(int(point.Float64)))
		want := cells(rng, typ, rng.IntN(1+rng.IntN(150)))
		var w columnWriter
		w.add(typ, want, 0)
		slow := slowReader{modes: source{b: w.modes}, exponents: source{b: w.exponents}, numbers: source{b: w.numbers}, plane: w.planes.b, bits: w.bits.bytes()}
		fast := columnReader{modes: slow.modes, exponents: slow.exponents, numbers: slow.numbers}
		fast.planes = planeReader{assign: make([]byte, len(w.planes.lens)), pools: [][]byte{slow.plane}}
		fast.bits.reset(slow.bits)
		got := make([]uint64, len(want))
		mode := fast.mode()
		same := fast.read(got, typ, mode)
		reference := slow.read(len(want), typ)
		mask := ^uint64(0) >> (64 - 8*typ.Size())
		for i := range want {
			if same {
				got[i] = got[0]
			}
			if got[i]&mask != want[i] || reference[i] != want[i] {
				t.Fatalf("%v, mode %#x, cell %d: %#x, slowly %#x, want %#x", typ, mode, i, got[i]&mask, reference[i], want[i])
			}
		}
		if fast.bad() || len(fast.numbers.b) > 0 || fast.bits.pos > fast.bits.end || len(slow.numbers.b) > 0 {
			t.Fatalf("%v, mode %#x: bad %t, %d bytes of numbers left", typ, mode, fast.bad(), len(fast.numbers.b))
		}
		modes[mode]++
	}
	for form := range byte(3) {
		for transform := byte(centred); transform < transforms; transform++ {
			if n := modes[form<<6|transform] + modes[form<<6|transform|flagStep]; n == 0 {
				t.Errorf("form %d with transform %d was not written", form, transform)
			}
		}
	}
	var patched, ranked int
	for mode, n := range modes {
		if mode&flagPatches != 0 {
			patched += n
		}
		if mode&flagPalette != 0 {
			ranked += n
		}
	}
	if patched == 0 || ranked == 0 {
		t.Errorf("%d patched columns and %d with a palette", patched, ranked)
	}
}

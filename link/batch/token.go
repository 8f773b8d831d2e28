package batch

import (
	"encoding/binary"
	"math/bits"
)

// token splits a residual: the token says how great it is and goes where the
// statistics are, the rest bits below are noise and go as they are.
//
//	residual v                      token          rest
//	0 to 3                          v              none
//	top bit at l >= 2, b below it   2l + b         the lower l-1 bits of v
//
// The greatest token is 127.
func token(v uint64) (t byte, rest uint) {
	if v < 4 {
		return byte(v), 0
	}
	l := uint(bits.Len64(v)) - 1
	return byte(2*l + uint(v>>(l-1)&1)), l - 1
}

// tokens is how many there are.
const tokens = 128

// untoken returns the residual of a token with its rest bits still zero, and
// how many they are.
func untoken(t byte) (v uint64, rest uint) {
	if t < 4 {
		return uint64(t), 0
	}
	l := uint(t / 2)
	return uint64(2|t&1) << (l - 1), l - 1
}

// bitWriter packs bits, the lowest first.
type bitWriter struct {
	b    []byte
	acc  uint64
	have uint // bits in acc, below 32
}

// put appends the lower n bits of v.
func (w *bitWriter) put(v uint64, n uint) {
	if n > 32 {
		w.put(v, 32)
		v, n = v>>32, n-32
	}
	w.acc |= v & (1<<n - 1) << w.have
	w.have += n
	if w.have >= 32 {
		w.b = binary.LittleEndian.AppendUint32(w.b, uint32(w.acc))
		w.acc >>= 32
		w.have -= 32
	}
}

// bytes returns all that was put; the bits above it are zero.
func (w *bitWriter) bytes() []byte {
	for ; w.have > 0; w.have -= min(w.have, 8) {
		w.b = append(w.b, byte(w.acc))
		w.acc >>= 8
	}
	return w.b
}

// bitReader takes bits off b, the lowest first.
type bitReader struct {
	b    []byte
	acc  uint64
	have uint // bits in acc
	bad  bool // more was taken than there is
}

// take returns the next n bits.
func (r *bitReader) take(n uint) (v uint64) {
	if n > 32 {
		v = r.take(32)
		return v | r.take(n-32)<<32
	}
	if r.have < n {
		r.fill()
		if r.have < n {
			r.bad = true
			return 0
		}
	}
	v = r.acc & (1<<n - 1)
	r.acc >>= n
	r.have -= n
	return v
}

func (r *bitReader) fill() {
	if len(r.b) >= 4 {
		r.acc |= uint64(binary.LittleEndian.Uint32(r.b)) << r.have
		r.b = r.b[4:]
		r.have += 32
		return
	}
	for _, c := range r.b {
		r.acc |= uint64(c) << r.have
		r.have += 8
	}
	r.b = nil
}

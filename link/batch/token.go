package batch

import (
	"encoding/binary"
	"math"
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
	t = tokenOf(v)
	return t, uint(untokens[t].rest)
}

// tokenOf returns the token alone.
func tokenOf(v uint64) byte {
	if v < uint64(len(smallTokens)) {
		return smallTokens[v]
	}
	return longToken(v)
}

func longToken(v uint64) byte {
	l := uint(bits.Len64(v)) - 1
	return byte(2*l + uint(v>>(l-1)&1))
}

var smallTokens = func() (all [256]byte) {
	for v := range all {
		all[v] = byte(v)
		if v >= 4 {
			all[v] = longToken(uint64(v))
		}
	}
	return all
}()

// tokens is how many there are.
const tokens = 128

// untoken is the inverse of token: the residual of each with its rest bits still
// zero, and a mask of those.
type untoken struct {
	value, mask uint64
	rest        uint8
}

// untokens holds a rest of 255 for what is no token.
var untokens = func() (all [256]untoken) {
	for t := range all {
		l := t / 2
		switch {
		case t < 4:
			all[t].value = uint64(t)
		case t < tokens:
			all[t] = untoken{uint64(2|t&1) << (l - 1), 1<<(l-1) - 1, uint8(l - 1)}
		default:
			all[t].rest = math.MaxUint8
		}
	}
	return all
}()

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
	b   []byte // padded
	pos uint   // of the next bit
	end uint   // after the last
	bad bool   // more was taken than there is, or what is no token
}

// bitPadding follows the bits, so that each can be read with 64 after it.
const bitPadding = 16

// reset has the reader take the bits of b, of which it makes a copy.
func (r *bitReader) reset(b []byte) {
	r.b = append(append(r.b[:0], b...), make([]byte, bitPadding)...)
	r.pos, r.end, r.bad = 0, 8*uint(len(b)), false
}

// wideRest is how many bits may lie across nine bytes.
const wideRest = 57

// residuals turns tokens into residuals, as many as dst has.
func (r *bitReader) residuals(dst []uint64, plane []byte) {
	b, pos := r.b, r.pos
	last := uint(len(b) - bitPadding)
	dst = dst[:len(plane)]
	for i, t := range plane {
		u := &untokens[t]
		at := min(pos>>3, last)
		w := binary.LittleEndian.Uint64(b[at:]) >> (pos & 7)
		if u.rest > wideRest {
			r.bad = r.bad || t >= tokens
			w |= uint64(b[at+8]) << (64 - pos&7)
		}
		dst[i] = u.value | w&u.mask
		pos += uint(u.rest)
	}
	r.pos = min(pos, r.end+1)
	r.bad = r.bad || pos > r.end
}

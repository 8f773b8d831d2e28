package model

import "math/bits"

// Coder codes bits in one direction: after [Coder.Encode] it writes them to a
// stream, after [Coder.Decode] it reads them back. What is passed in to be
// coded is ignored when reading, and what is returned is what was written, so
// that one function can serve both ends. A reader never fails: it makes
// something of any bytes, and [Coder.Bad] may tell that they weren't a stream.
//
// The zero value codes nothing; begin with Encode or Decode, as often as you
// like. A Coder is for one goroutine.
type Coder struct {
	low, high uint32 // the interval that is left of the stream's next 32 bits
	code      uint32 // those bits, when reading
	buf       []byte // what was written, or is to be read
	start     int    // of the stream in buf
	next      int    // byte of buf to be read; goes on past the end
	decoding  bool
}

const (
	lookahead  = 4 // bytes that a reader is ahead of what the bits so far have settled
	mostZeros  = 4 // settled bytes that Finish leaves out at most
	mostMissed = lookahead + mostZeros
)

// Encode starts a stream, which is appended to dst.
func (c *Coder) Encode(dst []byte) {
	*c = Coder{high: 1<<32 - 1, buf: dst, start: len(dst)}
}

// Decode starts to read a stream. Past the end of src it reads zeros.
func (c *Coder) Decode(src []byte) {
	*c = Coder{high: 1<<32 - 1, buf: src, decoding: true}
	for range lookahead {
		c.code = c.code<<8 | uint32(c.byte())
	}
}

// Decoding reports whether c reads.
func (c *Coder) Decoding() bool { return c.decoding }

// Finish ends a stream and returns it, behind what Encode was given. It is the
// shortest that a reader, who continues with zeros, takes for the same bits.
func (c *Coder) Finish() []byte {
	least := max(c.start, len(c.buf)-mostZeros)
	for n := 0; n <= 32; n += 8 {
		rest := uint32(uint64(1)<<(32-n) - 1)
		v := (uint64(c.low) + uint64(rest)) &^ uint64(rest)
		if v <= uint64(c.high) {
			for s := 24; s >= 32-n; s -= 8 {
				c.buf = append(c.buf, byte(v>>s))
			}
			break
		}
	}
	for len(c.buf) > least && c.buf[len(c.buf)-1] == 0 {
		c.buf = c.buf[:len(c.buf)-1]
	}
	return c.buf
}

// Len returns the bytes that the stream would come to at most if it were
// finished now.
func (c *Coder) Len() int { return len(c.buf) - c.start + lookahead }

// Bad reports whether a reader has read further past the end than any writer's
// stream makes it. That it hasn't doesn't mean the stream is whole.
func (c *Coder) Bad() bool { return c.next > len(c.buf)+mostMissed }

// Bits codes the low n bits of v, n up to 64, each of them as likely 0 as 1.
func (c *Coder) Bits(v uint64, n int) (got uint64) {
	for ; n > 0; n-- {
		got <<= 1
		if c.code1(1<<15, v>>(n-1)&1 != 0) {
			got |= 1
		}
	}
	return got
}

// code1 codes a bit that is 1 with probability p / 2^16, p from 1 to 65535.
func (c *Coder) code1(p uint32, y bool) bool {
	// Zeros take the lower part, so that a stream of nothing but the expected can be empty.
	mid := c.low + uint32(uint64(c.high-c.low)*uint64(1<<16-p)>>16)
	if c.decoding {
		y = c.code > mid
	}
	if y {
		c.low = mid + 1
	} else {
		c.high = mid
	}
	for (c.low^c.high)>>24 == 0 {
		c.shift()
	}
	return y
}

// shift moves on by a byte that is settled.
func (c *Coder) shift() {
	if c.decoding {
		c.code = c.code<<8 | uint32(c.byte())
	} else {
		c.buf = append(c.buf, byte(c.high>>24))
	}
	c.low <<= 8
	c.high = c.high<<8 | 255
}

func (c *Coder) byte() (b byte) {
	if c.next < len(c.buf) {
		b = c.buf[c.next]
	}
	c.next++
	return b
}

// Bit is an adaptive probability that a bit is 1. The zero value is ready: even
// odds, fast to learn at first, then slow.
type Bit struct {
	p uint16 // probability less one half, in 2^-16, as two's complement
	n uint8  // times coded, up to bitSlow
}

// bitSlow bounds how slowly a Bit learns: it moves by one part in bitSlow+1.5.
const bitSlow = 30

// Bit codes y with the probability that b has learnt, and teaches it.
func (c *Coder) Bit(b *Bit, y bool) bool {
	p := int32(b.p ^ 1<<15)
	y = c.code1(uint32(min(max(p, 32), 1<<16-32)), y)
	target := int32(0)
	if y {
		target = 1<<16 - 1
	}
	p += (target - p) * 2 / (2*int32(b.n) + 3)
	b.p = uint16(p) ^ 1<<15
	if b.n < bitSlow {
		b.n++
	}
	return y
}

// Number is an adaptive code for unsigned numbers, such as counts and lengths.
// The zero value is ready: small numbers are short.
type Number struct {
	longer [64]Bit // whether a number of i bits or more has more
	second [64]Bit // the bit behind the first one
}

// Code codes v.
func (n *Number) Code(c *Coder, v uint64) uint64 {
	size := 0
	for size < 64 && c.Bit(&n.longer[size], bits.Len64(v) > size) {
		size++
	}
	if size < 2 {
		return uint64(size)
	}
	got := uint64(2)
	if c.Bit(&n.second[size-1], v>>(size-2)&1 != 0) {
		got++
	}
	return got<<(size-2) | c.Bits(v, size-2)
}

package batch

import (
	"encoding/binary"
	"math/bits"
)

// prober tells from the statistics of a section, for a fraction of what the
// coders take, about how short each of them would make it. It errs in their favour.
type prober struct {
	bits     int64 // of all bytes, each coded by itself, in units of 1/bit bit
	size     int64
	distinct int64 // bytes that occur
	above    int64 // greatest of them, and 1
	places   [1 << placeBits]uint32
}

const (
	placeBits = 10
	// matchCost is about what zstd takes to tell of a repeat, frameCost for there being any.
	matchCost = 16 * bit
	frameCost = 4 * 8 * bit
)

// look has the prober look at b, not empty.
func (p *prober) look(b []byte) {
	var count [256]uint32
	for _, c := range b {
		count[c]++
	}
	p.size, p.distinct = int64(len(b)), 0
	p.bits = xlog(uint32(len(b)))
	for i, c := range count {
		if c > 0 {
			p.bits -= xlog(c)
			p.distinct++
			p.above = int64(i) + 1
		}
	}
}

// huffman returns how many bytes Huffman makes: the table tells which of the
// lowest symbols occur, and of those that do how long their codes are.
func (p *prober) huffman() int {
	gaps := p.above - p.distinct
	which := xlog(uint32(p.above)) - xlog(uint32(p.distinct)) - xlog(uint32(gaps))
	table := 2*8*bit + which + p.distinct*bit*3/2
	if p.above <= 128 {
		table = min(table, 4*bit*p.above)
	}
	return int((p.bits+table)/(8*bit)) + 1
}

// fse returns how many bytes FSE makes: its table has a few bits a symbol and 2
// for up to 3 that don't occur; then there are the two states at the end.
func (p *prober) fse() int {
	table := p.distinct*4*bit + (p.above-p.distinct)*2*bit/3
	return int((p.bits+table)/(8*bit)) + 2
}

// repeats reports whether b, which the prober has looked at, repeats itself so
// much that it is shorter for zstd than byte by byte.
func (p *prober) repeats(b []byte) bool {
	clear(p.places[:])
	saved := int64(-frameCost)
	for i := 0; i+4 <= len(b); {
		w := binary.LittleEndian.Uint32(b[i:])
		place := &p.places[w*0x9e3779b1>>(32-placeBits)] // 2^32 by the golden ratio
		at := int(*place)
		*place = uint32(i)
		if at >= i || binary.LittleEndian.Uint32(b[at:]) != w {
			i++
			continue
		}
		n := common(b[at:], b[i:])
		if s := int64(n)*p.bits/p.size - matchCost; s > 0 {
			if saved += s; saved > 0 {
				return true
			}
		}
		i += n
	}
	return false
}

// common returns how many bytes a and b, the shorter, begin with alike.
func common(a, b []byte) int {
	n := 0
	for ; n+8 <= len(b); n += 8 {
		if x := binary.LittleEndian.Uint64(a[n:]) ^ binary.LittleEndian.Uint64(b[n:]); x != 0 {
			return n + bits.TrailingZeros64(x)>>3
		}
	}
	for n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

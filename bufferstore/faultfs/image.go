//go:build linux && !(386 || arm || mips || mipsle)

package faultfs

import (
	"maps"
	"math"
)

const (
	// sectorSize is what a disk writes whole or not at all.
	sectorSize = 512
	// blockSize is what the volume allocates, and what the kernel writes back.
	blockSize = 4096
)

// unwritten stands for a block that is allocated and has never been written,
// as fallocate leaves it. It is shared, so it is never written to.
var unwritten = new([blockSize]byte)

// image is the content of a file: its size and the blocks that are allocated.
// Blocks are shared between images; owned names those that belong to this one
// alone, or that it has freed. Bytes beyond size are zero.
type image struct {
	size   int64
	blocks map[int64]*[blockSize]byte
	owned  map[int64]bool
}

func newImage() *image {
	return &image{blocks: map[int64]*[blockSize]byte{}, owned: map[int64]bool{}}
}

func (m *image) clone() *image {
	return &image{size: m.size, blocks: maps.Clone(m.blocks), owned: map[int64]bool{}}
}

// block returns block i to be written to.
func (m *image) block(i int64) *[blockSize]byte {
	b := m.blocks[i]
	if b != nil && b != unwritten && m.owned[i] {
		return b
	}
	fresh := new([blockSize]byte)
	if b != nil {
		*fresh = *b
	}
	m.blocks[i], m.owned[i] = fresh, true
	return fresh
}

// read fills buf with what stands from off on, zeros beyond the end.
func (m *image) read(buf []byte, off int64) {
	for len(buf) > 0 {
		n := min(int64(len(buf)), blockSize-off%blockSize)
		if b := m.blocks[off/blockSize]; b != nil {
			copy(buf[:n], b[off%blockSize:])
		} else {
			clear(buf[:n])
		}
		buf, off = buf[n:], off+n
	}
}

// put writes data at off and leaves the size alone.
func (m *image) put(data []byte, off int64) {
	for len(data) > 0 {
		n := copy(m.block(off / blockSize)[off%blockSize:], data)
		data, off = data[n:], off+int64(n)
	}
}

// missing returns how many blocks from off up to end aren't allocated.
func (m *image) missing(off, end int64) (n int64) {
	for i := off / blockSize; i*blockSize < end; i++ {
		if m.blocks[i] == nil {
			n++
		}
	}
	return n
}

func (m *image) allocate(off, end int64) {
	for i := off / blockSize; i*blockSize < end; i++ {
		if m.blocks[i] == nil {
			m.blocks[i], m.owned[i] = unwritten, true
		}
	}
}

func (m *image) free(i int64) {
	delete(m.blocks, i)
	m.owned[i] = true
}

// zero frees the blocks wholly between off and end and clears the rest.
func (m *image) zero(off, end int64) {
	for i, b := range m.blocks {
		from, to := max(off-i*blockSize, 0), min(end-i*blockSize, blockSize)
		switch {
		case from >= to || b == unwritten && to-from < blockSize:
		case to-from == blockSize:
			m.free(i)
		default:
			clear(m.block(i)[from:to])
		}
	}
}

// resize sets the size; what lies beyond it is freed.
func (m *image) resize(size int64) {
	if size < m.size {
		m.trim(size)
	}
	m.size = size
}

func (m *image) trim(size int64) { m.zero(size, math.MaxInt64) }

package batch

import (
	"encoding/binary"

	"skyhaul/bufferstore"
)

// source takes values off the front of b; bad is set, and stays set, by the
// first that is not there, so that a decoder checks once.
type source struct {
	b   []byte
	bad bool
}

func (s *source) take(n uint64) []byte {
	if n > uint64(len(s.b)) {
		s.bad = true
		s.b = nil
		return nil
	}
	p := s.b[:n]
	s.b = s.b[n:]
	return p
}

func (s *source) byte() byte {
	if p := s.take(1); p != nil {
		return p[0]
	}
	return 0
}

func (s *source) uvarint() uint64 {
	v, n := binary.Uvarint(s.b)
	if n <= 0 {
		s.bad = true
		s.b = nil
		return 0
	}
	s.b = s.b[n:]
	return v
}

func (s *source) varint() int64 { return unzigzag(s.uvarint()) }

// uint32 reads a number of fixed width, big endian.
func (s *source) uint32() uint32 {
	if p := s.take(4); p != nil {
		return binary.BigEndian.Uint32(p)
	}
	return 0
}

// count reads a number that can't be greater than limit.
func (s *source) count(limit int) int {
	v := s.uvarint()
	if v > uint64(limit) {
		s.bad = true
		return 0
	}
	return int(v)
}

func (s *source) epoch() (e bufferstore.Epoch) {
	copy(e[:], s.take(uint64(len(e))))
	return e
}

// zigzag makes small numbers of either sign small numbers without one.
func zigzag(v int64) uint64 { return uint64(v)<<1 ^ uint64(v>>63) }

func unzigzag(u uint64) int64 { return int64(u>>1) ^ -int64(u&1) }

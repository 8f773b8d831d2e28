package model

import (
	"encoding/binary"
	"reflect"
)

// Append appends a snapshot, from which [ParseBytes] makes the model again:
//
//	0, or 1 and { bytes as in a new model uvarint | others uvarint | others }*
func (m *Bytes) Append(dst []byte) []byte {
	if m.learnt == nil {
		return append(dst, 0)
	}
	dst = append(dst, 1)
	b, fresh := m.image(), newLearnt().image()
	for i := 0; i < len(b); {
		start := i
		for i < len(b) && b[i] == fresh[i] {
			i++
		}
		same := i
		for i < len(b) && string(b[i:min(i+3, len(b))]) != string(fresh[i:min(i+3, len(b))]) {
			i++ // one or two that are the same cost less among the others
		}
		dst = binary.AppendUvarint(dst, uint64(same-start))
		dst = append(binary.AppendUvarint(dst, uint64(i-same)), b[same:i]...)
	}
	return dst
}

// ParseBytes reads the snapshot that b begins with and returns what follows it.
// The model goes on exactly as the one that the snapshot was made of.
func ParseBytes(b []byte) (m *Bytes, rest []byte, err error) {
	if len(b) == 0 || b[0] > 1 {
		return nil, nil, errSnapshot
	}
	m = NewBytes()
	if b[0] == 0 {
		return m, b[1:], nil
	}
	b = b[1:]
	m.learnt = newLearnt()
	image := m.image()
	for to := image; len(to) > 0; {
		same, k := binary.Uvarint(b)
		others, n := binary.Uvarint(b[max(k, 0):])
		if k <= 0 || n <= 0 || same > uint64(len(to)) || others > uint64(len(to))-same {
			return nil, nil, errSnapshot
		}
		b = b[k+n:]
		if others > uint64(len(b)) {
			return nil, nil, errSnapshot
		}
		to = to[same:]
		copy(to, b[:others])
		to, b = to[others:], b[others:]
	}
	m.walk(func(_ uint64, size int) (v uint64) {
		for i, c := range image[:size] {
			v |= uint64(c) << (8 * i)
		}
		image = image[size:]
		return v
	})
	return m, b, nil
}

// image returns all numbers of l, little endian.
func (l *learnt) image() []byte {
	b := make([]byte, 0, reflect.TypeFor[learnt]().Size())
	l.walk(func(v uint64, size int) uint64 {
		for i := range size {
			b = append(b, byte(v>>(8*i)))
		}
		return v
	})
	return b
}

// walk hands each number of l to f, with its bytes, and takes what f makes of it.
func (l *learnt) walk(f func(v uint64, size int) uint64) {
	for i := range l.slots {
		l.slots[i] = uint16(f(uint64(l.slots[i]), 2))
	}
	for i := range l.runs {
		l.runs[i] = uint32(f(uint64(l.runs[i]), 4))
	}
	for i := range l.chances {
		l.chances[i] = uint32(f(uint64(l.chances[i]), 4))
	}
	for i := range l.weights {
		for j := range l.weights[i] {
			l.weights[i][j] = int32(f(uint64(l.weights[i][j]), 4))
		}
	}
	for i := range l.ring {
		l.ring[i] = byte(f(uint64(l.ring[i]), 1))
	}
	l.next = uint32(f(uint64(l.next), 4))
	for i := range l.heads {
		l.heads[i] = uint16(f(uint64(l.heads[i]), 2))
	}
	for i := range l.firsts {
		l.firsts[i] = uint16(f(uint64(l.firsts[i]), 2))
	}
	bit := func(b *Bit) { b.p, b.n = uint16(f(uint64(b.p), 2)), uint8(f(uint64(b.n), 1)) }
	for _, n := range [...]*Number{&l.size, &l.later, &l.drift} {
		for i := range n.longer {
			bit(&n.longer[i])
			bit(&n.second[i])
		}
	}
	for i := range l.last {
		bit(&l.timed[i])
		l.last[i] = stamp{f(l.last[i].boot, 8), f(l.last[i].wall, 8)}
	}
}

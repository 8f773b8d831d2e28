package model

// Bytes is the model of records that are no rows: what it has learnt from the
// records so far makes the next ones short. A Bytes is for one goroutine.
type Bytes struct {
	size Number
}

// NewBytes returns a model that has learnt nothing.
func NewBytes() *Bytes { return new(Bytes) }

// Code codes a record and returns it; when reading it is a new one. ok is false
// if a reader finds one of more than limit bytes.
func (m *Bytes) Code(c *Coder, b []byte, limit int) (got []byte, ok bool) {
	n := m.size.Code(c, uint64(len(b)))
	if c.decoding {
		if n > uint64(limit) {
			return nil, false
		}
		b = make([]byte, n)
	}
	for i := range b {
		b[i] = byte(c.Bits(uint64(b[i]), 8))
	}
	return b, true
}

// Clone returns a model of its own that has learnt the same.
func (m *Bytes) Clone() *Bytes { n := *m; return &n }

// Size returns the bytes of memory that the model takes.
func (m *Bytes) Size() int { return 1024 }

// Append appends a snapshot, from which [ParseBytes] makes the model again.
func (m *Bytes) Append(dst []byte) []byte {
	for _, side := range [2]*[64]Bit{&m.size.longer, &m.size.second} {
		for _, b := range side {
			dst = append(dst, byte(b.p>>8), byte(b.p), b.n)
		}
	}
	return dst
}

// ParseBytes reads a snapshot and returns what is left of b.
func ParseBytes(b []byte) (m *Bytes, rest []byte, err error) {
	m = new(Bytes)
	for _, side := range [2]*[64]Bit{&m.size.longer, &m.size.second} {
		if len(b) < 192 {
			return nil, nil, errSnapshot
		}
		for i := range side {
			side[i] = Bit{uint16(b[0])<<8 | uint16(b[1]), b[2]}
			b = b[3:]
		}
	}
	return m, b, nil
}

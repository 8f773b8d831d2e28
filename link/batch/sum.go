package batch

import (
	"encoding/binary"
	"hash/crc32"
	"slices"

	"skyhaul/bufferstore"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// sum is a CRC-32C over decoded content, so that a payload that unpacks to
// anything but what was packed is never taken, whatever went wrong.
type sum struct {
	crc uint32
	b   []byte
}

func (s *sum) add(b []byte) { s.crc = crc32.Update(s.crc, castagnoli, b) }

// sumRoom is enough for what header and record take together at a time.
const sumRoom = 48

// header adds the header of a batch:
//
//	first byte u8 | lane u8 | epoch 8 | first u64 | acked u64 | opening u8: 0 or 1 | [parent 8 | opening first u64]
func (s *sum) header(level byte, h *Header, first bufferstore.Seq) {
	b := append(slices.Grow(s.b[:0], sumRoom), level, byte(h.Lane))
	b = append(b, h.Epoch[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(first))
	b = binary.BigEndian.AppendUint64(b, uint64(h.Acked))
	if o := h.Opening; o != nil {
		b = append(append(b, 1), o.Parent[:]...)
		b = binary.BigEndian.AppendUint64(b, uint64(o.First))
	} else {
		b = append(b, 0)
	}
	s.add(b)
	s.b = b
}

// chained adds the header of a batch of level B: that of any batch, and the name
// of its base u32, 0 for none.
func (s *sum) chained(h *chainHeader) {
	s.header(levelB, &h.Header, h.first)
	s.b = binary.BigEndian.AppendUint32(s.b[:0], h.base)
	s.add(s.b)
}

// record adds a record or gap:
//
//	epoch 8 | first u64 | last u64 | reason u8 | length u32 | the record
func (s *sum) record(r *bufferstore.Record) {
	b := append(s.b[:0], r.Epoch[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(r.First))
	b = binary.BigEndian.AppendUint64(b, uint64(r.Last))
	b = append(b, byte(r.Lost))
	b = binary.BigEndian.AppendUint32(b, uint32(len(r.Data)))
	s.add(b)
	s.add(r.Data)
	s.b = b
}

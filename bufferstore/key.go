package bufferstore

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"time"
)

// formatVersion is that of keys and values; a store with a higher one is set aside.
const formatVersion = 1

// The kinds of keys. All numbers in keys and values are big endian; lane is
// one byte of length and the name.
//
//	v                            version u8
//	a                            store age u64, ns
//	l lane                       first u64 | end u64 | low u32 | live u32 | next u32 | epoch [8]
//	e lane first u64             epoch [8] | parent [8]
//	g lane first u64             last u64 | reason u8
//	k lane name                  sent u64 | acked u64 | max age u64, ns | max bytes u64
//	s lane segment u32           age u64, ns | bytes u64 | first u64 | {skipped uvarint | count uvarint}...
//	h lane first u64             small chunk
//	c lane segment u32 first u64 sealed chunk
//
// Behind every value but chunks, which have their own, stands the CRC32C of
// key and value.
const (
	keyVersion = 'v'
	keyAge     = 'a'
	keyLane    = 'l'
	keySpan    = 'e'
	keyGap     = 'g'
	keyCursor  = 'k'
	keySegment = 's'
	keyHead    = 'h'
	keySealed  = 'c'
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func laneKey(kind byte, lane string) []byte {
	return append([]byte{kind, byte(len(lane))}, lane...)
}

func seqKey(kind byte, lane string, first Seq) []byte {
	return binary.BigEndian.AppendUint64(laneKey(kind, lane), uint64(first))
}

func segmentKey(kind byte, lane string, segment uint32) []byte {
	return binary.BigEndian.AppendUint32(laneKey(kind, lane), segment)
}

func sealedKey(lane string, segment uint32, first Seq) []byte {
	return binary.BigEndian.AppendUint64(segmentKey(keySealed, lane, segment), uint64(first))
}

// put is the operation that sets key to value and its checksum.
func put(key, value []byte) op {
	return op{key, binary.BigEndian.AppendUint32(value, checksum(key, value))}
}

// take returns the value that put was given, if it has the length n; n < 0 is any.
func take(key, stored []byte, n int) ([]byte, error) {
	end := len(stored) - 4
	if end < 0 || binary.BigEndian.Uint32(stored[end:]) != checksum(key, stored[:end]) {
		return nil, fmt.Errorf("key %q: checksum: %w", key, errDamaged)
	}
	if n >= 0 && end != n {
		return nil, fmt.Errorf("key %q: length %d, want %d: %w", key, end, n, errDamaged)
	}
	return stored[:end], nil
}

func checksum(key, value []byte) uint32 {
	return crc32.Update(crc32.Checksum(key, castagnoli), castagnoli, value)
}

func encodeNumbers(v ...uint64) []byte {
	b := make([]byte, 0, 8*len(v)+4)
	for _, n := range v {
		b = binary.BigEndian.AppendUint64(b, n)
	}
	return b
}

func number(b []byte, i int) uint64 { return binary.BigEndian.Uint64(b[8*i:]) }

// maxSeq bounds numbers that are read, so that sums of two can't overflow.
const maxSeq = 1 << 62

// extent is where a chunk lies in its lane.
type extent struct{ first, last Seq }

// encodeSegment writes the value of a segment: see keySegment.
func encodeSegment(age time.Duration, bytes int64, chunks []extent) []byte {
	b := encodeNumbers(uint64(age), uint64(bytes), uint64(chunks[0].first))
	next := chunks[0].first
	for _, c := range chunks {
		b = binary.AppendUvarint(b, uint64(c.first-next))
		b = binary.AppendUvarint(b, uint64(c.last-c.first))
		next = c.last + 1
	}
	return b
}

// decodeSegment reads what encodeSegment wrote.
func decodeSegment(b []byte) (age time.Duration, bytes int64, chunks []extent, err error) {
	if len(b) < 24 {
		return 0, 0, nil, errDamaged
	}
	age, bytes = time.Duration(number(b, 0)), int64(number(b, 1))
	next := number(b, 2)
	if next >= maxSeq {
		return 0, 0, nil, errDamaged
	}
	for b = b[24:]; len(b) > 0; {
		var pair [2]uint64
		for i := range pair {
			v, n := binary.Uvarint(b)
			if n <= 0 || v >= maxSeq {
				return 0, 0, nil, errDamaged
			}
			pair[i], b = v, b[n:]
		}
		first := next + pair[0]
		last := first + pair[1]
		if last >= maxSeq {
			return 0, 0, nil, errDamaged
		}
		chunks = append(chunks, extent{Seq(first), Seq(last)})
		next = last + 1
	}
	if len(chunks) == 0 || chunks[0].first == 0 || bytes < 0 {
		return 0, 0, nil, errDamaged
	}
	return age, bytes, chunks, nil
}

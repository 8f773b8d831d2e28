package bufferstore

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"time"
)

const (
	chunkMagic   = "SKYC"
	chunkVersion = 1
	chunkHeader  = 40 // bytes before the lane's name

	formRaw   = 0
	formCoded = 1
)

// chunk is where a run of records lies and what it costs.
type chunk struct {
	epoch       Epoch
	first, last Seq
	age         time.Duration // of the store when it was written
	bytes       int64         // of its value
}

// encodeChunk makes the value that holds records of one epoch without a hole:
//
//	0      4         5      6            8       16      24     32    40     40+n        len-4
//	+------+---------+------+------------+-------+-------+------+-----+------+-----------+--------+
//	| SKYC | version | form | n, of lane | epoch | first | last | age | lane | body      | crc32c |
//	+------+---------+------+------------+-------+-------+------+-----+------+-----------+--------+
//
// A raw body is {length uvarint | bytes} for each record; a coded one is the codec's.
func encodeChunk(lane string, c chunk, form byte, body []byte) []byte {
	b := make([]byte, 0, chunkHeader+len(lane)+len(body)+4)
	b = append(b, chunkMagic...)
	b = append(b, chunkVersion, form)
	b = binary.BigEndian.AppendUint16(b, uint16(len(lane)))
	b = append(b, c.epoch[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(c.first))
	b = binary.BigEndian.AppendUint64(b, uint64(c.last))
	b = binary.BigEndian.AppendUint64(b, uint64(c.age))
	b = append(b, lane...)
	b = append(b, body...)
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

// decodeChunk reads what encodeChunk wrote. The body lies in b.
func decodeChunk(lane string, b []byte) (c chunk, form byte, body []byte, err error) {
	bad := func(what string) (chunk, byte, []byte, error) {
		return chunk{}, 0, nil, fmt.Errorf("chunk: %s: %w", what, errDamaged)
	}
	end := len(b) - 4
	if end < chunkHeader || string(b[:4]) != chunkMagic {
		return bad("magic")
	}
	if b[4] != chunkVersion || b[5] > formCoded {
		return bad("version")
	}
	if binary.BigEndian.Uint32(b[end:]) != crc32.Checksum(b[:end], castagnoli) {
		return bad("checksum")
	}
	name := chunkHeader + int(binary.BigEndian.Uint16(b[6:]))
	if name > end || string(b[chunkHeader:name]) != lane {
		return bad("lane")
	}
	c = chunk{
		epoch: Epoch(b[8:16]),
		first: Seq(number(b, 2)),
		last:  Seq(number(b, 3)),
		age:   time.Duration(number(b, 4)),
		bytes: int64(len(b)),
	}
	if c.first == 0 || c.last < c.first || c.last >= maxSeq {
		return bad("range")
	}
	return c, b[5], b[name:end], nil
}

// appendRaw adds a record to a raw body.
func appendRaw(body, rec []byte) []byte {
	body = binary.AppendUvarint(body, uint64(len(rec)))
	return append(body, rec...)
}

// eachRaw yields the records of a raw body, which lie in it.
func eachRaw(body []byte, yield func(rec []byte) bool) error {
	for len(body) > 0 {
		size, n := binary.Uvarint(body)
		if n <= 0 || size > uint64(len(body)-n) {
			return fmt.Errorf("record length: %w", errDamaged)
		}
		end := n + int(size)
		if !yield(body[n:end:end]) {
			return nil
		}
		body = body[end:]
	}
	return nil
}

// unpack yields the bytes of a chunk's records in order.
func (s *Store) unpack(form byte, body []byte, yield func(rec []byte) bool) error {
	if form == formRaw {
		return eachRaw(body, yield)
	}
	if s.options.Codec == nil {
		return errNoCodec
	}
	return s.options.Codec.Open(body, func(r Record) bool { return yield(r.Data) })
}

package bufferstore

import (
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"time"
)

const (
	chunkMagic   = "SKYC"
	chunkVersion = 2
	chunkHeader  = 44 // bytes before the lane's name

	// maxChunk bounds what is read for one chunk: the longest record, or a full
	// body, with what stands around it.
	maxChunk = 2 << 20

	// maxSeq bounds numbers that are read, so that sums of two can't overflow.
	maxSeq = 1 << 62

	formCoded     = 1 // the codec packed the body
	formEncrypted = 2
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

var (
	// errKey says that an intact chunk needs a key, or another one.
	errKey     = errors.New("wrong key")
	errNoCodec = errors.New("no codec")
)

// chunk is a run of records of one epoch without a hole.
type chunk struct {
	epoch       Epoch
	first, last Seq
	age         time.Duration // of the store when it was written
}

// sealedChunk is a chunk with the value that encodeChunk made for it.
type sealedChunk struct {
	chunk
	value []byte
}

// encodeChunk makes the value that holds records of one epoch without a hole:
//
//	0      4         5      6            8        12      20      28     36    44     44+n   len-4
//	+------+---------+------+------------+--------+-------+-------+------+-----+------+------+--------+
//	| SKYC | version | form | n, of lane | length | epoch | first | last | age | lane | body | crc32c |
//	+------+---------+------+------------+--------+-------+-------+------+-----+------+------+--------+
//
// Length is that of the whole. A raw body is {length uvarint | bytes} for each
// record, a coded one the codec's. With an aead, which chooses its own nonces,
// the body is what it sealed, with all that stands before as additional data.
func encodeChunk(aead cipher.AEAD, lane string, c chunk, coded bool, body []byte) []byte {
	var form byte
	if coded {
		form |= formCoded
	}
	length := chunkHeader + len(lane) + len(body) + 4
	if aead != nil {
		form |= formEncrypted
		length += aead.Overhead()
	}
	b := make([]byte, 0, length)
	b = append(b, chunkMagic...)
	b = append(b, chunkVersion, form)
	b = binary.BigEndian.AppendUint16(b, uint16(len(lane)))
	b = binary.BigEndian.AppendUint32(b, uint32(length))
	b = append(b, c.epoch[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(c.first))
	b = binary.BigEndian.AppendUint64(b, uint64(c.last))
	b = binary.BigEndian.AppendUint64(b, uint64(c.age))
	b = append(b, lane...)
	if aead != nil {
		b = aead.Seal(b, nil, body, b)
	} else {
		b = append(b, body...)
	}
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

// parseHeader reads what stands before the body of a chunk of lane, without
// knowing yet that it is intact. Length is that of the whole chunk.
func parseHeader(lane string, b []byte) (c chunk, length int, err error) {
	bad := func(what string) (chunk, int, error) {
		return chunk{}, 0, fmt.Errorf("chunk: %s: %w", what, errDamaged)
	}
	name := chunkHeader + len(lane)
	if len(b) < name || string(b[:4]) != chunkMagic {
		return bad("magic")
	}
	if b[4] != chunkVersion || b[5]&^(formCoded|formEncrypted) != 0 {
		return bad("version")
	}
	if int(binary.BigEndian.Uint16(b[6:])) != len(lane) || string(b[chunkHeader:name]) != lane {
		return bad("lane")
	}
	size := binary.BigEndian.Uint32(b[8:])
	if size < uint32(name+4) || size > maxChunk {
		return bad("length")
	}
	c = chunk{
		epoch: Epoch(b[12:20]),
		first: Seq(binary.BigEndian.Uint64(b[20:])),
		last:  Seq(binary.BigEndian.Uint64(b[28:])),
		age:   time.Duration(binary.BigEndian.Uint64(b[36:])),
	}
	if c.first == 0 || c.last < c.first || c.last >= maxSeq || c.age < 0 {
		return bad("range")
	}
	return c, int(size), nil
}

// checkChunk tells which records an intact chunk of lane holds. It takes no key.
func checkChunk(lane string, b []byte) (chunk, error) {
	c, length, err := parseHeader(lane, b)
	if err != nil {
		return chunk{}, err
	}
	if length != len(b) {
		return chunk{}, fmt.Errorf("chunk: length %d, want %d: %w", len(b), length, errDamaged)
	}
	if end := length - 4; binary.BigEndian.Uint32(b[end:]) != crc32.Checksum(b[:end], castagnoli) {
		return chunk{}, fmt.Errorf("chunk: checksum: %w", errDamaged)
	}
	return c, nil
}

// decodeChunk reads what encodeChunk wrote, with the key or without one. A body
// that isn't encrypted lies in b. The error is errDamaged, or errKey for an intact
// chunk that aead doesn't open.
func decodeChunk(aead cipher.AEAD, lane string, b []byte) (c chunk, coded bool, body []byte, err error) {
	if c, err = checkChunk(lane, b); err != nil {
		return chunk{}, false, nil, err
	}
	name := chunkHeader + len(lane)
	form, body := b[5], b[name:len(b)-4:len(b)-4]
	if form&formEncrypted != 0 {
		if aead == nil {
			return chunk{}, false, nil, fmt.Errorf("chunk: %w: there is none", errKey)
		}
		if body, err = aead.Open(nil, nil, body, b[:name]); err != nil {
			return chunk{}, false, nil, fmt.Errorf("chunk: %w", errKey)
		}
	}
	return c, form&formCoded != 0, body, nil
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
func unpack(codec Codec, coded bool, body []byte, yield func(rec []byte) bool) error {
	if !coded {
		return eachRaw(body, yield)
	}
	if codec == nil {
		return errNoCodec
	}
	return codec.Open(body, func(r Record) bool { return yield(r.Data) })
}

package bufferstore

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"sort"
	"time"
)

const (
	sealedMagic   = "SKYS"
	sealedVersion = 1
	sealedHeader  = 30 // bytes before the lane's name
	sealedChunks  = 28 // bytes for each chunk
	maxSealed     = 4 << 20
)

// sealed is what the file of that name tells about the segment it lies in.
type sealed struct {
	lane   string
	number uint64
	age    time.Duration // of the store when the newest chunk was written
	chunks []extent      // in order, none over another
	files  []sealedFile  // all the others, in order of their names
}

// extent is where a chunk lies in its lane.
type extent struct {
	epoch       Epoch
	first, last Seq
	length      int // bytes of its value
}

// sealedFile is what a file of the segment holds.
type sealedFile struct {
	name   string
	length int64
	crc    uint32 // CRC32C
}

// encodeSealed makes the file sealed, all numbers big endian:
//
//	0      4         5            6        14    22       26      30     30+n       ...        len-4
//	+------+---------+------------+--------+-----+--------+-------+------+----------+----------+--------+
//	| SKYS | version | n, of lane | number | age | chunks | files | lane | chunk... | file...  | crc32c |
//	+------+---------+------------+--------+-----+--------+-------+------+----------+----------+--------+
//
//	chunk: epoch [8] | first u64 | last u64 | length u32
//	file:  n u8 | name | length u64 | crc32c u32
func encodeSealed(s sealed) []byte {
	b := append([]byte(sealedMagic), sealedVersion, byte(len(s.lane)))
	b = binary.BigEndian.AppendUint64(b, s.number)
	b = binary.BigEndian.AppendUint64(b, uint64(s.age))
	b = binary.BigEndian.AppendUint32(b, uint32(len(s.chunks)))
	b = binary.BigEndian.AppendUint32(b, uint32(len(s.files)))
	b = append(b, s.lane...)
	for _, c := range s.chunks {
		b = append(b, c.epoch[:]...)
		b = binary.BigEndian.AppendUint64(b, uint64(c.first))
		b = binary.BigEndian.AppendUint64(b, uint64(c.last))
		b = binary.BigEndian.AppendUint32(b, uint32(c.length))
	}
	for _, f := range s.files {
		b = append(b, byte(len(f.name)))
		b = append(b, f.name...)
		b = binary.BigEndian.AppendUint64(b, uint64(f.length))
		b = binary.BigEndian.AppendUint32(b, f.crc)
	}
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

// decodeSealed reads what encodeSealed wrote. Its error is errDamaged.
func decodeSealed(b []byte) (sealed, error) {
	bad := func(what string) (sealed, error) {
		return sealed{}, fmt.Errorf("sealed: %s: %w", what, errDamaged)
	}
	end := len(b) - 4
	if end < sealedHeader || string(b[:4]) != sealedMagic || b[4] != sealedVersion {
		return bad("magic")
	}
	if binary.BigEndian.Uint32(b[end:]) != crc32.Checksum(b[:end], castagnoli) {
		return bad("checksum")
	}
	name := sealedHeader + int(b[5])
	if name > end {
		return bad("lane")
	}
	s := sealed{
		lane:   string(b[sealedHeader:name]),
		number: binary.BigEndian.Uint64(b[6:]),
		age:    time.Duration(binary.BigEndian.Uint64(b[14:])),
	}
	chunks, files := binary.BigEndian.Uint32(b[22:]), binary.BigEndian.Uint32(b[26:])
	rest, ok := s.takeChunks(b[name:end], chunks)
	if !ok || s.age < 0 {
		return bad("chunks")
	}
	if !s.takeFiles(rest, files) {
		return bad("files")
	}
	return s, nil
}

func (s *sealed) takeChunks(b []byte, count uint32) (rest []byte, ok bool) {
	if count == 0 || uint64(count)*sealedChunks > uint64(len(b)) {
		return nil, false
	}
	s.chunks = make([]extent, count)
	var before Seq
	for i := range s.chunks {
		c := extent{
			epoch:  Epoch(b[:8]),
			first:  Seq(binary.BigEndian.Uint64(b[8:])),
			last:   Seq(binary.BigEndian.Uint64(b[16:])),
			length: int(min(binary.BigEndian.Uint32(b[24:]), maxChunk+1)),
		}
		if c.first <= before || c.last < c.first || c.last >= maxSeq || c.length > maxChunk {
			return nil, false
		}
		s.chunks[i], before, b = c, c.last, b[sealedChunks:]
	}
	return b, true
}

// takeFiles wants count files and nothing behind them.
func (s *sealed) takeFiles(b []byte, count uint32) bool {
	for ; count > 0; count-- {
		if len(b) == 0 || len(b) < 1+int(b[0])+12 {
			return false
		}
		name := string(b[1 : 1+b[0]])
		b = b[1+len(name):]
		f := sealedFile{name, int64(binary.BigEndian.Uint64(b)), binary.BigEndian.Uint32(b[8:])}
		if n := len(s.files); f.length < 0 || n > 0 && f.name <= s.files[n-1].name {
			return false
		}
		s.files, b = append(s.files, f), b[12:]
	}
	return len(b) == 0
}

// find returns the index of the first chunk that ends at seq or behind it,
// len(s.chunks) if there is none.
func (s *sealed) find(seq Seq) int {
	return sort.Search(len(s.chunks), func(i int) bool { return s.chunks[i].last >= seq })
}

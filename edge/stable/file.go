package stable

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
)

// A file holds one value:
//
//	magic "SKYV" | version u8 = 1 | revision u64 | length u32 | value | crc32c u32 over all before it
//
// Numbers are big endian. Nothing may follow.
const (
	magic    = "SKYV"
	version  = 1
	header   = 4 + 1 + 8 + 4
	overhead = header + 4
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func encode(revision uint64, value []byte) []byte {
	b := make([]byte, 0, len(value)+overhead)
	b = append(b, magic...)
	b = append(b, version)
	b = binary.BigEndian.AppendUint64(b, revision)
	b = binary.BigEndian.AppendUint32(b, uint32(len(value)))
	b = append(b, value...)
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

func decode(b []byte) (revision uint64, value []byte, err error) {
	if len(b) < overhead || string(b[:len(magic)]) != magic {
		return 0, nil, fmt.Errorf("%d bytes that are no value", len(b))
	}
	if v := b[len(magic)]; v != version {
		return 0, nil, fmt.Errorf("version %d, want %d", v, version)
	}
	body, sum := b[:len(b)-4], binary.BigEndian.Uint32(b[len(b)-4:])
	if n := binary.BigEndian.Uint32(body[header-4:]); uint64(n) != uint64(len(b)-overhead) || n > MaxValue {
		return 0, nil, fmt.Errorf("length %d in a file of %d bytes", n, len(b))
	}
	if crc32.Checksum(body, castagnoli) != sum {
		return 0, nil, errors.New("checksum does not match")
	}
	return binary.BigEndian.Uint64(body[len(magic)+1:]), body[header:], nil
}

package archive

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"maps"
	"slices"

	"skyhaul/edge/point"
	"skyhaul/modbus"
)

// digest names the content of a record: the first 8 bytes of its SHA-256.
type digest [8]byte

func digestOf(raw []byte) digest {
	sum := sha256.Sum256(raw)
	return digest(sum[:8])
}

const stateVersion = 1

var errState = errors.New("state is damaged or of another version")

// ringState is what is remembered of an archive.
type ringState struct {
	begun  bool
	newest uint16 // number of the record that was the newest
	when   reading
	seen   map[uint16]digest
}

// append encodes the state:
//
//	version u8 | begun u8 | newest uvarint | quality u8 | local varint | utc varint | records uvarint { number uvarint | digest 8 }*
func (s *ringState) append(dst []byte) []byte {
	var begun byte
	if s.begun {
		begun = 1
	}
	dst = append(dst, stateVersion, begun)
	dst = binary.AppendUvarint(dst, uint64(s.newest))
	dst = append(dst, byte(s.when.quality))
	dst = binary.AppendVarint(dst, s.when.local)
	dst = binary.AppendVarint(dst, s.when.utc)
	dst = binary.AppendUvarint(dst, uint64(len(s.seen)))
	for _, i := range slices.Sorted(maps.Keys(s.seen)) {
		d := s.seen[i]
		dst = append(binary.AppendUvarint(dst, uint64(i)), d[:]...)
	}
	return dst
}

func (s *ringState) parse(b []byte) error {
	r := stateReader{b: b}
	version, begun := r.byte(), r.byte()
	got := ringState{begun: begun == 1, newest: uint16(r.uvarint(0xffff))}
	got.when.quality = point.Quality(r.byte())
	got.when.local, got.when.utc = r.varint(), r.varint()
	n := r.uvarint(0x10000)
	got.seen = make(map[uint16]digest)
	for ; n > 0 && !r.bad; n-- {
		i := uint16(r.uvarint(0xffff))
		got.seen[i] = r.digest()
	}
	if r.bad || len(r.b) > 0 || version != stateVersion || begun > 1 {
		return errState
	}
	*s = got
	return nil
}

// journalState is what is remembered of a log.
type journalState struct {
	next uint32 // number that the next entry gets
	// pending are the entries of the last answer, until it is known that the
	// instrument has forgotten them; the last has number next-1.
	pending []digest
}

// append encodes the state:
//
//	version u8 | next uvarint | pending uvarint { digest 8 }*
func (s *journalState) append(dst []byte) []byte {
	dst = append(dst, stateVersion)
	dst = binary.AppendUvarint(dst, uint64(s.next))
	dst = binary.AppendUvarint(dst, uint64(len(s.pending)))
	for i := range s.pending {
		dst = append(dst, s.pending[i][:]...)
	}
	return dst
}

func (s *journalState) parse(b []byte) error {
	r := stateReader{b: b}
	version := r.byte()
	got := journalState{next: uint32(r.uvarint(0xffffffff))}
	for n := r.uvarint(modbus.MaxPDU); n > 0 && !r.bad; n-- {
		got.pending = append(got.pending, r.digest())
	}
	if r.bad || len(r.b) > 0 || version != stateVersion || got.next == 0 {
		return errState
	}
	*s = got
	return nil
}

// stateReader takes values off the front of b; bad is set by the first that is
// not there or too great.
type stateReader struct {
	b   []byte
	bad bool
}

func (r *stateReader) take(n int) []byte {
	if n <= 0 || len(r.b) < n {
		r.bad, r.b = true, nil
		return make([]byte, max(n, 1))
	}
	b := r.b[:n]
	r.b = r.b[n:]
	return b
}

func (r *stateReader) byte() byte { return r.take(1)[0] }

func (r *stateReader) digest() digest { return digest(r.take(len(digest{}))) }

func (r *stateReader) uvarint(most uint64) uint64 {
	v, n := binary.Uvarint(r.b)
	r.take(n)
	r.bad = r.bad || v > most
	return v
}

func (r *stateReader) varint() int64 {
	v, n := binary.Varint(r.b)
	r.take(n)
	return v
}

package bufferstore

import (
	"bytes"
	"crypto/cipher"
	"encoding/binary"
	"hash/crc32"
	"iter"
)

const (
	headMagic = "SKH"
	// headVersion rises with each change of what a head file, a segment or a chunk
	// looks like: an older program knows by it alone that a store isn't for it.
	headVersion = 1
	frameHeader = 17
)

// kind says what a frame of the head holds. Numbers are big endian, lane and
// name are a length, uvarint, and the text.
type kind byte

// The kinds of frames.
const (
	// kindCheckpoint holds all that is known but the records: see checkpoint.go.
	kindCheckpoint kind = 'C'
	// kindAge is the first frame of each commit:
	//	age u64, ns, of the store
	kindAge kind = 'A'
	// kindRecord:
	//	lane | epoch [8] | seq u64 | data
	kindRecord kind = 'R'
	// kindPacked holds records of one commit, packed with zstd: for each its length,
	// uvarint, and the body of a kindRecord, of which the data behind its ninth byte
	// on is the difference, byte by byte, from the last one before it in the pack
	// of the same lane, length and first nine bytes of data, if there is one.
	kindPacked kind = 'P'
	// kindGap declares numbers lost:
	//	lane | first u64 | last u64 | reason u8
	kindGap kind = 'G'
	// kindCut says what is the oldest number kept, and which below it are lost:
	//	lane | first u64 | lost from u64, not below first if none | reason u8
	kindCut kind = 'X'
	// kindCursor:
	//	lane | name | sent u64 | acked u64 | max age u64, ns | max bytes u64
	kindCursor kind = 'K'
	// kindNoCursor says that a cursor is gone:
	//	lane | name
	kindNoCursor kind = 'N'
	// kindSealed says that a segment holds what the head held:
	//	lane | number u64 | first u64 | last u64 | age u64, ns | bytes u64 | chunks u32
	kindSealed kind = 'S'
)

// event is a frame's content.
type event struct {
	kind kind
	body []byte
}

// tag marks the frames of one filling of a head file: frames that an earlier
// filling left behind it have a lower generation and are never replayed.
//
//	0     3         4            8
//	+-----+---------+------------+
//	| SKH | version | generation |
//	+-----+---------+------------+
type tag [8]byte

func newTag(generation uint32) (t tag) {
	copy(t[:], headMagic)
	t[3] = headVersion
	binary.BigEndian.PutUint32(t[4:], generation)
	return t
}

func (t tag) generation() uint32 { return binary.BigEndian.Uint32(t[4:]) }

// appendFrame adds a frame to a commit:
//
//	0        4        8     16     17
//	+--------+--------+-----+------+------+
//	| crc32c | length | tag | kind | body |
//	+--------+--------+-----+------+------+
//
// The length is that of the body; the checksum covers all behind it. With a key
// the body is sealed, tag and kind being authenticated with it, and the high
// bit of kind is set. Without one the body is guarded: see guard.
func appendFrame(b []byte, t tag, e event, key cipher.AEAD) []byte {
	start := len(b)
	b = append(b, 0, 0, 0, 0, 0, 0, 0, 0)
	b = append(b, t[:]...)
	if key == nil {
		b = append(append(b, byte(e.kind)), guard(e.body)...)
	} else {
		b = append(b, byte(e.kind)|encryptedFrame)
		b = key.Seal(b, nil, e.body, bytes.Clone(b[start+8:start+frameHeader]))
	}
	binary.BigEndian.PutUint32(b[start+4:], uint32(len(b)-start-frameHeader))
	binary.BigEndian.PutUint32(b[start:], crc32.Checksum(b[start+4:], castagnoli))
	return b
}

const encryptedFrame = 0x80

const (
	guarded   = "SK" // as the magic begins
	guardByte = "\x00"
)

// guard makes sure that no frame is found in a body: one that a device has sent as
// a value, and whose own frame is damaged or half overwritten, would be replayed.
func guard(body []byte) []byte {
	if !bytes.Contains(body, []byte(guarded)) {
		return body
	}
	return bytes.ReplaceAll(body, []byte(guarded), []byte(guarded+guardByte))
}

// unguard takes away what guard has put in.
func unguard(body []byte) []byte {
	if !bytes.Contains(body, []byte(guarded)) {
		return body
	}
	return bytes.ReplaceAll(body, []byte(guarded+guardByte), []byte(guarded))
}

// parseFrame reads the frame at the beginning of b, which ends there. It reports
// false where there is none that is intact.
func parseFrame(b []byte) (fr frame, ok bool) {
	if len(b) < frameHeader || string(b[8:11]) != headMagic {
		return frame{}, false
	}
	n := int64(binary.BigEndian.Uint32(b[4:]))
	if n > int64(len(b)-frameHeader) {
		return frame{}, false
	}
	end := frameHeader + int(n)
	if binary.BigEndian.Uint32(b) != crc32.Checksum(b[4:end], castagnoli) {
		return frame{}, false
	}
	fr = frame{end: end, tag: tag(b[8:16]), kind: kind(b[16]), body: b[frameHeader:end:end]}
	if fr.kind&encryptedFrame == 0 {
		fr.body = unguard(fr.body)
	}
	return fr, true
}

// frame is one that was found in a head file.
type frame struct {
	at, end int // bytes
	tag     tag
	kind    kind
	body    []byte
}

// frames yields all intact frames in b: behind a damaged place it goes on at the
// next frame that is intact, wherever that begins.
func frames(b []byte) iter.Seq[frame] {
	return func(yield func(frame) bool) {
		for at := 0; at+frameHeader <= len(b); {
			fr, ok := parseFrame(b[at:])
			if !ok {
				at = nextFrame(b, at)
				continue
			}
			fr.at, fr.end = at, at+fr.end
			if !yield(fr) {
				return
			}
			at = fr.end
		}
	}
}

// nextFrame returns where behind at a frame may begin.
func nextFrame(b []byte, at int) int {
	from := at + 9 // its magic stands 8 bytes behind its beginning
	if from >= len(b) {
		return len(b)
	}
	i := bytes.Index(b[from:], []byte(headMagic))
	if i < 0 {
		return len(b)
	}
	return from + i - 8
}

// fields reads the fields of a frame's body. Behind its end they are zero, and short is true.
type fields struct {
	b     []byte
	short bool
}

func (f *fields) bytes(n int) []byte {
	if f.short = f.short || n > len(f.b); f.short {
		return make([]byte, min(n, 255))
	}
	v := f.b[:n]
	f.b = f.b[n:]
	return v
}

func (f *fields) u64() uint64 { return binary.BigEndian.Uint64(f.bytes(8)) }
func (f *fields) u32() uint32 { return binary.BigEndian.Uint32(f.bytes(4)) }
func (f *fields) u8() uint8   { return f.bytes(1)[0] }

// seq reads a number; one that sums could overflow is damage.
func (f *fields) seq() Seq {
	n := f.u64()
	if f.short = f.short || n > maxSeq; f.short {
		return 0
	}
	return Seq(n)
}

func (f *fields) text() string {
	size, n := binary.Uvarint(f.b)
	if f.short = f.short || n <= 0 || size > uint64(len(f.b)-n); f.short {
		return ""
	}
	f.b = f.b[n:]
	return string(f.bytes(int(size)))
}

func (f *fields) epoch() Epoch { return Epoch(f.bytes(8)) }

// length reads the length of a list whose members take at least size bytes.
func (f *fields) length(size int) int {
	n := int64(f.u32())
	if f.short = f.short || n*int64(size) > int64(len(f.b)); f.short {
		return 0
	}
	return int(n)
}

// whole reports whether all was read and nothing is left.
func (f *fields) whole() bool { return !f.short && len(f.b) == 0 }

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func appendU64(b []byte, v ...uint64) []byte {
	for _, n := range v {
		b = binary.BigEndian.AppendUint64(b, n)
	}
	return b
}

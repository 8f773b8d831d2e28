package batch

import (
	"encoding/binary"
	"sync"

	"github.com/klauspost/compress/fse"
	"github.com/klauspost/compress/huff0"
	"github.com/klauspost/compress/zstd"
)

// The methods of a section. The values are part of the format.
const (
	methodStored   = iota // the bytes themselves
	methodRepeated        // one byte, to be repeated
	methodHuffman         // Huffman table and one stream, RFC 8878 section 4.2
	methodFSE             // FSE table and stream as in RFC 8878 section 4.1, see doc.go
	methodZstd            // the blocks of a zstd frame, RFC 8878 section 3.1.1.2
)

// The zstd tools are shared by all, for their memory; both are safe for
// concurrent use. SpeedDefault keeps tables of about 1.3 MB. SpeedBest would
// need 34 MB for 0.1 % fewer bytes.
var (
	zstdEncoder = sync.OnceValue(func() *zstd.Encoder {
		return must(zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedDefault), zstd.WithEncoderConcurrency(1),
			zstd.WithWindowSize(1<<20), zstd.WithLowerEncoderMem(true), zstd.WithEncoderCRC(false),
			zstd.WithSingleSegment(true), zstd.WithAllLitEntropyCompression(true)))
	})
	zstdDecoder = sync.OnceValue(func() *zstd.Decoder {
		return must(zstd.NewReader(nil, zstd.WithDecoderLowmem(true),
			zstd.WithDecoderMaxMemory(maxBytes), zstd.WithDecodeAllCapLimit(true)))
	})
)

// must is for constructors that fail on a wrong option only.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// packer writes sections; it holds the memory of the coders.
type packer struct {
	huffman  huff0.Scratch
	fse      fse.Scratch
	zstd     []byte
	prober   prober
	unpacked int // bytes that an unpacker will have to allow for
}

// append appends b as a section:
//
//	length and method uvarint = length<<3 | method | [size uvarint: of what it unpacks to, unless stored] | length bytes
func (p *packer) append(dst, b []byte) []byte {
	packed, method := p.shortest(b)
	dst = binary.AppendUvarint(dst, uint64(len(packed))<<3|uint64(method))
	if method != methodStored {
		dst = binary.AppendUvarint(dst, uint64(len(b)))
		p.unpacked += len(b)
	}
	return append(dst, packed...)
}

// shortest packs b by the method that makes it the shortest. Those that don't
// have a chance by what the prober says are not tried.
func (p *packer) shortest(b []byte) (packed []byte, method int) {
	packed, method = b, methodStored
	least := len(b) - 2 // for the size
	shorter := func(c []byte, m int) {
		if len(c) < least {
			packed, method, least = c, m, len(c)
		}
	}
	if least <= 2 || repeated(b) {
		if repeated(b) {
			shorter(b[:1], methodRepeated)
		}
		return packed, method
	}
	p.prober.look(b)
	if p.prober.huffman() < least {
		// The tables of one section never serve the next.
		p.huffman.Reuse = huff0.ReusePolicyNone
		if c, _, err := huff0.Compress1X(b, &p.huffman); err == nil {
			shorter(c, methodHuffman)
		}
	}
	if p.prober.fse() < least {
		if c, err := fse.Compress(b, &p.fse); err == nil {
			shorter(c, methodFSE)
		}
	}
	if p.prober.repeats(b) {
		p.zstd = zstdEncoder().EncodeAll(b, p.zstd[:0])
		if n, ok := frameHeader(p.zstd, len(b)); ok {
			shorter(p.zstd[n:], methodZstd)
		}
	}
	return packed, method
}

func repeated(b []byte) bool {
	for i := range b {
		if b[i] != b[0] {
			return false
		}
	}
	return len(b) > 0
}

// unpacker reads sections; it holds the memory of the coders, and budget, the
// bytes that may still come out of them.
type unpacker struct {
	huffman *huff0.Scratch
	fse     fse.Scratch
	zstd    []byte
	room    []byte // what was unpacked of this payload
	budget  int
}

// reset has the unpacker begin a payload. What it returned before is no longer valid.
func (u *unpacker) reset() { u.room, u.budget = u.room[:0], maxBytes }

// take returns size bytes of memory, of length 0.
func (u *unpacker) take(size int) []byte {
	if cap(u.room)-len(u.room) < size {
		u.room = make([]byte, 0, max(size, 2*cap(u.room))) // what was taken before stays valid
	}
	n := len(u.room)
	u.room = u.room[:n+size]
	return u.room[n : n : n+size]
}

// next reads a section off src. What it returns is valid until the reset and may share memory with src.
func (u *unpacker) next(src *source) []byte {
	head := src.uvarint()
	method := head & 7
	if method == methodStored {
		return src.take(head >> 3)
	}
	size := src.count(u.budget)
	packed := src.take(head >> 3)
	if src.bad || size == 0 || len(packed) == 0 {
		src.bad = true
		return nil
	}
	u.budget -= size
	b := u.unpack(method, packed, size)
	if len(b) != size {
		src.bad = true
		return nil
	}
	return b
}

// unpack returns size bytes, or anything else if packed is not what a packer made.
func (u *unpacker) unpack(method uint64, packed []byte, size int) []byte {
	b := u.take(size)
	switch method {
	case methodRepeated:
		b = b[:size]
		for i := range b {
			b[i] = packed[0]
		}
	case methodHuffman:
		s, rest, err := huff0.ReadTable(packed, u.huffman)
		if err != nil {
			return nil
		}
		u.huffman = s
		b, _ = s.Decoder().Decompress1X(b, rest)
	case methodFSE:
		u.fse.Out, u.fse.DecompressLimit = b, size
		b, _ = fse.Decompress(packed, &u.fse)
	case methodZstd:
		u.zstd = append(appendFrameHeader(u.zstd[:0], size), packed...)
		b, _ = zstdDecoder().DecodeAll(u.zstd, b)
	default:
		return nil
	}
	return b
}

// frameHeader returns the length of the header of a zstd frame; ok is false if
// it is not the one that the size alone tells.
func frameHeader(frame []byte, size int) (n int, ok bool) {
	var room [8]byte
	h := appendFrameHeader(room[:0], size)
	return len(h), len(frame) > len(h) && string(frame[:len(h)]) == string(h)
}

// appendFrameHeader appends the header of a zstd frame in a single segment of
// known size, without checksum and dictionary: RFC 8878 section 3.1.1.1.
//
//	magic 4 | descriptor u8 | size u8, u16-256 or u32, little endian
func appendFrameHeader(dst []byte, size int) []byte {
	dst = append(dst, 0x28, 0xb5, 0x2f, 0xfd)
	switch {
	case size < 256:
		return append(dst, 0x20, byte(size))
	case size < 65536+256:
		return binary.LittleEndian.AppendUint16(append(dst, 0x60), uint16(size-256))
	}
	return binary.LittleEndian.AppendUint32(append(dst, 0xa0), uint32(size))
}

package batch

import (
	"encoding/binary"
	"fmt"
	"math"
	"sync"

	"skyhaul/bufferstore"
	"skyhaul/edge/point"
)

// ChunkCodec packs chunks of the buffer. A chunk stands on its own: it opens
// without the schemas of its scans. It is safe for concurrent use and implements
// bufferstore.Codec.
type ChunkCodec struct {
	sealers sync.Pool // of *sealer
	openers sync.Pool // of *bodyReader
}

type sealer struct {
	in   intake
	body bodyWriter
}

// NewChunkCodec returns a codec. Scans of schemas that the lookup doesn't find
// are kept as they are.
func NewChunkCodec(schemas point.Lookup) *ChunkCodec {
	c := new(ChunkCodec)
	c.sealers.New = func() any { return &sealer{in: newIntake(schemas)} }
	c.openers.New = func() any { return &bodyReader{lend: true} }
	return c
}

// Seal appends the chunk of recs to dst. It takes any records and gaps, up to
// 65,536 of them and 16 MiB.
func (c *ChunkCodec) Seal(dst []byte, recs []bufferstore.Record) ([]byte, error) {
	s := c.sealers.Get().(*sealer)
	defer c.sealers.Put(s)
	defer s.in.reset()
	for i := range recs {
		s.in.add(recs[i])
	}
	p, ok := s.write(dst)
	if !ok {
		for i := range s.in.entries {
			s.in.entries[i].group = nil
		}
		p, ok = s.write(dst)
	}
	if !ok || len(recs) > maxRecords {
		return dst, fmt.Errorf("chunk of %d records and %d bytes is too long", len(recs), s.in.bytes)
	}
	return p, nil
}

// write appends the chunk of all entries; ok is false if nobody could open it:
//
//	first byte u8 | flags u8 | spans uvarint | { epoch 8 | first uvarint | records and gaps uvarint }*
//	[types section: of each group] | body | CRC-32C u32
//
// The checksum covers the first byte, the types, and the records as in a batch.
func (s *sealer) write(dst []byte) (p []byte, ok bool) {
	s.body.sort(s.in.entries)
	types := s.body.types()
	flags := byte(0)
	if len(types) > 0 {
		flags = flagTypes
	}
	dst = append(dst, chunkA, flags)
	dst = appendSpans(dst, s.in.entries)
	dst = s.body.append(dst, types)
	var m sum
	m.add([]byte{chunkA})
	m.add(types)
	for i := range s.in.entries {
		m.record(&s.in.entries[i].Record)
	}
	return binary.BigEndian.AppendUint32(dst, m.crc), s.body.pack.unpacked <= maxBytes
}

// span is a run of records and gaps of one epoch that follow each other.
type span struct {
	epoch bufferstore.Epoch
	first bufferstore.Seq
	n     int
}

func appendSpans(dst []byte, entries []entry) []byte {
	var spans []span
	for i := range entries {
		e := &entries[i]
		if i == 0 || e.Epoch != entries[i-1].Epoch || e.First != entries[i-1].Last+1 {
			spans = append(spans, span{e.Epoch, e.First, 0})
		}
		spans[len(spans)-1].n++
	}
	dst = binary.AppendUvarint(dst, uint64(len(spans)))
	for _, s := range spans {
		dst = append(dst, s.epoch[:]...)
		dst = binary.AppendUvarint(dst, uint64(s.first))
		dst = binary.AppendUvarint(dst, uint64(s.n))
	}
	return dst
}

func readSpans(src *source) []span {
	spans := make([]span, src.count(len(src.b)/10))
	for i := range spans {
		spans[i] = span{src.epoch(), bufferstore.Seq(src.uvarint()), src.count(maxRecords)}
	}
	return spans
}

// Open gives the records of a chunk back, byte for byte, until yield returns
// false; their data are valid until yield returns. The error wraps
// [ErrCorrupt] or [ErrVersion]; then yield was not called.
func (c *ChunkCodec) Open(chunk []byte, yield func(bufferstore.Record) bool) error {
	r := c.openers.Get().(*bodyReader)
	defer c.openers.Put(r)
	recs, err := r.open(chunk)
	for i := 0; i < len(recs) && yield(recs[i]); i++ {
	}
	return err
}

func (r *bodyReader) open(chunk []byte) ([]bufferstore.Record, error) {
	src := source{b: chunk}
	if err := checkFirst(&src, chunkA); err != nil {
		return nil, err
	}
	flags := src.byte()
	if flags != 0 && flags != flagTypes && flags != flagSchemas {
		return nil, fmt.Errorf("chunk with flags %#x: %w", flags, ErrVersion)
	}
	spans := readSpans(&src)
	r.unpack.reset()
	m := sum{}
	m.add([]byte{chunkA})
	recs, err := r.readCarrying(&src, flags, &m)
	if err == nil && !number(recs, spans) {
		src.bad = true
	}
	for i := range recs {
		m.record(&recs[i])
	}
	if want := src.uint32(); err != nil || src.bad || len(src.b) > 0 || m.crc != want {
		return nil, fmt.Errorf("chunk of %d bytes: %w", len(chunk), ErrCorrupt)
	}
	return recs, nil
}

// readCarrying takes what the flags say the chunk carries, adds it to the sum,
// and takes the body.
func (r *bodyReader) readCarrying(src *source, flags byte, m *sum) ([]bufferstore.Record, error) {
	var schemas []*point.Schema
	var carried []byte
	switch flags {
	case flagSchemas:
		schemas, carried = r.readSchemas(src)
	case flagTypes:
		carried = r.unpack.next(src)
	}
	m.add(carried)
	left := source{b: carried, bad: flags != flagTypes}
	recs, err := r.read(src, schemas, func(point.SchemaID) ([]point.Type, bool) { return readTypes(&left) })
	src.bad = src.bad || flags == flagTypes && len(left.b) > 0
	return recs, err
}

// readTypes takes the types of one group off src.
func readTypes(src *source) (types []point.Type, ok bool) {
	if src.bad {
		return nil, false
	}
	b := src.take(uint64(src.count(point.MaxColumns)))
	types = make([]point.Type, len(b))
	for i, t := range b {
		types[i] = point.Type(t)
		src.bad = src.bad || !types[i].Valid()
	}
	return types, !src.bad
}

// number gives records their epochs and numbers; false if they don't fill the
// spans exactly or run over the end of numbers.
func number(recs []bufferstore.Record, spans []span) bool {
	for _, s := range spans {
		if s.n > len(recs) {
			return false
		}
		next := s.first
		for i := range recs[:s.n] {
			r := &recs[i]
			r.Epoch, r.First, r.Last = s.epoch, next, next+r.Last
			if r.Last < r.First || r.Last == math.MaxUint64 {
				return false
			}
			next = r.Last + 1
		}
		recs = recs[s.n:]
	}
	return len(recs) == 0
}

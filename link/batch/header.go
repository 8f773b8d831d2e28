package batch

import (
	"encoding/binary"
	"fmt"

	"skyhaul/bufferstore"
	"skyhaul/edge/point"
)

// The first byte of a payload: version of the format in the upper half, level
// of the coder in the lower one.
const (
	version = 1
	levelA  = version << 4   // level 0: stands on its own but for schemas and opening
	chained = version << 4   // and the lane, 1 to 6: level B, right after its base in the same epoch, with nothing else to say
	levelB  = version<<4 | 7 // level B with flags
	chunkA  = version<<4 | 8 // a chunk of the buffer, with the body of level A
)

// The second byte: the lane and what follows. Those not named are zero.
const (
	laneMask    = 7
	flagOpening = 1 << 3
	flagSchemas = 1 << 4
	flagsKnown  = laneMask | flagOpening | flagSchemas
	flagTypes   = 1 << 5 // of a chunk only
)

// maxSchemas bounds the canonical forms that a payload carries, in bytes. The
// greatest schema there can be fits.
const maxSchemas = 4 << 20

// appendHeader appends what stands before the body of a batch:
//
//	first byte u8 | flags u8 | epoch 8 | first uvarint | first - acked varint
//	[opening: parent 8 | first - opening first uvarint] [schemas section: canonical forms]
func appendHeader(dst []byte, h *Header, first bufferstore.Seq, schemas bool) []byte {
	flags := byte(h.Lane)
	if h.Opening != nil {
		flags |= flagOpening
	}
	if schemas {
		flags |= flagSchemas
	}
	dst = append(dst, levelA, flags)
	dst = append(dst, h.Epoch[:]...)
	dst = binary.AppendUvarint(dst, uint64(first))
	dst = binary.AppendVarint(dst, int64(first-h.Acked))
	if o := h.Opening; o != nil {
		dst = append(dst, o.Parent[:]...)
		dst = binary.AppendUvarint(dst, uint64(first-o.First))
	}
	return dst
}

// readHeader is the inverse of appendHeader, without the schemas.
func readHeader(src *source) (h Header, first bufferstore.Seq, schemas bool, err error) {
	if err := checkFirst(src, levelA); err != nil {
		return h, 0, false, err
	}
	flags := src.byte()
	if flags&^flagsKnown != 0 {
		return h, 0, false, fmt.Errorf("batch with flags %#x: %w", flags, ErrVersion)
	}
	h.Lane = point.Lane(flags & laneMask)
	h.Epoch = src.epoch()
	first = bufferstore.Seq(src.uvarint())
	h.Acked = first - bufferstore.Seq(src.varint())
	if flags&flagOpening != 0 {
		h.Opening = &Opening{Parent: src.epoch()}
		h.Opening.First = first - bufferstore.Seq(src.uvarint())
	}
	src.bad = src.bad || !h.Lane.Valid() || first == 0
	return h, first, flags&flagSchemas != 0, nil
}

// checkFirst takes the first byte, which must be want.
func checkFirst(src *source, want byte) error {
	if b := src.byte(); b != want && !src.bad {
		return fmt.Errorf("first byte %#02x, want %#02x: %w", b, want, ErrVersion)
	}
	return nil
}

// readSchemas takes the section of schemas that a payload carries; forms are
// their canonical forms.
func (r *bodyReader) readSchemas(src *source) (schemas []*point.Schema, forms []byte) {
	forms = r.unpack.next(src)
	if len(forms) == 0 || len(forms) > maxSchemas {
		src.bad = true
		return nil, nil
	}
	for b := forms; len(b) > 0; {
		s, rest, err := point.ParseSchema(b)
		if err != nil {
			src.bad = true
			return nil, nil
		}
		schemas = append(schemas, s)
		b = rest
	}
	return schemas, forms
}

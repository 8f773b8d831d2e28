package batch

import (
	"encoding/binary"
	"fmt"

	"skyhaul/bufferstore"
	"skyhaul/edge/point"
)

// chainHeader is what a batch of level B says before its stream.
type chainHeader struct {
	Header
	first   bufferstore.Seq
	base    uint32 // name of the chain that it is built on; 0 for none
	slots   uint8  // of the chain that it begins, without a base
	place   bool   // epoch and first number don't follow from the base
	schemas []*point.Schema
}

// Flags of level B, beside those of level A.
const (
	flagBase  = 1 << 5
	flagPlace = 1 << 6
)

// append appends the header: bare where base and lane say all,
//
//	0x10 + lane u8 | tag u16
//
// else
//
//	0x17 | flags u8 | [base: tag u16] | [place: epoch 8 | first uvarint] | [no base: slots u8]
//	[opening: parent 8 | first - opening first uvarint] | [schemas section: canonical forms]
func (h *chainHeader) append(dst []byte, pack *packer) []byte {
	tag := uint16(h.base)
	if h.base != 0 && !h.place && h.Opening == nil && len(h.schemas) == 0 {
		return binary.BigEndian.AppendUint16(append(dst, chained|byte(h.Lane)), tag)
	}
	dst = append(dst, levelB, h.flags())
	if h.base != 0 {
		dst = binary.BigEndian.AppendUint16(dst, tag)
	}
	if h.place {
		dst = append(dst, h.Epoch[:]...)
		dst = binary.AppendUvarint(dst, uint64(h.first))
	}
	if h.base == 0 {
		dst = append(dst, h.slots)
	}
	if o := h.Opening; o != nil {
		dst = append(dst, o.Parent[:]...)
		dst = binary.AppendUvarint(dst, uint64(h.first-o.First))
	}
	if len(h.schemas) > 0 {
		dst = pack.append(dst, h.forms())
	}
	return dst
}

func (h *chainHeader) flags() byte {
	flags := byte(h.Lane)
	if h.Opening != nil {
		flags |= flagOpening
	}
	if len(h.schemas) > 0 {
		flags |= flagSchemas
	}
	if h.base != 0 {
		flags |= flagBase
	}
	if h.place {
		flags |= flagPlace
	}
	return flags
}

// forms returns the canonical forms of the schemas that are carried.
func (h *chainHeader) forms() (forms []byte) {
	for _, s := range h.schemas {
		forms = s.Append(forms)
	}
	return forms
}

// Base returns which chain a payload is built on: that of the lane whose name
// ends in tag. ok is false for one that stands on its own, or is no batch.
func Base(p []byte) (lane point.Lane, tag uint16, ok bool) {
	src := source{b: p}
	first := src.byte()
	lane = point.Lane(first & laneMask)
	if first == levelB {
		flags := src.byte()
		lane, ok = point.Lane(flags&laneMask), flags&flagBase != 0
	} else {
		ok = first>>4 == version && first&8 == 0 && first != levelA
	}
	b := src.take(2)
	if !ok || src.bad || !lane.Valid() {
		return 0, 0, false
	}
	return lane, binary.BigEndian.Uint16(b), true
}

// read is the inverse of append, up to the schemas, whose presence it returns;
// base is nil for a payload without one.
func (h *chainHeader) read(src *source, base *Chain) (schemas bool, err error) {
	first, flags := src.byte(), byte(flagBase)
	if first == levelB {
		flags = src.byte()
		h.Lane = point.Lane(flags & laneMask)
	} else {
		h.Lane = point.Lane(first & laneMask)
	}
	if flags&^(flagsKnown|flagBase|flagPlace) != 0 {
		return false, fmt.Errorf("batch with flags %#x: %w", flags, ErrVersion)
	}
	if flags&flagBase != 0 {
		if src.take(2); base == nil { // too short to say which
			return false, fmt.Errorf("batch of level B without a base: %w", ErrCorrupt)
		}
		h.base, h.slots, h.Epoch, h.first = base.name, base.slots, base.epoch, base.last+1
	}
	if h.place = flags&flagPlace != 0; h.place {
		h.Epoch, h.first = src.epoch(), bufferstore.Seq(src.uvarint())
	}
	if flags&flagBase == 0 {
		h.slots = src.byte()
		src.bad = src.bad || h.slots < minSlots || h.slots > maxSlots || !h.place
	}
	if flags&flagOpening != 0 {
		h.Opening = &Opening{Parent: src.epoch()}
		h.Opening.First = h.first - bufferstore.Seq(src.uvarint())
	}
	src.bad = src.bad || !h.Lane.Valid() || h.first == 0
	return flags&flagSchemas != 0, nil
}

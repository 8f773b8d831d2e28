package batch

import (
	"encoding/binary"
	"fmt"

	"skyhaul/bufferstore"
	"skyhaul/edge/point"
)

// The limits of an ack: they bound what a site must be able to take in one
// piece to a few kilobytes.
const (
	maxEpochs = 8 // of a lane
	maxRanges = 8 // of an entry, stored and wanted apart
)

// The first byte of an entry of an ack: the lane in bits 0 to 2, and these.
const (
	flagComplete = 1 << 3
	flagFresh    = 1 << 4
	flagChain    = 1 << 5
)

// Marshal returns the document for a site under its key:
//
//	version u8 = 1 | at varint | entries uvarint | entry* | MAC 16
//	entry: lane and flags u8 | epoch 8 | floor uvarint | stored count + 16 * wanted count u8 | stored* | wanted*
//	range: first - last of the range before uvarint | last - first uvarint
//
// The first stored range counts from the floor, the first wanted one from
// zero. Marshal refuses more than 8 entries of a lane or 8 ranges, and ranges
// that don't rise.
func (a *Ack) Marshal(k Key, site string) ([]byte, error) {
	p := binary.AppendVarint([]byte{documentVersion}, a.At)
	p = binary.AppendUvarint(p, uint64(len(a.Lanes)))
	var entries [laneMask + 1]int
	for i := range a.Lanes {
		l := &a.Lanes[i]
		if entries[l.Lane&laneMask]++; !l.Lane.Valid() || entries[l.Lane&laneMask] > maxEpochs || len(l.Stored) > maxRanges || len(l.Wanted) > maxRanges {
			return nil, fmt.Errorf("ack for %s: entry %d of %s has %d stored and %d wanted ranges: over the limits", site, entries[l.Lane&laneMask], l.Lane, len(l.Stored), len(l.Wanted))
		}
		var err error
		if p, err = l.append(p); err != nil {
			return nil, fmt.Errorf("ack for %s: %s: %w", site, l.Lane, err)
		}
	}
	return k.seal(p, documentAck, site)
}

func (l *LaneAck) append(p []byte) ([]byte, error) {
	flags := byte(l.Lane)
	if l.Whole {
		flags |= flagComplete
	}
	if l.Fresh {
		flags |= flagFresh
	}
	if l.Chain {
		flags |= flagChain
	}
	p = append(append(p, flags), l.Epoch[:]...)
	p = binary.AppendUvarint(p, uint64(l.Floor))
	p = append(p, byte(len(l.Stored)|len(l.Wanted)<<4))
	p, err := appendRanges(p, l.Floor, l.Stored)
	if err != nil {
		return nil, err
	}
	return appendRanges(p, 0, l.Wanted)
}

func appendRanges(p []byte, last bufferstore.Seq, ranges []Range) ([]byte, error) {
	for _, r := range ranges {
		if r.First <= last || r.Last < r.First {
			return nil, fmt.Errorf("range %d to %d after %d", r.First, r.Last, last)
		}
		p = binary.AppendUvarint(p, uint64(r.First-last))
		p = binary.AppendUvarint(p, uint64(r.Last-r.First))
		last = r.Last
	}
	return p, nil
}

// ParseAck reads a document made by Marshal for the same site under the same
// key. The error is [ErrMAC] or wraps [ErrCorrupt] or [ErrVersion].
func ParseAck(p []byte, k Key, site string) (*Ack, error) {
	content, err := k.open(p, documentAck, site)
	if err != nil {
		return nil, err
	}
	src := source{b: content}
	a := &Ack{At: src.varint()}
	var entries [laneMask + 1]int
	for range src.count(int(point.History) * maxEpochs) {
		l := readLaneAck(&src)
		if entries[l.Lane]++; entries[l.Lane] > maxEpochs {
			src.bad = true
		}
		a.Lanes = append(a.Lanes, l)
	}
	if src.bad || len(src.b) > 0 {
		return nil, fmt.Errorf("ack of %d bytes: %w", len(p), ErrCorrupt)
	}
	return a, nil
}

func readLaneAck(src *source) LaneAck {
	flags := src.byte()
	l := LaneAck{
		Lane: point.Lane(flags & laneMask), Whole: flags&flagComplete != 0, Fresh: flags&flagFresh != 0, Chain: flags&flagChain != 0,
		Epoch: src.epoch(), Floor: bufferstore.Seq(src.uvarint()),
	}
	counts := src.byte()
	src.bad = src.bad || !l.Lane.Valid() || flags&^(laneMask|flagComplete|flagFresh|flagChain) != 0
	l.Stored = readRanges(src, l.Floor, counts&15)
	l.Wanted = readRanges(src, 0, counts>>4)
	return l
}

func readRanges(src *source, last bufferstore.Seq, n byte) (ranges []Range) {
	if n > maxRanges {
		src.bad = true
		return nil
	}
	for range n {
		r := Range{First: last + bufferstore.Seq(src.uvarint())}
		r.Last = r.First + bufferstore.Seq(src.uvarint())
		if r.First <= last || r.Last < r.First {
			src.bad = true
		}
		ranges = append(ranges, r)
		last = r.Last
	}
	return ranges
}

package batch

import (
	"encoding/binary"
	"fmt"
	"iter"
	"math"

	"skyhaul/bufferstore"
	"skyhaul/edge/point"
)

// fill takes records in until they no longer fit, leaves the longest batch
// that does in e.batch, and returns how many records it has.
func (e *Encoder) fill(h *Header, recs iter.Seq2[bufferstore.Record, error], limit int) (fit int, err error) {
	look := limit // bytes of records at which to look whether they fit: first where they would unpacked
	for rec, err := range recs {
		if err == nil && len(e.in.entries) == 0 {
			err = e.begin(h, &rec)
		}
		if err != nil && len(e.in.entries) == 0 {
			return 0, err
		}
		if err != nil || !e.follows(&rec) {
			break
		}
		e.in.add(e.own(rec))
		if e.in.bytes < look {
			continue
		}
		if size := e.attempt(h, len(e.in.entries), limit); size > limit {
			return e.cut(h, fit, size, limit), nil
		}
		fit, look = len(e.in.entries), 2*e.in.bytes
	}
	if n := len(e.in.entries); n > fit {
		if size := e.attempt(h, n, limit); size > limit {
			return e.cut(h, fit, size, limit), nil
		}
	}
	return len(e.in.entries), nil
}

// own returns rec with its data in memory of the encoder.
func (e *Encoder) own(rec bufferstore.Record) bufferstore.Record {
	if n := len(rec.Data); n > cap(e.arena)-len(e.arena) {
		e.arena = make([]byte, 0, max(4<<10, 2*cap(e.arena), n)) // what was there stays with its records
	}
	at := len(e.arena)
	e.arena = append(e.arena, rec.Data...)
	rec.Data = e.arena[at:]
	return rec
}

// cut returns the greatest number of records that fit, of which fit do and
// all don't: those come to size. Close to the limit is close enough.
func (e *Encoder) cut(h *Header, fit, size, limit int) int {
	over, smallest := len(e.in.entries), 0
	if fit > 0 {
		smallest = len(e.batch)
	}
	for halve := false; over-fit > 1 && smallest < limit-limit/32; halve = !halve {
		mid := fit + (over-fit)/2
		if !halve { // sizes grow about evenly, but not for sure
			aim := limit - limit/64 - smallest
			mid = fit + int(int64(over-fit)*int64(max(aim, 0))/int64(size-smallest))
			mid = min(max(mid, fit+1), over-1)
		}
		if s := e.attempt(h, mid, limit); s <= limit {
			fit, smallest = mid, s
		} else {
			over, size = mid, s
		}
	}
	return fit
}

// attempt makes a batch of the first n records and returns its size; within
// limit, it is left in e.batch.
func (e *Encoder) attempt(h *Header, n, limit int) int {
	var ok bool
	if e.try, ok = e.write(e.try[:0], h, n, true); !ok {
		return math.MaxInt // no decoder would take it
	}
	if len(e.try) <= limit {
		e.batch, e.try = e.try, e.batch
		return len(e.batch)
	}
	return len(e.try)
}

// refuse makes a batch of a gap in place of the first record, which doesn't
// fit alone, unless it is the schema that doesn't.
func (e *Encoder) refuse(h *Header, limit int) error {
	first := &e.in.entries[0]
	if bare, ok := e.write(e.try[:0], h, 1, false); ok && len(bare) <= limit {
		return fmt.Errorf("schema %s in %d bytes: %w", first.group.id, limit, ErrLimit)
	}
	gap := bufferstore.Record{Epoch: first.Epoch, First: first.First, Last: first.Last, Lost: bufferstore.TooLarge}
	if first.Lost != bufferstore.Kept {
		gap.Lost = first.Lost
	}
	e.in.reset()
	e.in.add(gap)
	if size := e.attempt(h, 1, limit); size > limit {
		return fmt.Errorf("batch of %d bytes in %d bytes: %w", size, limit, ErrLimit)
	}
	return nil
}

// write appends a batch of the first n records; ok is false if no decoder would take it.
func (e *Encoder) write(dst []byte, h *Header, n int, schemas bool) (p []byte, ok bool) {
	entries := e.in.entries[:n]
	wire := *h
	if e.opened[h.Epoch].sure {
		wire.Opening = nil
	}
	e.body.sort(entries)
	forms := e.body.carry(func(id point.SchemaID) bool { return schemas && !e.held[id].sure })
	dst = appendHeader(dst, &wire, entries[0].First, len(forms) > 0)
	dst = e.body.append(dst, forms)
	var s sum
	s.header(levelA, &wire, entries[0].First)
	s.add(forms)
	for i := range entries {
		s.record(&entries[i].Record)
	}
	return binary.BigEndian.AppendUint32(dst, s.crc), len(forms) <= maxSchemas && e.body.pack.unpacked <= maxBytes
}

package batch

import (
	"encoding/binary"
	"fmt"
	"iter"
	"math"

	"skyhaul/bufferstore"
	"skyhaul/edge/point"
)

// sample is a batch that was made: of how many records, and bytes of them, and
// its size.
type sample struct{ n, bytes, size int }

// A batch over nearly(limit) is long enough; one of aim(limit) is what to try for.
func nearly(limit int) int { return limit - limit/16 }
func aim(limit int) int    { return limit - limit/32 }

// fill takes records in until they no longer fit, leaves a batch of about as
// many as do in e.batch, and returns how many records it has. The batches of a
// backlog are much alike: as a rule the first that is made does.
func (e *Encoder) fill(h *Header, recs iter.Seq2[bufferstore.Record, error], limit int) (fit int, err error) {
	var fits sample
	look := limit // bytes of records at which to look whether they fit: first where they would unpacked
	if e.full.size > 0 {
		look = e.full.bytes * aim(limit) / e.full.size
	}
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
		now := e.attempt(h, len(e.in.entries), limit)
		if now.size > limit {
			return e.cut(h, fits, now, limit), nil
		}
		if now.size > nearly(limit) {
			e.full = now
			return now.n, nil
		}
		look, fits = further(fits, now, limit), now
	}
	if n := len(e.in.entries); n > fits.n {
		if now := e.attempt(h, n, limit); now.size > limit {
			return e.cut(h, fits, now, limit), nil
		}
	}
	return len(e.in.entries), nil
}

// further returns how many bytes of records come to aim(limit) if the size goes
// on as it did from one sample to the next.
func further(from, to sample, limit int) int {
	more := (aim(limit) - to.size) * (to.bytes - from.bytes) / max(to.size-from.size, 1)
	return to.bytes + min(max(more, 0), 3*to.bytes)
}

// own returns rec with its data in memory of the encoder.
func (e *Encoder) own(rec bufferstore.Record) bufferstore.Record {
	if n := len(rec.Data); n > cap(e.arena)-len(e.arena) {
		size := min(max(4<<10, 2*cap(e.arena)), 256<<10)
		e.arena = make([]byte, 0, max(size, n)) // what was there stays with its records
	}
	at := len(e.arena)
	e.arena = append(e.arena, rec.Data...)
	rec.Data = e.arena[at:]
	return rec
}

// cut returns about the greatest number of records that fit, between two
// samples of which the first does and the second doesn't.
func (e *Encoder) cut(h *Header, fits, over sample, limit int) int {
	for tries := 1; over.n-fits.n > 1 && fits.size <= nearly(limit); tries++ {
		mid := fits.n + (over.n-fits.n)/2
		if tries%3 != 0 { // sizes grow about evenly, but not for sure
			mid = fits.n + (over.n-fits.n)*max(aim(limit)-fits.size, 0)/(over.size-fits.size)
			mid = min(max(mid, fits.n+1), over.n-1)
		}
		if now := e.attempt(h, mid, limit); now.size <= limit {
			fits = now
		} else {
			over = now
		}
	}
	e.full = fits
	return fits.n
}

// attempt makes a batch of the first n records; within limit, it is left in e.batch.
func (e *Encoder) attempt(h *Header, n, limit int) sample {
	var ok bool
	e.try, ok = e.write(e.try[:0], h, n, true)
	now := sample{n, e.in.bytesOf(n), len(e.try)}
	if !ok {
		now.size = math.MaxInt32 // no decoder would take it
	}
	if now.size <= limit {
		e.batch, e.try = e.try, e.batch
	}
	return now
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
	if gap := e.attempt(h, 1, limit); gap.size > limit {
		return fmt.Errorf("batch of %d bytes in %d bytes: %w", gap.size, limit, ErrLimit)
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

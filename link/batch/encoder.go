package batch

import (
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"math"

	"skyhaul/bufferstore"
	"skyhaul/edge/point"
)

// ErrLimit says that a limit can't carry even the shortest batch with the
// schemas that the first record needs. Nothing is lost by it: the records stay
// where they are until a greater limit takes them.
var ErrLimit = errors.New("limit too small for a batch")

// Encoder makes the batches of one lane for one destination. It remembers
// which schemas and openings the destination is known to hold, and nothing
// else. It is not safe for concurrent use.
type Encoder struct {
	in    intake
	body  bodyWriter
	arena []byte // what is left of it for the records to come
	batch []byte // the longest yet that fits
	try   []byte

	held   held[point.SchemaID]
	opened held[bufferstore.Epoch]
	acked  bufferstore.Seq
}

// NewEncoder returns an encoder that takes the destination to hold nothing.
// Scans of schemas that the lookup doesn't find travel as they are.
func NewEncoder(schemas point.Lookup) *Encoder {
	e := &Encoder{in: newIntake(schemas)}
	e.Reset()
	return e
}

const (
	// batchBytes of records end a batch whatever its limit, as maxRecords do,
	// for the memory of the appliance.
	batchBytes = 4 << 20
	// keepBytes of records are the most whose memory is kept for the next batch.
	keepBytes = 512 << 10
)

// Encode appends a batch of at most limit bytes to dst and returns it with the
// last sequence number in it. It takes as many records as fit, from the first
// one on, and stops by itself before a record of another epoch, before a hole
// in the numbers, after 65,536 records and after 4 MiB of records. Where recs
// yields nothing, dst comes back with last 0.
//
// A record that doesn't fit alone goes as a gap (bufferstore.TooLarge), so
// limit must be what the uplink can ever carry in one piece, never what is
// left of a budget. [ErrLimit] is returned where limit can't take a gap, or
// not the schema of a record that would fit.
//
// The caller gives h.Opening with every call; it goes on the wire until an ack
// covers a batch that carried it. An error of recs is returned if it comes
// before the first record; else it ends the batch, and the next call meets it.
func (e *Encoder) Encode(dst []byte, h Header, recs iter.Seq2[bufferstore.Record, error], limit int) (p []byte, last bufferstore.Seq, err error) {
	defer e.release()
	limit = min(limit, maxBytes)
	fit, err := e.fill(&h, recs, limit)
	if err != nil || len(e.in.entries) == 0 {
		return dst, 0, err
	}
	if fit == 0 {
		if err := e.refuse(&h, limit); err != nil {
			return dst, 0, err
		}
		fit = 1
	}
	return append(dst, e.batch...), e.sent(&h, fit), nil
}

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

// begin looks at the first record: it must be of the epoch of the header.
func (e *Encoder) begin(h *Header, rec *bufferstore.Record) error {
	if !h.Lane.Valid() {
		return fmt.Errorf("batch of %s: no such lane", h.Lane)
	}
	if rec.Epoch != h.Epoch {
		return fmt.Errorf("record of epoch %s under the header of epoch %s", rec.Epoch, h.Epoch)
	}
	e.held.rewind(rec.First)
	e.opened.rewind(rec.First)
	return nil
}

// follows reports whether rec goes into the same batch as what is in.
func (e *Encoder) follows(rec *bufferstore.Record) bool {
	n := len(e.in.entries)
	if n == 0 {
		return true
	}
	before := &e.in.entries[n-1]
	return rec.Epoch == before.Epoch && rec.First == before.Last+1 && n < maxRecords && e.in.bytes+len(rec.Data) <= batchBytes
}

// own returns rec with its data in memory of the encoder.
func (e *Encoder) own(rec bufferstore.Record) bufferstore.Record {
	if n := len(rec.Data); n > cap(e.arena)-len(e.arena) {
		e.arena = make([]byte, 0, max(64<<10, n)) // what was there stays with its records
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
	s.header(&wire, entries[0].First)
	s.add(forms)
	for i := range entries {
		s.record(&entries[i].Record)
	}
	return binary.BigEndian.AppendUint32(dst, s.crc), len(forms) <= maxSchemas && e.body.pack.unpacked <= maxBytes
}

// sent notes what the batch of the first n records carries, and returns its last number.
func (e *Encoder) sent(h *Header, n int) bufferstore.Seq {
	last := e.in.entries[n-1].Last
	if last <= e.acked {
		return last // an ack from before says nothing of what goes once more
	}
	for id, g := range e.in.groups {
		if g != nil && g.first < n {
			e.held.carry(id, last)
		}
	}
	if h.Opening != nil {
		e.opened.carry(h.Epoch, last)
	}
	return last
}

// release lets go of the records, and of the memory of a long batch.
func (e *Encoder) release() {
	if e.in.bytes > keepBytes {
		e.in.entries, e.body, e.batch, e.try = nil, bodyWriter{}, nil, nil
	}
	e.in.reset()
	e.arena = nil
}

// Acked tells that every record up to upTo is durable at the destination: what
// a batch up to there carried in full isn't carried again.
func (e *Encoder) Acked(upTo bufferstore.Seq) {
	e.acked = upTo
	e.held.acked(upTo)
	e.opened.acked(upTo)
}

// Reset forgets what the destination holds: schemas and openings go in full again.
func (e *Encoder) Reset() {
	e.held = make(held[point.SchemaID])
	e.opened = make(held[bufferstore.Epoch])
}

package batch

import (
	"errors"
	"fmt"
	"iter"

	"skyhaul/bufferstore"
	"skyhaul/edge/point"
)

// ErrLimit says that a limit can't carry even the shortest batch with the
// schemas that the first record needs. Nothing is lost by it: the records stay
// where they are until a greater limit takes them.
var ErrLimit = errors.New("limit too small for a batch")

// Encoder makes the batches of one lane for one destination. It remembers which
// schemas and openings the destination is known to hold, and the chain of the
// lane: see [Encoder.Carry]. It is not safe for concurrent use.
type Encoder struct {
	in    intake
	body  bodyWriter
	arena []byte // of records, the last ones in it
	batch []byte // the longest yet that fits
	try   []byte
	full  sample // the last batch that its limit cut

	held   held[point.SchemaID]
	opened held[bufferstore.Epoch]
	acked  bufferstore.Seq
	chains chains
	leans  bool // the batch made last leans on one before
}

// NewEncoder returns an encoder that takes the destination to hold nothing.
// Scans of schemas that the lookup doesn't find travel as they are.
func NewEncoder(schemas point.Lookup) *Encoder {
	e := &Encoder{in: newIntake(schemas), chains: chains{slots: DefaultSlots}}
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
// last sequence number in it. It takes about as many records as fit, from the first
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
	if e.chains.on && e.chains.cpu.left() {
		p, last, err = e.chained(dst, &h, recs, limit)
		if err != nil || last > 0 {
			return p, last, err
		}
	}
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
	e.chains.again(rec.First)
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

// sent notes what the batch of the first n records carries, and returns its last number.
func (e *Encoder) sent(h *Header, n int) bufferstore.Seq {
	last := e.in.entries[n-1].Last
	e.leans = e.opened[h.Epoch].sure
	news := last > e.acked // an ack from before says nothing of what goes once more
	for id, g := range e.in.groups {
		if g == nil || g.first >= n {
			continue
		}
		e.leans = e.leans || e.held[id].sure
		if news {
			e.held.carry(id, last)
		}
	}
	if h.Opening != nil && news {
		e.opened.carry(h.Epoch, last)
	}
	return last
}

// release lets go of the records, and of the memory of a long batch.
func (e *Encoder) release() {
	if e.in.bytes > keepBytes {
		e.in, e.body, e.batch, e.try, e.arena = newIntake(e.in.schemas), bodyWriter{}, nil, nil, nil
	}
	e.in.reset()
	e.arena = e.arena[:0]
}

// Acked tells that every record up to upTo is durable at the destination: what
// a batch up to there carried in full isn't carried again.
func (e *Encoder) Acked(upTo bufferstore.Seq) {
	e.acked = upTo
	e.held.acked(upTo)
	e.opened.acked(upTo)
	e.chains.acked(upTo)
}

// Reset forgets what the destination holds: schemas and openings go in full
// again, and a chain begins anew.
func (e *Encoder) Reset() {
	e.chains.rewind()
	e.chains.base = nil
	e.held = make(held[point.SchemaID])
	e.opened = make(held[bufferstore.Epoch])
}

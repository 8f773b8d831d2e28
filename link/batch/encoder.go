package batch

import (
	"errors"
	"iter"

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
	schemas point.Lookup
}

// NewEncoder returns an encoder that takes the destination to hold nothing.
// Scans of schemas that the lookup doesn't find travel as they are.
func NewEncoder(schemas point.Lookup) *Encoder {
	return &Encoder{schemas: schemas}
}

// Encode appends a batch of at most limit bytes to dst and returns it with the
// last sequence number in it. It takes as many records as fit, from the first
// one on, and stops by itself before a record of another epoch and before a
// hole in the numbers. A record that doesn't fit alone goes as a gap
// (bufferstore.TooLarge). Where recs yields nothing, dst comes back with last 0.
//
// The caller gives h.Opening with every call; it goes on the wire until an ack
// covers a batch that carried it.
//
// An error of recs is returned if it comes before the first record; else it
// ends the batch, and the next call meets it. [ErrLimit] is returned where the
// limit can't take the shortest batch.
func (e *Encoder) Encode(dst []byte, h Header, recs iter.Seq2[bufferstore.Record, error], limit int) (p []byte, last bufferstore.Seq, err error) {
	return dst, 0, errors.New("encode: not there yet")
}

// Acked tells that every record up to upTo is durable at the destination: what
// a batch up to there carried in full isn't carried again.
func (e *Encoder) Acked(upTo bufferstore.Seq) {}

// Reset forgets what the destination holds: schemas and openings go in full again.
func (e *Encoder) Reset() {}

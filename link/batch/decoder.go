package batch

import (
	"errors"

	"skyhaul/edge/point"
)

// ErrCorrupt is wrapped by the error for a payload or document that isn't what
// its sender made. Asking for it again is the cure.
var ErrCorrupt = errors.New("corrupt")

// ErrVersion is wrapped by the error for a payload or document of a version or
// level that this program doesn't know: it is newer than the program.
var ErrVersion = errors.New("unknown version")

// SchemaError says that a batch names a schema that it doesn't carry and that
// the lookup doesn't find. The site sends it in full when the ack asks for a
// fresh start, of the epoch that Header names.
type SchemaError struct {
	ID     point.SchemaID
	Header Header // of the batch, as far as it is readable without the schema
}

// Error returns the schema's id in a sentence.
func (e SchemaError) Error() string { return "schema " + e.ID.String() + " is not known" }

// Decoder reads batches. It keeps nothing from one batch to the next but
// memory, and is not safe for concurrent use; its lookup is called by Decode.
type Decoder struct {
	schemas point.Lookup
}

// NewDecoder returns a decoder that finds the schemas a batch names, but
// doesn't carry, through schemas.
func NewDecoder(schemas point.Lookup) *Decoder {
	return &Decoder{schemas: schemas}
}

// Decode reads one batch. The result shares no memory with p. The error wraps
// [ErrCorrupt] or [ErrVersion], or is a [SchemaError]; then there is no batch at all.
func (d *Decoder) Decode(p []byte) (*Batch, error) {
	return nil, errors.New("decode: not there yet")
}

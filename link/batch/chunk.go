package batch

import (
	"errors"

	"skyhaul/bufferstore"
	"skyhaul/edge/point"
)

// ChunkCodec packs chunks of the buffer. A chunk stands on its own: it carries
// the schemas it needs. It is safe for concurrent use and implements
// bufferstore.Codec.
type ChunkCodec struct {
	schemas point.Lookup
}

// NewChunkCodec returns a codec. Scans of schemas that the lookup doesn't find
// are kept as they are.
func NewChunkCodec(schemas point.Lookup) *ChunkCodec {
	return &ChunkCodec{schemas: schemas}
}

// Seal appends the chunk of recs to dst. It takes any records and gaps.
func (c *ChunkCodec) Seal(dst []byte, recs []bufferstore.Record) ([]byte, error) {
	return dst, errors.New("seal: not there yet")
}

// Open gives the records of a chunk back, byte for byte, until yield returns
// false. The error wraps [ErrCorrupt] or [ErrVersion]; then yield was not called.
func (c *ChunkCodec) Open(chunk []byte, yield func(bufferstore.Record) bool) error {
	return errors.New("open: not there yet")
}

package batch

import (
	"errors"
	"fmt"

	"skyhaul/edge/point"
)

// ErrCorrupt is wrapped by the error for a payload or document that isn't what
// its sender made. Asking for it again is the cure.
var ErrCorrupt = errors.New("corrupt")

// ErrVersion is wrapped by the error for a payload or document of a version or
// level that this program doesn't know: it is newer than the program.
var ErrVersion = errors.New("unknown version")

// ErrState is wrapped by the error for a batch that can't be read because the
// chain that it is built on is not there, or not the same. The site sends
// batches that stand on their own when the ack asks for a fresh start.
var ErrState = errors.New("state of the chain is not known")

// SchemaError says that a batch names a schema that it doesn't carry and that
// the lookup doesn't find. The site sends it in full when the ack asks for a
// fresh start, of the epoch that Header names.
type SchemaError struct {
	ID     point.SchemaID
	Header Header // of the batch; the checksum can't be checked without the schema
}

// Error returns the schema's id in a sentence.
func (e SchemaError) Error() string { return "schema " + e.ID.String() + " is not known" }

// Decoder reads batches. It keeps nothing from one batch to the next but
// memory, and is not safe for concurrent use; its lookup is called by Decode
// and DecodeOn.
type Decoder struct {
	schemas point.Lookup
	body    bodyReader
}

// NewDecoder returns a decoder that finds the schemas a batch names, but
// doesn't carry, through schemas.
func NewDecoder(schemas point.Lookup) *Decoder {
	return &Decoder{schemas: schemas}
}

// Decode reads one batch that stands on its own. The result shares no memory
// with p. The error wraps [ErrCorrupt] or [ErrVersion], [ErrState] for a batch
// of a chain, or is a [SchemaError]; then there is no batch at all. However
// short p is, a batch comes to 65,536 records and 16 MiB at most, and so does
// the memory it takes to find out that it is corrupt.
func (d *Decoder) Decode(p []byte) (*Batch, error) { return d.DecodeOn(nil, p) }

func (d *Decoder) decodePlain(p []byte) (*Batch, error) {
	src := source{b: p}
	b, carried, err := d.read(&src)
	if err != nil {
		return nil, err
	}
	var s sum
	s.header(levelA, &b.Header, b.First)
	s.add(carried)
	for i := range b.Records {
		s.record(&b.Records[i])
	}
	if want := src.uint32(); src.bad || len(src.b) > 0 || s.crc != want {
		return nil, fmt.Errorf("batch of %d bytes: %w", len(p), ErrCorrupt)
	}
	return b, nil
}

// read takes all but the checksum; carried are the forms of b.Schemas.
func (d *Decoder) read(src *source) (b *Batch, carried []byte, err error) {
	size := len(src.b)
	h, first, schemas, err := readHeader(src)
	if err != nil {
		return nil, nil, err
	}
	b = &Batch{Header: h, First: first}
	d.body.unpack.reset()
	if schemas {
		b.Schemas, carried = d.body.readSchemas(src)
	}
	b.Records, err = d.body.read(src, b.Schemas, d.find)
	if e, ok := errors.AsType[SchemaError](err); ok {
		e.Header = h
		return nil, nil, e
	}
	if src.bad || len(b.Records) == 0 || !number(b.Records, []span{{h.Epoch, first, len(b.Records)}}) {
		return nil, nil, fmt.Errorf("batch of %d bytes: %w", size, ErrCorrupt)
	}
	b.Last = b.Records[len(b.Records)-1].Last
	return b, carried, nil
}

func (d *Decoder) find(id point.SchemaID) ([]point.Type, bool) {
	s, ok := d.schemas(id)
	if !ok {
		return nil, false
	}
	return typesOf(s), true
}

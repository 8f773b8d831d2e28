package bench

import (
	"iter"
	"math"

	"skyhaul/bufferstore"
	"skyhaul/edge/point"
	"skyhaul/link/batch"
)

// coder is a site and its hub: all that knows how a batch of the recording is
// made and read, and what the one learns of the other in between.
type coder struct {
	recording *Recording
	header    batch.Header
	encoder   *batch.Encoder
	decoder   *batch.Decoder
	chain     *batch.Chain // of the decoder; nil before the first batch of level B
}

// newCoder returns a coder of which the hub has the schema, and no more.
func newCoder(r *Recording, o Options) (*coder, error) {
	c := &coder{recording: r, header: header, encoder: batch.NewEncoder(r.lookup), decoder: batch.NewDecoder(r.lookup)}
	_, next, err := c.encode(0, 1)
	c.encoder.Acked(bufferstore.Seq(next))
	c.encoder.Carry(!o.Alone)
	if o.Slots > 0 {
		c.encoder.SetSlots(o.Slots)
	}
	return c, err
}

// encode makes a batch of the scans at to end, and returns the first that it doesn't hold.
func (c *coder) encode(at, end int) (p []byte, next int, err error) {
	p, last, err := c.encoder.Encode(nil, c.header, c.recording.from(at, end), math.MaxInt)
	return p, int(last), err // a scan's number is its place and one
}

// decode reads what encode has made, in the same order.
func (c *coder) decode(p []byte) (*batch.Batch, error) {
	b, err := c.decoder.DecodeOn(c.chain, p)
	if err == nil && b.Chain != nil {
		c.chain = b.Chain
	}
	return b, err
}

// state returns the bytes of memory that the chain takes at either end.
func (c *coder) state() int {
	if c.chain == nil {
		return 0
	}
	return c.chain.Size()
}

// acked tells the site that the hub has all scans before next.
func (c *coder) acked(next int) {
	c.header.Acked = bufferstore.Seq(next)
	c.encoder.Acked(c.header.Acked)
}

var header = batch.Header{Lane: point.History, Epoch: bufferstore.Epoch{1}}

func (r *Recording) lookup(id point.SchemaID) (*point.Schema, bool) {
	return &r.schema, id == r.id
}

// from gives scans at to end as records; the first scan is number 1.
func (r *Recording) from(at, end int) iter.Seq2[bufferstore.Record, error] {
	return func(yield func(bufferstore.Record, error) bool) {
		for i := at; i < end && yield(r.record(i), nil); i++ {
		}
	}
}

func (r *Recording) record(i int) bufferstore.Record {
	n := bufferstore.Seq(i + 1)
	return bufferstore.Record{Epoch: header.Epoch, First: n, Last: n, Data: r.records[i]}
}

package batch

import (
	"skyhaul/bufferstore"
	"skyhaul/edge/point"
)

// Header is what a batch says of itself beside its records. All records of a
// batch are of one lane and one epoch and follow each other without a hole.
type Header struct {
	Lane  point.Lane
	Epoch bufferstore.Epoch
	// Acked is the site's mark: every number up to it is, as the site knows,
	// durable at the hub. A hub that misses some of them was restored from an
	// old copy and asks for them.
	Acked bufferstore.Seq
	// Opening says where the epoch begins. It is carried until an ack covers a
	// batch that carried it.
	Opening *Opening
}

// Opening places an epoch in its lane.
type Opening struct {
	Parent bufferstore.Epoch // epoch of record First-1 in this lane; zero where First is the first of all
	First  bufferstore.Seq   // the epoch's first sequence number in this lane
}

// Batch is a decoded batch.
type Batch struct {
	Header
	First, Last bufferstore.Seq
	Schemas     []*point.Schema      // those carried in full by this batch
	Records     []bufferstore.Record // records and gaps in order, First to Last, byte for byte as the site stored them
	Chain       *Chain               // as it stands after a batch of level B; nil after one of level A
}

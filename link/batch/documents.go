package batch

import (
	"skyhaul/bufferstore"
	"skyhaul/edge/point"
)

// Key is a site's secret for the documents that come down to it. The hub
// derives it from its own master key and the site id, see SiteKey.
type Key [32]byte

// Range is a run of sequence numbers, both ends included.
type Range struct{ First, Last bufferstore.Seq }

// Ack is the retained document by which a hub tells a site what is durable.
type Ack struct {
	// At is the time at the hub in Unix milliseconds, made strictly rising by
	// the hub's database. A site ignores an ack that is not newer than the last.
	At    int64
	Lanes []LaneAck
}

// LaneAck tells of one epoch of one lane: the oldest ones that are not
// complete and the newest, at most 8 a lane.
type LaneAck struct {
	Lane  point.Lane
	Epoch bufferstore.Epoch
	// Floor: every number of the epoch up to it is stored or declared lost.
	Floor bufferstore.Seq
	// Whole says that all earlier epochs of the lane are complete as well, up
	// to the chain of parents.
	Whole  bool
	Stored []Range // above Floor, at most 8
	// Wanted are numbers of the lane, in any epoch before or in this one, that
	// the hub asks for again: it was restored from an old copy.
	Wanted []Range
	// Fresh asks for batches that stand on their own: schemas and opening in
	// full, no chain, from Floor+1 on. Under the epoch zero it asks so for
	// whatever epoch the site is in: of a batch on a chain that is not there, a
	// hub can't tell.
	Fresh bool
	// Chain permits batches that lean on the one before, see Encoder.Carry.
	Chain bool
}

// Down is the retained document of open commands, at most 32.
type Down struct {
	At       int64 // as Ack.At
	Commands []Command
}

// Command is one order to a site.
type Command struct {
	ID       uint64
	Deadline int64  // Unix milliseconds; not carried out after it
	Body     []byte // at most 1 KiB
}

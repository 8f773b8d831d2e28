package hub

import (
	"context"

	"skyhaul/edge/point"
	"skyhaul/link/batch"
)

// Chains is implemented by a [Sink] that keeps what chains are made of, see
// batch.Chain: then a batch that leans on earlier ones can be read after a
// restart, by another hub, and when its chain has left the memory long ago. A
// hub whose sink is none permits no chains.
type Chains interface {
	// StoreLink is Store for a batch of level B, whose Chain is not the sink's. In
	// the same transaction it keeps the link, once however often it comes. It may
	// forget links that are older than the newest 1024 of the lane, or 4 MiB of
	// them, and not needed for the paths to those.
	StoreLink(ctx context.Context, site string, b *batch.Batch, l Link) (Marks, error)
	// Repeated reports whether a payload is that of a link. Then its batch is
	// stored and counts as one that came again, as it would with Store.
	Repeated(ctx context.Context, site string, lane point.Lane, payload []byte) (Marks, bool, error)
	// Paths returns how to make the chains of a lane whose names end in tag, at
	// most 4, the newest first.
	Paths(ctx context.Context, site string, lane point.Lane, tag uint16) ([]Path, error)
	// Alone notes that a hub is at work and reports whether no other one was in
	// the last 5 minutes. A hub keeps its name over restarts.
	Alone(ctx context.Context, hub string) (bool, error)
}

// Link is a batch of level B as it came. Its slices are only lent.
type Link struct {
	Base     uint32 // name of the chain that it is built on; 0 where it begins one
	Payload  []byte
	Snapshot []byte // of the chain after it; nil for most
}

// Path makes a chain: a snapshot, and the payloads that came after it.
type Path struct {
	Snapshot []byte // nil where the first payload begins the chain
	Payloads [][]byte
}

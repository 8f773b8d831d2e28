// Package hub is the central side of the uplink: it takes batches off the
// broker, hands each to a Sink that stores rows and marks in one transaction,
// and tells every site what it holds. It knows no SQL.
//
// What can't be stored never holds up what can: a corrupt batch is kept aside
// and acknowledged to the broker; for a batch whose schema, opening or chain is
// not here the site is asked for a fresh start. Only a sink that fails stops the
// queue: nothing is acknowledged to the broker before it is durable.
//
// Batches that lean on the one before are permitted to sites where the sink is
// one of [Chains], no other hub shares it, and no chain of the site was missing
// of late. Whatever is permitted, a batch is read if what it leans on is stored.
package hub

import (
	"context"
	"time"

	"skyhaul/bufferstore"
	"skyhaul/edge/point"
	"skyhaul/link/batch"
)

// Sink stores batches. A sink may be shared by several hubs; it serialises what
// must be serialised by its own transactions.
type Sink interface {
	// Store writes the rows, schemas and marks of a batch in one transaction
	// and returns the marks after it. It stores a record only if its sequence
	// number is not in the marks yet, so it may be called with the same batch
	// any number of times. When it returns nil the batch is durable. Its error
	// wraps [ErrNoOpening] or [ErrRefused] where trying again can't help.
	Store(ctx context.Context, site string, b *batch.Batch) (Marks, error)
	// Marks returns what the sink holds of every lane of a site.
	Marks(ctx context.Context, site string) (Marks, error)
	// AskFresh notes in the marks that the site is to start an epoch afresh,
	// see Marks.AskFresh, until a batch comes that carries the opening. The epoch
	// is zero where a batch could not be read because its chain is missing.
	AskFresh(ctx context.Context, site string, lane point.Lane, epoch bufferstore.Epoch) error
	// Schema finds a schema that an earlier batch of the site carried.
	Schema(ctx context.Context, site string, id point.SchemaID) (*point.Schema, bool, error)
}

// Fleet keeps what a hub knows of its sites beside their records.
type Fleet interface {
	// Sites returns all sites that have been heard of.
	Sites(ctx context.Context) ([]Site, error)
	// Contact notes what a site says of its session.
	Contact(ctx context.Context, site string, s batch.State) error
	// Reject keeps a payload aside that can't be stored. It keeps a bounded
	// number of them, the newest.
	Reject(ctx context.Context, r Rejected) error
	// Down returns the open commands of a site.
	Down(ctx context.Context, site string) (*batch.Down, error)
}

// Site is one line of the fleet. Times are zero where there was nothing yet.
type Site struct {
	ID        string
	Heard     time.Time // of it at all, first
	LastBatch time.Time // stored
	Batches   int64     // stored
	Records   int64     // stored, each once
	Readings  int64     // stored, each once
	Repeated  int64     // records that came again and were dropped
	Unchained int64     // batches that could not be read because their chain was missing
	Online    bool      // by its own word
	Config    string    // beginning of the hash over its configuration, in hexadecimal
	Contact   time.Time // when its last word came
	Next      time.Time // when the next is expected
	DownAt    int64     // batch.Down.At of its open commands; 0 where there never was one
}

// Rejected is a payload that can't be stored.
type Rejected struct {
	Site    string
	Topic   string
	Cause   string
	Payload []byte
}

// Package hub is the central side of the uplink: it takes batches off the
// broker, hands each to a Sink that stores rows and marks in one transaction,
// and tells every site what it holds. It knows no SQL.
package hub

import (
	"context"

	"skyhaul/edge/point"
	"skyhaul/link/batch"
)

// Sink stores batches. A sink may be shared by several hubs; it serialises what
// must be serialised by its own transactions.
type Sink interface {
	// Store writes the rows, schemas and marks of a batch in one transaction
	// and returns the marks after it. It stores a record only if its sequence
	// number is not in the marks yet, so it may be called with the same batch
	// any number of times. When it returns nil the batch is durable.
	Store(ctx context.Context, site string, b *batch.Batch) (Marks, error)
	// Marks returns what the sink holds of every lane of a site.
	Marks(ctx context.Context, site string) (Marks, error)
	// Schema finds a schema that an earlier batch of the site carried.
	Schema(ctx context.Context, site string, id point.SchemaID) (*point.Schema, bool, error)
}

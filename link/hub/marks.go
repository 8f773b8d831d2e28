package hub

import (
	"skyhaul/bufferstore"
	"skyhaul/edge/point"
	"skyhaul/link/batch"
)

// Marks is what a sink holds of one site.
type Marks struct {
	At     int64 // Unix milliseconds at the hub, strictly rising for each change
	Epochs []EpochMarks
}

// EpochMarks is what a sink holds of one epoch in one lane.
type EpochMarks struct {
	Lane   point.Lane
	Epoch  bufferstore.Epoch
	Parent bufferstore.Epoch // see batch.Opening
	First  bufferstore.Seq   // see batch.Opening
	Floor  bufferstore.Seq   // everything from First to Floor is stored or declared lost
	Stored []batch.Range     // stored above Floor: rising, apart from each other and from Floor
	Wanted []batch.Range     // below the site's own mark, and missing here
}

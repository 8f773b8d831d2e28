package link

import (
	"time"

	"skyhaul/bufferstore"
	"skyhaul/edge/point"
	"skyhaul/link/window"
)

// Phase is what an uplink is doing.
type Phase uint8

// The phases of an uplink.
const (
	Closed     Phase = iota // the window is closed
	Idle                    // it is open, and there is nothing to send
	Spent                   // it is open, but the budget is spent
	Waiting                 // the last session failed, the next one waits
	Connecting              // a session has begun, nothing has come back yet
	Connected               // a session stands
)

var phaseNames = [...]string{"closed", "idle", "budget spent", "waiting", "connecting", "connected"}

// String returns the phase as it stands on the page, such as "connected".
func (p Phase) String() string { return phaseNames[p] }

// Status is an uplink at one moment.
type Status struct {
	Window   window.State
	Phase    Phase
	Err      string // why the last session failed; empty when one got through since
	Failures int    // sessions that failed since one got through
	Lanes    []LaneStatus
	Totals   Totals
	Ledger   string // why the ledger can't be written; empty where it can
	Ignored  Ignored
	Resent   Resent
	Down     DownStatus
	AckAt    time.Time // the hub's time of the last accepted ack; zero before the first
}

// LaneStatus is how far a lane has come.
type LaneStatus struct {
	Lane                 point.Lane
	Durable, Sent, Acked bufferstore.Seq
	Again                int64  // numbers waiting to be sent once more
	Err                  string // why the lane can't be sent; empty where it can
}

// Ignored counts acks, or entries of acks, that were not acted upon, by cause.
type Ignored struct {
	BadMAC       int64 // not under this site's key
	Malformed    int64 // not a document of a known version
	Older        int64 // older than one accepted before
	UnknownEpoch int64 // of an epoch that this store doesn't know: of a clone, or after an old image
	FloorBack    int64 // the floor went back: the hub was restored
	AboveSent    int64 // tells of numbers that were never sent
}

// Resent counts how often something was sent again, by the evidence for it.
type Resent struct {
	Holes   int64 // numbers
	Wanted  int64 // numbers
	Fresh   int64 // numbers
	Silence int64 // times
}

// DownStatus tells of open commands.
type DownStatus struct {
	Commands int
	Earliest time.Time // deadline; zero without commands
}

func (r *Resent) add(o Resent) {
	r.Holes += o.Holes
	r.Wanted += o.Wanted
	r.Fresh += o.Fresh
	r.Silence += o.Silence
}

// cause is why an entry of an ack is not acted upon.
type cause uint8

const (
	accepted cause = iota
	unknownEpoch
	floorBack
	aboveSent
)

func (i *Ignored) add(c cause) {
	switch c {
	case unknownEpoch:
		i.UnknownEpoch++
	case floorBack:
		i.FloorBack++
	case aboveSent:
		i.AboveSent++
	}
}

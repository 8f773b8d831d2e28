package bufferstore

import (
	"encoding/hex"
	"fmt"
)

// Seq is a sequence number of a lane: dense, from 1, never used twice. Every
// number is a record or lies in a gap.
type Seq uint64

// Epoch names one opening of a store: 64 random bits, on disk with its first
// record. Epoch and Seq together name a record for ever, so that a cloned card
// or a restored image can't collide with its twin. Zero is no epoch.
type Epoch [8]byte

// String returns the epoch in hexadecimal.
func (e Epoch) String() string { return hex.EncodeToString(e[:]) }

// Record is what a lane holds at a sequence number, or the gap over a range of them.
type Record struct {
	Epoch       Epoch
	First, Last Seq    // the same for a record
	Data        []byte // opaque; valid until the iteration goes on; nil for a gap
	Lost        Reason // zero for a record
}

// Reason says why records are lost. The values are part of the wire format.
type Reason uint8

// The reasons of a gap.
const (
	Kept     Reason = iota // not lost: a record
	Evicted                // dropped for space or age by the lane's policy
	Thinned                // replaced by summaries in lane trend
	Damaged                // unreadable on flash
	Refused                // could not be written: store full or failing
	Expired                // delivered and past its retention
	TooLarge               // longer than the store or the uplink can carry
)

var reasonNames = [...]string{"kept", "evicted", "thinned", "damaged", "refused", "expired", "too large"}

// String returns the reason as it stands in reports, such as "evicted".
func (r Reason) String() string {
	if int(r) < len(reasonNames) {
		return reasonNames[r]
	}
	return fmt.Sprintf("reason(%d)", uint8(r))
}

// Valid reports whether r is one of the reasons above.
func (r Reason) Valid() bool { return r <= TooLarge }

// Span is the part of a lane that one epoch appended.
type Span struct {
	Epoch Epoch
	// Parent is the epoch of the record before First, in this lane; zero where
	// First begins the lane. Two spans of one parent are a fork: a card was
	// cloned or an old image restored.
	Parent      Epoch
	First, Last Seq // Last < First while nothing was appended
}

// Codec packs runs of records for flash. Open(Seal(x)) gives x back byte for byte.
type Codec interface {
	// Seal appends the packed form of recs, which are consecutive, to dst.
	Seal(dst []byte, recs []Record) ([]byte, error)
	// Open unpacks a chunk; it stops early where yield returns false. Data is the
	// codec's again once yield has returned.
	Open(chunk []byte, yield func(Record) bool) error
}

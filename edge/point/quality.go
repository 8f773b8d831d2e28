package point

import "fmt"

// Quality says how far a value may be trusted, and why not: the status in the
// top two bits, the reason in the low six. The zero value is good. It is kept
// per value and is part of the record format.
type Quality uint8

// Status is the coarse part of a quality.
type Status uint8

// The statuses of a quality.
const (
	Good Status = iota
	Uncertain
	Bad
)

// Reason is the fine part of a quality.
type Reason uint8

// The reasons of a quality that is not good.
const (
	NoReason      Reason = iota
	Comm                 // no valid answer: timeout, noise, wrong frame
	Exception            // the unit answered with a Modbus exception
	NotConnected         // port or endpoint could not be opened
	SensorFailure        // the transmitter lives, its sensor does not (NAMUR NE 43, sentinel value)
	UnderRange           // below the valid range
	OverRange            // above the valid range
	Frozen               // unchanged for longer than the instrument can be
	OutOfService         // taken out of service by an operator
	Substituted          // entered by hand or taken from elsewhere
	ScaleError           // the bits are no value of the type: BCD nibble over 9, NaN
	Clock                // the time of the value is not to be trusted
	NotRecorded          // the rule of the point left the reading out, see Rule; only as Unrecorded
)

var (
	statusNames = [...]string{"good", "uncertain", "bad"}
	reasonNames = [...]string{
		"", "comm", "exception", "not connected", "sensor failure", "under range", "over range",
		"frozen", "out of service", "substituted", "scale error", "clock", "not recorded",
	}
)

// Unrecorded stands in a scan where the rule of a point had nothing to record.
// It is no reading: nothing is said of the instrument, and neither exports nor
// the centre have a row of it.
const Unrecorded = Quality(NotRecorded)

// MakeQuality puts a status and a reason together.
func MakeQuality(s Status, r Reason) Quality { return Quality(s)<<6 | Quality(r)&0x3f }

// Status returns the coarse part.
func (q Quality) Status() Status { return Status(q >> 6) }

// Reason returns the fine part.
func (q Quality) Reason() Reason { return Reason(q & 0x3f) }

// HasValue reports whether a value was read at all. Whatever the quality, the
// value read is kept; where none was read the bits are zero and mean nothing.
func (q Quality) HasValue() bool {
	if q.Status() != Bad {
		return q != Unrecorded
	}
	switch q.Reason() {
	case Comm, Exception, NotConnected, OutOfService:
		return false
	}
	return true
}

// Valid reports whether q is a combination this version knows.
func (q Quality) Valid() bool {
	return q.Status() <= Bad && q.Reason() <= Clock || q == Unrecorded
}

// String returns the status, such as "good".
func (s Status) String() string {
	if int(s) < len(statusNames) {
		return statusNames[s]
	}
	return fmt.Sprintf("status(%d)", uint8(s))
}

// String returns the reason, such as "sensor failure"; empty for NoReason.
func (r Reason) String() string {
	if int(r) < len(reasonNames) {
		return reasonNames[r]
	}
	return fmt.Sprintf("reason(%d)", uint8(r))
}

// String returns "good" or "bad: comm".
func (q Quality) String() string {
	if q.Reason() == NoReason {
		return q.Status().String()
	}
	return q.Status().String() + ": " + q.Reason().String()
}

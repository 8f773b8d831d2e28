package point

import (
	"fmt"
	"time"
)

// TimeQuality says where the wall time of a stamp comes from. The values are
// part of the record format.
type TimeQuality uint8

// The qualities of a wall time.
const (
	Synced      TimeQuality = iota // disciplined now; Stamp.Bound holds
	Holdover                       // was synced in this boot; Bound grows with age
	RTCOnly                        // from the battery clock, never synced in this boot
	UnknownTime                    // not plausible at all
	Repaired                       // set right later from another stamp of the same boot
)

var timeQualityNames = [...]string{"synced", "holdover", "rtc only", "unknown", "repaired"}

// String returns the name used in exports, such as "holdover".
func (q TimeQuality) String() string {
	if int(q) < len(timeQualityNames) {
		return timeQualityNames[q]
	}
	return fmt.Sprintf("time quality(%d)", uint8(q))
}

// Stamp says when something happened. Its resolution is one millisecond. What
// orders records is their sequence number, then Boot and Boottime; the wall
// time is for people and may jump by years.
type Stamp struct {
	Boot     uint32        // ordinal of the boot on this appliance, from 1; 0 is not set
	Boottime time.Duration // CLOCK_BOOTTIME, whole milliseconds
	Wall     int64         // Unix milliseconds, UTC
	Quality  TimeQuality
	// BoundExp says how far Wall may be off: at most 2^BoundExp milliseconds;
	// UnknownBound where nobody can tell. An exponent, so that it stays the
	// same over many scans and costs nothing on the wire.
	BoundExp uint8
}

// UnknownBound is the BoundExp of a wall time of unknown error.
const UnknownBound = 255

// Time returns the wall time in UTC.
func (s Stamp) Time() time.Time { return time.UnixMilli(s.Wall).UTC() }

// BoundExp returns the smallest exponent whose bound covers d.
func BoundExp(d time.Duration) uint8 {
	for e := range uint8(40) {
		if d <= time.Millisecond<<e {
			return e
		}
	}
	return UnknownBound
}

// Bound returns the greatest error of the wall time; ok is false where it is unknown.
func (s Stamp) Bound() (d time.Duration, ok bool) {
	if s.BoundExp >= 40 {
		return 0, false
	}
	return time.Millisecond << s.BoundExp, true
}

// Package point says what a reading is: the point it belongs to, the schema it
// was taken under, its raw bits, its quality and its stamp, and the byte form
// of the records that carry it from the scan to the centre.
//
// Everything here is a value: no goroutine, no clock, no file. The byte forms
// are frozen by golden tests; a change of any of them is a new record kind.
package point

import "fmt"

// ID names a point for ever. It is given once, in the configuration, and never
// used again for anything else: tag, unit, range and instrument may change
// under it, its history stays one. Zero is no point.
type ID uint32

// Type says how the raw bits of a value are to be read. The values are part of
// the record format.
type Type uint8

// The types of a value. Word and byte order are done before a value becomes
// raw bits: a Float32 holds math.Float32bits, an Int16 its two's complement in
// the low 16 bits.
const (
	Bool Type = iota + 1
	Int16
	Uint16
	Int32
	Uint32
	Int64
	Uint64
	Float32
	Float64
)

var typeNames = [...]string{"", "bool", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float32", "float64"}

// String returns the name used in configurations and exports, such as "float32".
func (t Type) String() string {
	if t.Valid() {
		return typeNames[t]
	}
	return fmt.Sprintf("type(%d)", uint8(t))
}

// Valid reports whether t is one of the types above.
func (t Type) Valid() bool { return t >= Bool && t <= Float64 }

// ParseType is the inverse of String; ok is false for an unknown name.
func ParseType(name string) (t Type, ok bool) {
	for i, n := range typeNames {
		if n == name && i > 0 {
			return Type(i), true
		}
	}
	return 0, false
}

// Size returns how many bytes a value takes in a scan record: 1, 2, 4 or 8.
func (t Type) Size() int {
	switch t {
	case Bool:
		return 1
	case Int16, Uint16:
		return 2
	case Int32, Uint32, Float32:
		return 4
	default:
		return 8
	}
}

// Lane is a class of urgency. The list is closed; a reading is in one lane, once.
// The values are part of the wire format.
type Lane uint8

// The lanes in order of urgency: an uplink drains them in this order.
const (
	Alarm Lane = iota + 1
	Result
	Custody
	Message
	Trend
	History
)

var laneNames = [...]string{"", "alarm", "result", "custody", "message", "trend", "history"}

// Lanes returns all lanes, the most urgent first.
func Lanes() []Lane { return []Lane{Alarm, Result, Custody, Message, Trend, History} }

// String returns the lane's name as used in topics, configurations and tables.
func (l Lane) String() string {
	if l.Valid() {
		return laneNames[l]
	}
	return fmt.Sprintf("lane(%d)", uint8(l))
}

// Valid reports whether l is one of the lanes above.
func (l Lane) Valid() bool { return l >= Alarm && l <= History }

// ParseLane is the inverse of String; ok is false for an unknown name.
func ParseLane(name string) (l Lane, ok bool) {
	for i, n := range laneNames {
		if n == name && i > 0 {
			return Lane(i), true
		}
	}
	return 0, false
}

// Package scan reads groups of points on their grid and makes records of them:
// one pass of a group is one record a lane. Points with a rule or a summary are
// left out of it and have records of their own, see [point.Rule] and [Summary].
// The package decides what a value is worth (quality with its reason) and when an
// alarm begins and ends, at every pass. It owns no port: requests go through a
// bus, records into a sink that never blocks.
package scan

import (
	"context"
	"log/slog"
	"time"

	"skyhaul/edge/point"
	"skyhaul/modbus"
	"skyhaul/modbus/bus"
)

// Bus carries requests to units. *bus.Line is one.
type Bus interface {
	Do(ctx context.Context, c bus.Class, unit modbus.UnitID, req modbus.PDU) (modbus.Answer, error)
}

// Sink takes records. Put never blocks and never fails: the record is in RAM
// now and durable with the next sync. It must not keep rec.
type Sink interface {
	Put(lane point.Lane, rec []byte)
}

// Point is one value to read.
type Point struct {
	point.Column
	Lane     point.Lane
	Local    bool    // shown and judged here, never sent
	Summary  Summary // for lane trend; not with a rule
	Unit     modbus.UnitID
	Function modbus.FunctionCode // 1 to 4
	Addr     uint16
	// ItemBytes is how many bytes an item at Addr has in the unit's dialect; 0:
	// as the function has it.
	ItemBytes int
	Format    modbus.Format // how registers become raw bits; unused for functions 1 and 2
	Valid     *Bounds       // outside: bad, under or over range; nil: everything is valid
	// Signal is the current loop behind the value; nil: none that is judged.
	Signal *Signal
	// Sentinels are the raw bits that say that the sensor failed: bad. One that
	// is no number stands for all that are none.
	Sentinels []uint64
	Alarms    []Alarm
	// FrozenAfter makes a value uncertain that has not changed for so long;
	// zero: never.
	FrozenAfter time.Duration
}

// Bounds are inclusive, in engineering units.
type Bounds struct{ Low, High float64 }

// Signal says which raw numbers stand for 4 and 20 mA. A current that is no
// measurement by NAMUR NE 43 makes the quality bad and leaves the value as it
// is. The two must differ.
type Signal struct{ Raw4, Raw20 float64 }

// Alarm is one condition of a point, judged at every scan on values that are not
// bad.
type Alarm struct {
	Condition string // name in events: "hihi", "hi", "lo", "lolo" or the user's own
	Below     bool   // begins below Limit; else above it
	Limit     float64
	Deadband  float64 // ends only this far on the safe side of Limit
	// Delay is how long the value must stay past Limit before the alarm begins.
	Delay time.Duration
}

// Group is a set of points on one line or endpoint, read together.
type Group struct {
	Name     string
	Interval time.Duration // of the grid
	Points   []Point
	// Costs are the prices of an exchange with each unit, for planning blocks,
	// and what a plan must leave alone.
	Costs map[modbus.UnitID]bus.Cost
}

// Reading is the latest value of a point.
type Reading struct {
	point.Column
	Group   string
	Lane    point.Lane
	Unit    modbus.UnitID
	Raw     uint64
	Quality point.Quality
	Stamp   point.Stamp // of the pass that read it; zero before the first
	Alarms  []string    // conditions that are active
}

// Memory keeps what a scanner learnt of its units: a value below a name, at most
// each hour and when the scanner ends. *stable.Dir is one.
type Memory interface {
	Load(name string) ([]byte, error) // fs.ErrNotExist where nothing was ever saved
	Save(name string, value []byte) error
}

// Options are what a scanner works with.
type Options struct {
	Bus    Bus
	Sink   Sink
	Now    func() point.Stamp
	Tick   func() // called after every request and every pass; nil for none
	Logger *slog.Logger

	// Turnaround is what the bus learnt of a unit, 0 where it knows nothing: the
	// unit's reads are planned anew when it moves by a quarter. Nil: plans stay
	// with the group's costs.
	Turnaround func(modbus.UnitID) time.Duration

	Memory     Memory // nil: what was learnt ends with the scanner
	MemoryName string // of its value: one for each scanner
}

// Package archive harvests what flow computers keep by themselves: hourly and
// daily records, and the log of events and alarms. Every record is taken once,
// as it is, and may be forgotten by the instrument only when it is durable here.
//
// # Archives
//
// An archive is a ring of numbered records, and a register tells which of them
// is the newest. The harvester remembers a digest of every record of the ring.
// Each pass reads that register and, once more, the record that was the newest
// last time; if it reads as before, just those behind it are new. Else the ring
// has gone round, or was cleared, and all of it is read; what is known is left
// out. A record whose time is the same but whose content isn't has been edited:
// that is a further version, kept beside the first. One older record a pass is
// compared too, so that an edit anywhere is found within a few days.
//
// # Log
//
// One read gives the entries since the last acknowledged read, as many as go
// into an answer. They are put, made durable and noted; only then is the read
// acknowledged, and the next one made, until there is nothing. Entries that come
// again, because the acknowledgement was lost or the unit confirms it and forgets
// nothing, are known and left out, those behind them taken; the latter is an error
// that lasts until the unit does forget. Where a unit logs all of an answer once
// more, the same to the second and the value, right behind its acknowledgement,
// that can't be told apart and is taken for the first.
//
// # What a crash leaves
//
//	after         found at the next start
//	read, put     nothing: it is read again
//	sync          the record, or the entries of one answer, a second time. The numbers, and all
//	              the instrument said, are the same, so that the hub knows them for what they are
//	save          an answer whose acknowledgement may have been lost: its entries are known
//	              by their digests, whatever was logged behind them
//	acknowledge   nothing
//
// # Time
//
// The instrument's clock is its own. Its times are kept as they came; read in the
// time zone of the configuration, they are uncertain where that zone has a local
// time twice or not at all.
//
// # Notes
//
// Beside the records, in lane custody, notes say where the harvest begins, for the
// first time or because the state was lost; which records were lost unread, edited
// or refused; and where the clock went back, the time or the index jumped. After a
// power cut that was followed by more than a round of the ring, a note may count one
// record as lost that had been made durable.
package archive

import (
	"context"
	"log/slog"
	"time"

	"skyhaul/edge/point"
	"skyhaul/modbus"
	"skyhaul/modbus/bus"
)

// Spec is a unit that keeps archives.
type Spec struct {
	Name    string // of the unit, as records name it
	Unit    modbus.UnitID
	Dialect modbus.Dialect // must have archives and log as items of -1 bytes, see [modbus.Enron]
	// Location is the time zone of the unit's clock, nil for UTC. One that is
	// never put forward in summer is in a zone such as "Etc/GMT+7".
	Location *time.Location
	DayStart time.Duration // time of day that a date alone means, such as the contract hour
	Archives []Archive
	Log      *Log // nil for none
}

// Archive is a ring of records.
type Archive struct {
	ID      point.ID // given once, as a point's
	Name    string
	Kind    point.ArchiveKind
	Address uint16 // its number: 701 for the first of an Enron unit
	First   uint16 // number of the first record of the ring: 0 or 1
	Records int    // how many there are in the ring, at least 2
	Index   Index
	Layout  point.Layout
	// Interval is the time from record to record, for noticing that the
	// instrument's clock was changed; zero where it varies.
	Interval time.Duration
	Every    time.Duration // how often it is looked at; zero is 5 minutes
}

// Index is the register that tells which record is the newest.
type Index struct {
	Address uint16
	Type    point.Type // any but Bool, high byte first; zero is float32 where the dialect has 4 bytes there, else uint16
	Next    bool       // it names the record that will be written next, not the one written last
}

// Log is a list of events and alarms that is acknowledged.
type Log struct {
	ID      point.ID // given once, as a point's
	Name    string
	Address uint16 // register that it is read from: 32 on an Enron unit
	Ack     uint16 // coil that acknowledges it: 32 on an Enron unit
	Layout  point.Layout
	Every   time.Duration // how often it is looked at; zero is 5 minutes
}

// Bus carries requests to units. *bus.Line is one.
type Bus interface {
	Do(ctx context.Context, c bus.Class, unit modbus.UnitID, req modbus.PDU) (modbus.Answer, error)
}

// Sink takes records. Put must not keep rec.
type Sink interface {
	Put(lane point.Lane, rec []byte)
}

// State keeps small values. *stable.Dir is one.
type State interface {
	// Load returns an error that is fs.ErrNotExist where nothing was ever saved.
	Load(name string) ([]byte, error)
	// Save returns nil once the value survives a power cut.
	Save(name string, value []byte) error
}

// Options are what a harvester works with.
type Options struct {
	Bus  Bus
	Sink Sink
	// Sync returns nil only if everything put before survives a power cut. It
	// must fail where a record was put since the call before and could not be kept:
	// what it grants is acknowledged to the instrument, which then forgets it. A
	// harvester puts and syncs from one goroutine at a time.
	Sync   func(context.Context) error
	State  State
	Now    func() point.Stamp
	Logger *slog.Logger
}

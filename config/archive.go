package config

import (
	"context"
	"io/fs"
	"log/slog"
	"strconv"
	"time"

	"skyhaul/edge/archive"
	"skyhaul/edge/point"
	"skyhaul/modbus"
)

// Harvest is a unit whose archives are read.
type Harvest struct {
	Line string // name of the line or endpoint
	archive.Spec
}

// harvest reads the archives and the log that a unit keeps.
func (r *reader) harvest(t *table, u *unit, site Site) {
	s := archive.Spec{Name: u.name, Unit: u.id, Dialect: u.dialect, Location: site.Location, DayStart: site.DayStart}
	if zone := t.text("clock_timezone", ""); zone != "" {
		var err error
		if s.Location, err = time.LoadLocation(zone); err != nil {
			t.fail("clock_timezone", "%q is no IANA time zone: use one as Europe/Oslo, or Etc/GMT+7 for a clock that has no summer time", zone)
		}
	}
	for _, at := range append(u.archives, t.subs("archive")...) {
		s.Archives = append(s.Archives, at.archive())
	}
	if lt := t.sub("log", t.name+" log"); lt != nil {
		s.Log = lt.log()
	}
	if len(s.Archives) == 0 && s.Log == nil || len(r.probs.errs) > 0 {
		return
	}
	if u.overheard {
		t.fail("on", "is a line that is only listened to: nothing is asked there, and archives and logs must be")
		return
	}
	if u.dialect == nil {
		t.fail("dialect", "must be enron: plain Modbus has no archives")
		return
	}
	if _, err := archive.New(s, archive.Options{State: nothing{}, Logger: slog.New(slog.DiscardHandler)}); err != nil {
		t.fail("archive", "%v", err)
		return
	}
	u.harvest = &s
}

// nothing is a state of which nothing was ever saved.
type nothing struct{}

func (nothing) Load(string) ([]byte, error) { return nil, fs.ErrNotExist }
func (nothing) Save(string, []byte) error   { return context.Canceled }

// archiveKinds are the words of the file.
var archiveKinds = map[string]point.ArchiveKind{"periodic": point.Periodic, "events": point.Events}

func (t *table) archive() archive.Archive {
	a := archive.Archive{
		ID:       t.archiveID(),
		Name:     t.needText("name", "as hourly"),
		Kind:     archiveKinds[t.choice("kind", "periodic", "periodic", "events")],
		Address:  t.register("address", -1),
		First:    uint16(t.integer("first", 1, 0, 1)),
		Records:  t.integer("records", 0, 2, 65534),
		Index:    archive.Index{Address: t.register("index", -1), Next: t.flag("index_next", false)},
		Interval: t.duration("interval", 0, time.Minute, 8760*time.Hour),
		Every:    t.duration("every", 5*time.Minute, time.Second, 24*time.Hour),
		Layout:   t.layout(),
	}
	if !t.has("records") {
		t.fail("records", "is missing: how many the ring has")
	}
	if name := t.text("index_type", ""); name != "" {
		var ok bool
		if a.Index.Type, ok = point.ParseType(name); !ok {
			t.fail("index_type", "%q is no type, as uint16 or float32", name)
		}
	}
	return a
}

func (t *table) log() *archive.Log {
	return &archive.Log{
		ID: t.archiveID(), Name: t.text("name", "events"),
		Address: t.register("address", modbus.EnronLog), Ack: t.register("ack", modbus.EnronLog),
		Every:  t.duration("every", 5*time.Minute, time.Second, 24*time.Hour),
		Layout: t.layout(),
	}
}

// archiveID is a point's id: archives and points share the numbers.
func (t *table) archiveID() point.ID {
	if !t.has("id") {
		t.fail("id", "is missing: number archives as you number points, once and for ever")
	}
	return t.pointID()
}

// register is a number as on the wire, which those of flow computers are; there
// is no default where that is negative.
func (t *table) register(key string, def int) uint16 {
	if !t.has(key) && def < 0 {
		t.fail(key, "is missing: the number of the register, from which nothing is taken off")
	}
	return uint16(t.integer(key, max(0, def), 0, 65535))
}

func (t *table) layout() point.Layout {
	fields := t.words("fields")
	if len(fields) == 0 {
		t.fail("fields", "are missing: the record's, as [\"date float32 mmddyy\", \"time float32 hhmmss\", \"PT float32 kPa\"]")
		return nil
	}
	l, err := point.ParseLayout(fields)
	if err != nil {
		t.fail("fields", "%v", err)
	}
	return l
}

// dayStart reads a time of day, such as the contract hour.
func (t *table) dayStart(key string) time.Duration {
	s := t.text(key, "00:00")
	at, err := time.Parse("15:04", s)
	if err != nil {
		t.fail(key, "%s is no time of day: write it as 06:00", strconv.Quote(s))
		return 0
	}
	return time.Duration(at.Hour())*time.Hour + time.Duration(at.Minute())*time.Minute
}

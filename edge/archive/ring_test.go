package archive

import (
	"slices"
	"strings"
	"testing"
	"time"

	"skyhaul/edge/point"
	"skyhaul/modbus"
)

func TestWholeRingIsReadAtFirstAndThenWhatIsNew(t *testing.T) {
	for name, hoursBefore := range map[string]int{"empty": 0, "begun": 5, "full": 48, "went round": 130} {
		t.Run(name, func(t *testing.T) {
			m := newMeter(hours)
			m.hour(hoursBefore)
			s := newSite(t, m)
			h := s.harvester(spec(hours))
			s.pass(h)
			first := max(0, hoursBefore-48)
			s.checkVolumes(span(first, hoursBefore-1))
			m.hour(3)
			s.requests = nil
			s.pass(h)
			s.pass(h)
			s.checkVolumes(span(first, hoursBefore+2))
			if hoursBefore > 0 && len(s.requests) > 9 {
				t.Errorf("%d requests for three records: %q", len(s.requests), s.requests)
			}
			s.checkNotes()
		})
	}
}

func TestIndexMayNameTheRecordWrittenNext(t *testing.T) {
	a := hours
	a.First, a.Index.Next = 0, true
	m := newMeter(a)
	m.hour(48)
	s := newSite(t, m)
	h := s.harvester(spec(a))
	s.pass(h)
	m.hour(1)
	s.pass(h)
	s.checkVolumes(span(0, 48))
	if last := s.records()[48]; last.Index != 0 {
		t.Errorf("the record behind number 47 is number %d", last.Index)
	}
}

func TestRecordSaysAllThatIsKnown(t *testing.T) {
	m := newMeter(hours)
	m.hour(1)
	s := newSite(t, m)
	sp := spec(hours)
	var err error
	if sp.Location, err = time.LoadLocation("America/Edmonton"); err != nil {
		t.Fatal(err)
	}
	sp.DayStart = 9 * time.Hour
	h := s.harvester(sp)
	s.pass(h)
	got := s.records()[0]
	if got.ID != 900 || got.Index != 1 || got.Source != "meter 1" || got.Name != "hourly" || got.Zone != "America/Edmonton" ||
		got.DayStart != 9*time.Hour || got.Kind != point.Periodic || got.TimeQuality != 0 {
		t.Errorf("%+v", got)
	}
	if at := time.UnixMilli(got.Time).UTC(); at != time.Date(2026, 2, 28, 4, 0, 0, 0, time.UTC) {
		t.Errorf("time %v", at)
	}
	if !slices.Equal(got.Raw, record(m.now, 0)) {
		t.Errorf("raw % x", got.Raw)
	}
	st := h.Status()
	if len(st) != 1 || st[0].Name != "hourly" || st[0].Records != 1 || st[0].Newest.UnixMilli() != got.Time || st[0].Err != nil {
		t.Errorf("status %+v", st)
	}
}

func TestWeekWithoutTheSiteLosesNothing(t *testing.T) {
	a := hours
	a.Records = 840
	m := newMeter(a)
	m.hour(1000)
	s := newSite(t, m)
	s.pass(s.harvester(spec(a)))
	m.hour(7 * 24)
	s.pass(s.harvester(spec(a)))
	s.checkVolumes(span(160, 1167))
	s.checkNotes()
}

func TestRingThatWentRoundUnreadIsSaid(t *testing.T) {
	for name, c := range map[string]struct {
		hours    int
		interval time.Duration
		note     []string
	}{
		"by none":    {48, time.Hour, nil},
		"by one":     {49, time.Hour, []string{"records lost unread, 1 of them: record 12 of 2026-03-02 08:00:00, then record 14 of 2026-03-02 10:00:00"}},
		"exactly":    {48 * 3, time.Hour, []string{"records lost unread, 96 of them: record 12 of 2026-03-02 08:00:00, then record 13 of 2026-03-06 09:00:00"}},
		"and a half": {72, time.Hour, []string{"records lost unread, 24 of them: record 12 of 2026-03-02 08:00:00, then record 37 of 2026-03-03 09:00:00"}},
		"untimed":    {49, -1, []string{"records may be lost unread: record 12 of time unknown, then record 14 of time unknown"}},
		"who knows":  {49, 0, []string{"records may be lost unread: record 12 of 2026-03-02 08:00:00, then record 14 of 2026-03-02 10:00:00"}},
	} {
		t.Run(name, func(t *testing.T) {
			a := hours
			if a.Interval = c.interval; a.Interval < 0 {
				a.Layout = layout("- uint64", "P float32 kPa", "T float32 degC", "volume float32 m3")
			}
			m := newMeter(a)
			m.hour(60)
			s := newSite(t, m)
			s.pass(s.harvester(spec(a)))
			before := len(s.records())
			m.hour(c.hours)
			s.pass(s.harvester(spec(a)))
			if got, want := volumes(s.records()[before:]), span(60+c.hours-48, 60+c.hours-1); !slices.Equal(got, want) {
				t.Errorf("records of hours %v, want %v", got, want)
			}
			s.checkNotes(c.note...)
		})
	}
}

func TestRingThatIsJustFullIsNotTakenForOneThatWentRound(t *testing.T) {
	m := newMeter(hours)
	m.hour(60)
	s := newSite(t, m)
	s.pass(s.harvester(spec(hours)))
	m.hour(47)
	s.pass(s.harvester(spec(hours)))
	s.checkVolumes(span(12, 106))
	s.checkNotes()
}

func TestClearedRingBeginsAnew(t *testing.T) {
	m := newMeter(hours)
	m.hour(10)
	s := newSite(t, m)
	h := s.harvester(spec(hours))
	s.pass(h)
	for n := range m.a.Records {
		m.Archives.SetRecord(701, m.number(n), make([]byte, 20))
	}
	m.count = 0
	m.hour(2)
	s.pass(h)
	s.pass(h)
	s.checkVolumes(append(span(0, 9), 0, 1))
	s.checkNotes("the index jumps: record 10 of 2026-02-28 06:00:00, then record 1 of 2026-02-28 07:00:00")
}

func TestClockOfTheInstrument(t *testing.T) {
	for name, c := range map[string]struct {
		step time.Duration
		note []string
	}{
		"as it should be": {0, nil},
		"back an hour":    {-time.Hour, []string{"the clock went back: record 5 of 2026-02-28 01:00:00, then record 6 of 2026-02-28 01:00:00"}},
		"back a year":     {-365 * 24 * time.Hour, []string{"the clock went back: record 5 of 2026-02-28 01:00:00, then record 6 of 2025-02-28 02:00:00"}},
		"on an hour":      {time.Hour, []string{"the time jumps: record 5 of 2026-02-28 01:00:00, then record 6 of 2026-02-28 03:00:00"}},
		"on a minute":     {time.Minute, []string{"the time jumps: record 5 of 2026-02-28 01:00:00, then record 6 of 2026-02-28 02:01:00"}},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMeter(hours)
			m.hour(5)
			s := newSite(t, m)
			h := s.harvester(spec(hours))
			s.pass(h)
			m.now = m.now.Add(c.step)
			m.hour(3)
			s.pass(h)
			s.checkVolumes(span(0, 7))
			s.checkNotes(c.note...)
			if got := s.records()[5].Raw; !slices.Equal(got, record(m.now.Add(-2*time.Hour), 5)) {
				t.Errorf("the time was changed: % x", got)
			}
		})
	}
}

func TestEditedRecordIsKeptBesideTheFirst(t *testing.T) {
	for name, n := range map[string]int{"newest": 9, "older": 3} {
		t.Run(name, func(t *testing.T) {
			m := newMeter(hours)
			m.hour(10)
			s := newSite(t, m)
			h := s.harvester(spec(hours))
			s.pass(h)
			at := m.now.Add(time.Duration(n-9) * time.Hour)
			m.Archives.SetRecord(701, m.number(n), record(at, 1000))
			m.hour(1)
			for range 2 * m.a.Records {
				s.pass(h)
			}
			all := s.records()
			if len(all) != 12 {
				t.Fatalf("records of hours %v", volumes(all))
			}
			versions := slices.DeleteFunc(all, func(a point.Archive) bool { return a.Index != uint32(n+1) })
			if got := volumes(versions); !slices.Equal(got, []int{n, 1000}) {
				t.Errorf("versions %v", got)
			}
			s.checkNotes("has changed since it was read; both are kept")
		})
	}
}

func TestRefusedRecordBlocksNone(t *testing.T) {
	m := newMeter(hours)
	m.hour(5)
	s := newSite(t, m)
	h := s.harvester(spec(hours))
	s.pass(h)
	m.hour(1)
	m.point(8) // 7 and 8 are not there yet
	s.pass(h)
	s.pass(h)
	m.hour(1)
	m.point(8)
	s.pass(h)
	s.checkVolumes(span(0, 6))
	s.checkNotes("2 records were refused, the last of them number 8")
	m.hour(1)
	for range 2 * m.a.Records {
		s.pass(h)
	}
	s.checkVolumes(span(0, 7))
}

func TestIndexThatCanNotBeIsAnError(t *testing.T) {
	m := newMeter(hours)
	m.hour(5)
	s := newSite(t, m)
	h := s.harvester(spec(hours))
	for _, n := range []int{49, -1, 1 << 20} {
		m.point(n)
		if err := s.once(h); err == nil || !strings.Contains(err.Error(), "records are 1 to 48") {
			t.Errorf("index %d: %v", n, err)
		}
	}
	s.checkVolumes(nil)
}

func TestSpecThatCanNotWork(t *testing.T) {
	for want, change := range map[string]func(*Spec){
		"records 1 to 1":                  func(s *Spec) { s.Archives[0].Records = 1 },
		"none over 65534":                 func(s *Spec) { s.Archives[0].Records = 65535 },
		"address 7001 is none of an arch": func(s *Spec) { s.Archives[0].Address = 7001 },
		"can't be a float32":              func(s *Spec) { s.Archives[0].Index = Index{Address: 701, Type: point.Float32} },
		"can't be a bool":                 func(s *Spec) { s.Archives[0].Index.Type = point.Bool },
		"can't be a uint16":               func(s *Spec) { s.Archives[0].Index.Type = point.Uint16 },
		"address 3001 is none of a log":   func(s *Spec) { s.Log.Address = 3001 },
		"the layout has no fields":        func(s *Spec) { s.Log.Layout = nil },
	} {
		l := events
		s := spec(hours, l)
		s.Archives = slices.Clone(s.Archives)
		change(&s)
		if _, err := New(s, Options{State: newSite(t, nil)}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func TestIndexOfEachType(t *testing.T) {
	for _, x := range []Index{{Address: 7100}, {Address: 7100, Type: point.Float32}, {Address: 3100}, {Address: 5100, Type: point.Int32}} {
		m := newMeter(hours)
		m.hour(7)
		m.Set(modbus.HoldingRegisters, 3100, 7)
		m.Set(modbus.HoldingRegisters, 5100, 0, 7)
		a := hours
		a.Index = x
		s := newSite(t, m)
		s.pass(s.harvester(spec(a)))
		s.checkVolumes(span(0, 6))
	}
}

// TestRecordWrittenDuringAPassIsNotTakenForAnEdit lets hours pass between the
// read of the index and that of older records, also where records tell no time.
func TestRecordWrittenDuringAPassIsNotTakenForAnEdit(t *testing.T) {
	untimed := hours
	untimed.Layout = layout("- uint64", "P float32 kPa", "T float32 degC", "volume float32 m3")
	for name, c := range map[string]struct {
		a     Archive
		hours int
	}{"two": {hours, 2}, "one": {untimed, 1}} {
		t.Run(name, func(t *testing.T) {
			m := newMeter(c.a)
			m.hour(100)
			s := newSite(t, m)
			h := s.harvester(spec(c.a))
			s.pass(h)
			for pass := range 4 * m.a.Records {
				reads := 0
				s.reading = func() {
					if reads++; reads == 3 && pass%2 == 0 { // else the one that is compared keeps its distance
						m.hour(c.hours)
					}
				}
				s.pass(h)
			}
			s.reading = nil
			s.pass(h)
			s.checkVolumes(span(52, m.count-1))
			s.checkNotes()
		})
	}
}

package archive

import (
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"testing"

	"skyhaul/edge/point"
	"skyhaul/modbus"
)

// logged returns the site of a meter with n entries in its log.
func logged(t testing.TB, n int) *site {
	m := newMeter(hours)
	for i := range n {
		m.Archives.Log(modbus.EnronLog, entry(i))
	}
	return newSite(t, m)
}

// logSpec is a unit with nothing but the log.
func logSpec() Spec {
	s := spec(hours, events)
	s.Archives = nil
	return s
}

// checkEntries compares the numbers and the contents of the entries on disk.
func (s *site) checkEntries(want ...int) {
	s.t.Helper()
	all := s.records()
	s.checkVolumes(offset(want, 1)) // the last number is the new value: one more
	for i := range all {
		if all[i].Index != uint32(i+1) || all[i].Kind != point.Events || all[i].ID != 901 {
			s.t.Errorf("entry %d is number %d of %v archive %d", i, all[i].Index, all[i].Kind, all[i].ID)
		}
	}
}

func offset(ns []int, by int) (sums []int) {
	for _, n := range ns {
		sums = append(sums, n+by)
	}
	return sums
}

func TestLogIsReadAnswerByAnswerAndAcknowledged(t *testing.T) {
	s := logged(t, 30)
	h := s.harvester(logSpec())
	s.pass(h)
	s.checkEntries(span(0, 29)...)
	if s.meter.acks != 3 {
		t.Errorf("%d acknowledgements for 30 entries of 20 bytes, want 3", s.meter.acks)
	}
	s.meter.Archives.Log(modbus.EnronLog, entry(30))
	s.pass(h)
	s.pass(h)
	s.checkEntries(span(0, 30)...)
	if s.meter.acks != 4 {
		t.Errorf("%d acknowledgements, want 4", s.meter.acks)
	}
}

func TestVectorsOfTheReference(t *testing.T) {
	s := logged(t, 0)
	for _, v := range []string{"02011B5F483366C047EAF8004080000040200000", "80001B5F483366C047EAF8004020000000000000"} {
		b, err := hex.DecodeString(v)
		if err != nil {
			t.Fatal(err)
		}
		s.meter.Archives.Log(modbus.EnronLog, b)
	}
	s.pass(s.harvester(logSpec()))
	all := s.records()
	if len(all) != 2 || !slices.Equal(s.requests, []string{"03 00 20 00 01", "05 00 20 ff 00", "03 00 20 00 01"}) {
		t.Fatalf("%d entries by requests %q", len(all), s.requests)
	}
	for i, want := range []string{"0 operator, 7007, 183707, 120304, 4, 2.5", "alarm, 7007, 183707, 120304, 2.5, 0"} {
		var got []string
		for k, raw := range all[i].Layout.Values(all[i].Raw) {
			f := &all[i].Layout[k]
			text := f.Type.Format(raw)
			if f.Unit == point.Bitmap {
				text = f.Set(raw)
			}
			got = append(got, text)
		}
		if strings.Join(got, ", ") != want {
			t.Errorf("entry %d reads %q, want %s", i, got, want)
		}
		if all[i].Time != 1102099027000 {
			t.Errorf("entry %d is of %d", i, all[i].Time)
		}
	}
	l := layout("date float32 mmddyy", "time float32 hhmmss", "a float32", "b float32", "c float32")
	raw, err := hex.DecodeString("47EAF800479C400043C8EEAD4400436B4287FFFF")
	if err != nil {
		t.Fatal(err)
	}
	s.meter.Archives.SetRecord(701, 10, raw)
	s.meter.point(10)
	a := hours
	a.Layout = l
	s.disk = nil
	s.requests = nil
	s.pass(s.harvester(spec(a)))
	if !slices.Contains(s.requests, "03 02 bd 00 0a") {
		t.Errorf("requests %q", s.requests)
	}
	got := s.records()[0]
	if got.Time != 1102060800000 || !slices.Equal(got.Raw, raw) {
		t.Errorf("%+v", got)
	}
}

func TestNothingIsAcknowledgedThatIsNotDurable(t *testing.T) {
	s := logged(t, 5)
	h := s.harvester(logSpec())
	s.syncErr = errors.New("card is gone")
	for range 3 {
		if err := s.once(h); !errors.Is(err, s.syncErr) {
			t.Errorf("got %v", err)
		}
	}
	if s.meter.acks != 0 || len(s.disk) != 0 || len(s.ram) != 5 {
		t.Errorf("%d acknowledgements, %d records on disk, %d in memory", s.meter.acks, len(s.disk), len(s.ram))
	}
	s.syncErr = nil
	s.ram = nil // refused
	s.pass(h)
	s.checkEntries(span(0, 4)...)
	if s.meter.acks != 1 {
		t.Errorf("%d acknowledgements", s.meter.acks)
	}
}

func TestAnswerThatComesAgainIsNotDoubled(t *testing.T) {
	for name, more := range map[string]int{"the same": 0, "with entries behind it": 2, "and longer than an answer": 20} {
		for _, restart := range []bool{false, true} {
			s := logged(t, 5)
			h := s.harvester(logSpec())
			s.crash, s.after = 8, false // the acknowledgement does not go out
			if err := s.once(h); err == nil {
				t.Fatal("no crash")
			}
			s.dead, s.steps, s.crash = false, 0, 0
			for n := range more {
				s.meter.Archives.Log(modbus.EnronLog, entry(5+n))
			}
			if restart {
				h = s.harvester(logSpec())
			}
			s.pass(h)
			if got := len(s.records()); got != 5+more {
				t.Errorf("%s, restart %v: %d entries", name, restart, got)
			}
			s.checkEntries(span(0, 4+more)...)
		}
	}
}

func TestLostAcknowledgementIsSentAgain(t *testing.T) {
	s := logged(t, 5)
	h := s.harvester(logSpec())
	s.meter.loseAck = true
	if err := s.once(h); !errors.Is(err, modbus.ErrTimeout) {
		t.Errorf("got %v", err)
	}
	s.meter.Archives.Log(modbus.EnronLog, entry(5), entry(6))
	s.pass(h)
	s.checkEntries(span(0, 6)...)
}

func TestUnitThatTakesNoAcknowledgement(t *testing.T) {
	s := logged(t, 3)
	sp := logSpec()
	sp.Log = &Log{ID: events.ID, Name: "events", Address: events.Address, Layout: events.Layout, Ack: 1001} // a coil that clears nothing
	s.meter.Set(modbus.Coils, 1001, 0)
	if err := s.once(s.harvester(sp)); !errors.Is(err, errAgain) {
		t.Errorf("got %v", err)
	}
	s.checkEntries(0, 1, 2)
}

func TestLogThatIsEmpty(t *testing.T) {
	s := logged(t, 0)
	h := s.harvester(logSpec())
	s.pass(h)
	s.meter.Archives.Log(modbus.EnronLog, make([]byte, 20))
	s.pass(h)
	if len(s.records()) > 0 || s.meter.acks > 0 {
		t.Errorf("%d records, %d acknowledgements", len(s.records()), s.meter.acks)
	}
}

func TestEntryCutShortIsKept(t *testing.T) {
	s := logged(t, 1)
	s.meter.Archives.Log(modbus.EnronLog, entry(1)[:6])
	s.pass(s.harvester(logSpec()))
	all := s.records()
	if len(all) != 2 || len(all[1].Raw) != 6 || all[1].TimeQuality.Status() != point.Bad {
		t.Errorf("%+v", all)
	}
}

func TestSameEntryOnceMoreIsAnother(t *testing.T) {
	s := logged(t, 1)
	s.pass(s.harvester(logSpec()))
	s.meter.Archives.Log(modbus.EnronLog, entry(0))
	s.pass(s.harvester(logSpec()))
	s.checkEntries(0, 0)
}

func TestLogThatDropsItsOldestEntries(t *testing.T) {
	s := logged(t, 5)
	h := s.harvester(logSpec())
	s.crash = 8 // the acknowledgement does not go out
	if err := s.once(h); err == nil {
		t.Fatal("no crash")
	}
	s.dead, s.steps, s.crash = false, 0, 0
	m := newMeter(hours)
	m.Archives.Log(modbus.EnronLog, entry(2), entry(3), entry(4), entry(5))
	s.meter = m
	s.pass(h)
	s.checkEntries(span(0, 5)...)
}

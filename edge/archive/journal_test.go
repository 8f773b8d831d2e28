package archive

import (
	"context"
	"encoding/hex"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

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

// deafSpec is a unit that confirms acknowledgements and forgets nothing.
func (s *site) deafSpec() Spec {
	const other = 1001 // a coil that clears no log
	s.meter.Set(modbus.Coils, other, 0)
	sp := logSpec()
	sp.Log.Ack = other
	return sp
}

func TestUnitThatForgetsNothing(t *testing.T) {
	for name, restart := range map[string]bool{"one run": false, "many runs": true} {
		t.Run(name, func(t *testing.T) {
			s := logged(t, 3)
			sp := s.deafSpec()
			h := s.harvester(sp)
			for pass := range 12 {
				if pass == 6 {
					s.meter.Archives.Log(modbus.EnronLog, entry(3), entry(4))
				}
				if err := s.once(h); !errors.Is(err, errAgain) {
					t.Errorf("pass %d: %v", pass, err)
				}
				if restart {
					h = s.harvester(sp)
				}
			}
			s.checkEntries(span(0, 4)...)
			for n := range 20 { // more than an answer holds
				s.meter.Archives.Log(modbus.EnronLog, entry(5+n))
			}
			for range 3 {
				if err := s.once(h); !errors.Is(err, errAgain) {
					t.Error(err)
				}
			}
			s.checkEntries(span(0, 11)...)
			s.pass(s.harvester(logSpec()))
			s.checkEntries(span(0, 24)...)
		})
	}
}

// TestUnitThatForgetsNothingDropsItsOldest has an entry logged at each request,
// so that a full log drops one between an acknowledgement and the next read too.
func TestUnitThatForgetsNothingDropsItsOldest(t *testing.T) {
	s := logged(t, 5)
	h := s.harvester(s.deafSpec())
	if err := s.once(h); !errors.Is(err, errAgain) {
		t.Error(err)
	}
	first := 0
	s.reading = func() {
		first++
		m := newMeter(hours)
		m.Set(modbus.Coils, 1001, 0)
		for n := range 5 {
			m.Archives.Log(modbus.EnronLog, entry(first+n))
		}
		s.meter = m
	}
	for range 4 {
		if err := s.once(h); !errors.Is(err, errAgain) {
			t.Error(err)
		}
	}
	s.checkEntries(span(0, first+4)...)
}

// TestPowerLossWithAUnitThatForgetsNothing cuts the power at each step of its
// first two passes: an entry may come twice, but under one number.
func TestPowerLossWithAUnitThatForgetsNothing(t *testing.T) {
	for crash := range 24 {
		for _, after := range []bool{false, true} {
			s := logged(t, 3)
			sp := s.deafSpec()
			s.crash, s.after = 1+crash, after
			h := s.harvester(sp)
			for pass := range 2 {
				_ = s.once(h) // errAgain, or no power
				s.meter.Archives.Log(modbus.EnronLog, entry(3+pass))
			}
			s.ram, s.dead, s.crash = nil, false, 0
			h = s.harvester(sp)
			for range 3 {
				if err := s.once(h); !errors.Is(err, errAgain) {
					t.Error(err)
				}
			}
			all := s.records()
			for i, v := range volumes(all) {
				if int(all[i].Index) != v {
					t.Errorf("step %d, after %v: entry %d has number %d", 1+crash, after, v, all[i].Index)
				}
			}
			if last := all[len(all)-1]; last.Index != 5 {
				t.Errorf("step %d, after %v: the last of 5 entries has number %d", 1+crash, after, last.Index)
			}
		}
	}
}

func TestStatusTellsThatALogIsNotForgotten(t *testing.T) {
	m := newMeter(hours)
	m.Archives.Log(modbus.EnronLog, entry(0))
	inBubble(t, m, func(t *testing.T, p *plant) {
		s := newSite(t, m)
		h, err := New(s.deafSpec(), Options{
			Bus: p, Sink: s, Sync: s.sync, State: s, Logger: slog.New(slog.DiscardHandler), Now: func() (st point.Stamp) { return },
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { h.Run(ctx) })
		time.Sleep(time.Hour)
		if st := h.Status()[0]; !errors.Is(st.Err, errAgain) || st.Records != 1 {
			t.Errorf("status %+v", st)
		}
		cancel()
		wg.Wait()
	})
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

// TestEntryLikeTheLastOfAnAnswer has two alike, the second in the next answer.
func TestEntryLikeTheLastOfAnAnswer(t *testing.T) {
	s := logged(t, 12)
	s.meter.Archives.Log(modbus.EnronLog, entry(11), entry(12))
	s.pass(s.harvester(logSpec()))
	s.checkEntries(append(span(0, 11), 11, 12)...)
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

package archive

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"skyhaul/edge/point"
	"skyhaul/modbus"
	"skyhaul/modbus/bus"
	"skyhaul/modbus/sim"
)

// plant is a line of 9600 baud with a meter as unit 3 and an instrument as unit 1.
type plant struct {
	*bus.Line
	sim   *sim.Line
	meter *meter
}

func inBubble(t *testing.T, m *meter, f func(*testing.T, *plant)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		timing := modbus.LineTiming{Bit: time.Second / 9600, CharBits: 10}
		instrument := new(modbus.Bank)
		instrument.Set(modbus.HoldingRegisters, 0, make([]uint16, 64)...)
		var cable sim.Cable
		p := &plant{meter: m}
		p.sim = sim.NewLine(sim.Options{
			Open: cable.Open, Units: modbus.Units{1: instrument, 3: &m.Bank}, Timing: timing, Turnaround: 10 * time.Millisecond,
		})
		p.Line = bus.New(bus.Options{
			Dial: cable.Dial, Timing: timing, Dialects: map[modbus.UnitID]modbus.Dialect{3: modbus.Enron()},
		})
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { p.sim.Run(ctx) })
		synctest.Wait()
		running.Go(func() { p.Run(ctx) })
		f(t, p)
		cancel()
		running.Wait()
	})
}

// harvest runs a harvester that takes its records to s for d.
func (p *plant) harvest(t *testing.T, s *site, sp Spec, d time.Duration) {
	h, err := New(sp, Options{
		Bus: p, Sink: s, Sync: s.sync, State: s, Logger: slog.New(slog.DiscardHandler), Now: func() (st point.Stamp) { return },
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	if err := h.Run(ctx); err != nil {
		t.Error(err)
	}
}

// polls makes passes of five reads each second for d and returns how long the
// mean one and the longest took.
func (p *plant) polls(t *testing.T, d time.Duration) (mean, longest time.Duration) {
	req, err := modbus.ReadRequest(modbus.FuncReadHoldingRegisters, 0, 32)
	if err != nil {
		t.Fatal(err)
	}
	passes := int(d / time.Second)
	for range passes {
		began := time.Now()
		for range 5 {
			if _, err := p.Do(t.Context(), bus.Poll, 1, req); err != nil {
				t.Fatal(err)
			}
		}
		took := time.Since(began)
		mean += took / time.Duration(passes)
		longest = max(longest, took)
		time.Sleep(time.Second - took)
	}
	return mean, longest
}

// A first harvest of 420 records, on a line where polls take half of the time. It
// prints what it costs them.
func TestPollsKeepTheirRate(t *testing.T) {
	a := hours
	a.Records = 420
	m := newMeter(a)
	m.hour(1000)
	inBubble(t, m, func(t *testing.T, p *plant) {
		alone, _ := p.polls(t, time.Minute)
		s := newSite(t, m)
		var wg sync.WaitGroup
		wg.Go(func() { p.harvest(t, s, spec(a, events), 10*time.Minute) })
		mean, longest := p.polls(t, 2*time.Minute)
		wg.Wait()
		s.checkVolumes(span(580, 999))
		t.Logf("passes of 5 reads at 9600 baud: %v alone, %v while 420 records are read, %v at most", alone, mean, longest)
		if mean > alone*23/20 || longest > time.Second {
			t.Errorf("polls of %v take %v, %v at most", alone, mean, longest)
		}
	})
}

// A line with noise, lost answers and answers that come late: no record is
// taken for another.
func TestFaultsOfALine(t *testing.T) {
	m := newMeter(hours)
	m.hour(100)
	inBubble(t, m, func(t *testing.T, p *plant) {
		p.sim.SetFaults(sim.Faults{Drop: .05, NoiseBefore: .05, NoiseAfter: .05, Flip: .05, Late: .02, LateBy: 3 * time.Second})
		s := newSite(t, m)
		s.takes = 10 * time.Second
		done := make(chan struct{})
		go func() {
			defer close(done)
			p.harvest(t, s, spec(hours, events), 6*time.Hour)
		}()
		for n := range 30 {
			time.Sleep(10 * time.Minute)
			m.hour(1)
			m.Archives.Log(modbus.EnronLog, entry(n))
		}
		<-done
		all := s.records()
		entries := slices.DeleteFunc(slices.Clone(all), func(a point.Archive) bool { return a.ID != events.ID })
		records := slices.DeleteFunc(all, func(a point.Archive) bool { return a.ID == events.ID })
		if got := volumes(records); !slices.Equal(got, span(52, 129)) {
			t.Errorf("records of hours %v", got)
		}
		if got := volumes(entries); !slices.Equal(got, span(1, 30)) {
			t.Errorf("entries %v", got)
		}
		s.checkNotes()
	})
}

func TestUnitThatIsAwayIsAStateAndNotAnEnd(t *testing.T) {
	m := newMeter(hours)
	m.hour(5)
	inBubble(t, m, func(t *testing.T, p *plant) {
		p.sim.SetFaults(sim.Faults{Dead: []modbus.UnitID{3}})
		s := newSite(t, m)
		h, err := New(spec(hours), Options{
			Bus: p, Sink: s, Sync: s.sync, State: s, Logger: slog.New(slog.DiscardHandler), Now: func() (st point.Stamp) { return },
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { h.Run(ctx) })
		time.Sleep(time.Hour)
		if err := h.Status()[0].Err; !errors.Is(err, bus.ErrUnitDown) && !errors.Is(err, modbus.ErrTimeout) {
			t.Errorf("status %v", err)
		}
		p.sim.SetFaults(sim.Faults{})
		time.Sleep(time.Hour)
		if st := h.Status()[0]; st.Err != nil || st.Records != 5 {
			t.Errorf("status %+v", st)
		}
		cancel()
		wg.Wait()
	})
}

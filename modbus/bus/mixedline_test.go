package bus

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"skyhaul/modbus"
	"skyhaul/modbus/sim"
)

// The units of a mixed line.
const (
	healthy1 = modbus.UnitID(1 + iota)
	healthy2
	slow
	dead // most of the time
	noisy
)

var mixedNames = []string{"healthy", "healthy", "slow", "dead", "noisy"}

// mixedBlocks is what each unit is asked every second: 0.6 s of a line at 9600
// baud, all units together.
var mixedBlocks = map[modbus.UnitID][]Range{
	healthy1: {holding(0, 10), holding(100, 60)},
	healthy2: {holding(0, 10), holding(100, 60)},
	slow:     {holding(0, 10)},
	dead:     {holding(0, 10)},
	noisy:    {holding(0, 10)},
}

// mixedLine is a line on which one unit is slow, one mostly dead and one noisy,
// polled every second for some time.
type mixedLine struct {
	bench
	units  *rolling
	length time.Duration
	rows   [noisy + 1]tally // by unit
	phases []phase          // in which the dead unit was dead
	back   time.Duration    // from its return to its first answer
	probes uint64           // that this took
}

func mixedOptions(u *rolling) sim.Options {
	return sim.Options{Units: u, Timing: line9600, Turnaround: 5 * time.Millisecond, Jitter: 5 * time.Millisecond, Seed: 1}
}

// tally counts the polls of a unit. One poll is all of its blocks.
type tally struct {
	mu              sync.Mutex // guards the rest
	due, good       int
	missed          int // places of the grid
	longest         time.Duration
	declined, other int
}

// phase is a time in which the dead unit was dead, and what it cost.
type phase struct{ length, busy time.Duration }

// run polls all units for the length of the campaign.
func (m *mixedLine) run(t *testing.T) {
	m.sim.SetUnit(slow, sim.Unit{Turnaround: 80 * time.Millisecond, Jitter: 70 * time.Millisecond})
	m.sim.SetUnit(noisy, sim.Unit{
		Turnaround: 5 * time.Millisecond, Jitter: 5 * time.Millisecond,
		Faults: sim.Faults{Flip: 0.03, NoiseBefore: 0.01, WrongUnit: 0.01, Late: 0.01, LateBy: 90 * time.Millisecond},
	})
	start := time.Now()
	var polling sync.WaitGroup
	for unit := range mixedBlocks {
		polling.Go(func() { m.poll(t, unit, start) })
	}
	polling.Go(func() { m.liveAndDie() })
	stop := make(chan struct{})
	var telling sync.WaitGroup
	telling.Go(func() { m.tell(t, start, stop) })
	polling.Wait()
	close(stop)
	telling.Wait()
}

// poll asks one unit at each place of its grid.
func (m *mixedLine) poll(t *testing.T, unit modbus.UnitID, start time.Time) {
	const interval = time.Second
	row := &m.rows[unit]
	for place := time.Duration(0); place*interval < m.length; {
		time.Sleep(time.Until(start.Add(place * interval)))
		began := time.Now()
		err := m.pass(t, unit)
		next := time.Since(start)/interval + 1
		row.add(err, time.Since(began), int(next-place-1))
		place = next
	}
}

func (m *mixedLine) pass(t *testing.T, unit modbus.UnitID) error {
	for _, b := range mixedBlocks[unit] {
		m.units.generation[unit].Add(1)
		a, err := m.Do(t.Context(), Poll, unit, readRegisters(t, b.Addr, b.Quantity))
		if err != nil {
			return err
		}
		checkRolling(t, m.units, unit, b.Addr, b.Quantity, a.PDU)
	}
	return nil
}

func (r *tally) add(err error, took time.Duration, missed int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.due += 1 + missed
	r.missed += missed
	r.longest = max(r.longest, took)
	switch {
	case err == nil:
		r.good++
	case errors.Is(err, ErrUnitDown):
		r.declined++
	default:
		r.other++
	}
}

// rate returns the share of the polls that were good.
func (r *tally) rate() float64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return float64(r.good) / float64(r.due)
}

// liveAndDie lets the dead unit be dead, live for a tenth of the time in the
// middle, and be dead again. It comes back at the worst moment.
func (m *mixedLine) liveAndDie() {
	m.beDead(m.length * 9 / 20)
	probes := m.stats(dead).Probes
	for m.stats(dead).Probes == probes { // returns when it was just missed
		time.Sleep(10 * time.Millisecond)
	}
	returned := time.Now()
	m.sim.SetUnit(dead, sim.Unit{Turnaround: 5 * time.Millisecond})
	for m.stats(dead).Down {
		time.Sleep(10 * time.Millisecond)
	}
	m.back, m.probes = time.Since(returned), m.stats(dead).Probes-probes-1
	time.Sleep(m.length / 10)
	m.beDead(m.length * 9 / 20)
}

// beDead takes the unit away for d and notes what it costs once it is down.
func (m *mixedLine) beDead(d time.Duration) {
	const goingDown = 10 * time.Second
	m.sim.SetUnit(dead, sim.Unit{Faults: sim.Faults{Drop: 1}})
	time.Sleep(goingDown)
	before := m.stats(dead).Busy
	time.Sleep(d - goingDown)
	m.phases = append(m.phases, phase{d - goingDown, m.stats(dead).Busy - before})
}

// tell logs a line each minute.
func (m *mixedLine) tell(t *testing.T, start time.Time, stop <-chan struct{}) {
	minute := time.NewTicker(time.Minute)
	defer minute.Stop()
	for {
		select {
		case <-stop:
			return
		case <-minute.C:
		}
		var line strings.Builder
		for unit := healthy1; unit <= noisy; unit++ {
			fmt.Fprintf(&line, "  %s %.2f %%", mixedNames[unit-1], 100*m.rows[unit].rate())
		}
		t.Logf("%4.0f min%s  busy %.0f %%", time.Since(start).Minutes(), line.String(), 100*m.Stats().Busy)
	}
}

// report logs the table and fails where a promise was broken.
func (m *mixedLine) report(t *testing.T) {
	t.Logf("unit     polls  good  missed  longest  retries timeouts damaged  busy  turnaround timeout")
	for unit := healthy1; unit <= noisy; unit++ {
		r, s := &m.rows[unit], m.stats(unit)
		t.Logf("%-8s %5d %5.2f%% %5d %9v %7d %7d %7d %5.1f%% %9v %9v", mixedNames[unit-1], r.due, 100*r.rate(), r.missed, r.longest.Round(time.Millisecond),
			s.Retries, s.Timeouts, s.Damaged, 100*s.Busy.Seconds()/m.length.Seconds(), s.Turnaround.Round(100*time.Microsecond), s.Timeout.Round(time.Millisecond))
	}
	t.Logf("line: %+v", m.Stats().Wire)
	t.Logf("sim: %+v", m.sim.Counters())
	for _, p := range m.phases {
		t.Logf("dead for %v: its probes took %.2f %% of the line", p.length, 100*p.busy.Seconds()/p.length.Seconds())
		if p.busy > p.length/50+time.Second { // a probe more or less at the edges
			t.Errorf("probes took %v of %v", p.busy, p.length)
		}
	}
	t.Logf("back %v after its return, with probe number %d", m.back.Round(time.Millisecond), m.probes)
	if m.probes != 1 {
		t.Errorf("back with probe number %d, want the first", m.probes)
	}
	for _, unit := range []modbus.UnitID{healthy1, healthy2, slow} {
		if rate := m.rows[unit].rate(); rate < 0.95 {
			t.Errorf("unit %d, %s: %.2f %% of its polls were good", unit, mixedNames[unit-1], 100*rate)
		}
	}
}

func TestMixedLine(t *testing.T) {
	u := new(rolling)
	inBubble(t, mixedOptions(u), Options{}, func(t *testing.T, b bench) {
		m := mixedLine{bench: b, units: u, length: 10 * time.Minute}
		m.run(t)
		m.report(t)
	})
}

var realTime = flag.Duration("real", 0, "how long the mixed line runs in real time; 0 is not at all")

// inRealTime runs the campaign on a line that open returns. A machine that is
// busy with other things breaks promises that the line would keep, on a pty more
// than in memory, since the kernel carries its bytes when it finds the time.
func inRealTime(t *testing.T, open func(sim.Options) bench) {
	if *realTime == 0 {
		t.Skip("takes as long as -real says")
	}
	t.Parallel()
	u := new(rolling)
	m := mixedLine{bench: open(mixedOptions(u)), units: u, length: *realTime}
	m.run(t)
	m.report(t)
}

func TestMixedLineInMemory(t *testing.T) {
	inRealTime(t, func(so sim.Options) bench {
		var cable sim.Cable
		so.Open = cable.Open
		b := bench{sim: sim.NewLine(so), Line: New(Options{Dial: cable.Dial, Timing: so.Timing})}
		ctx, cancel := context.WithCancel(context.Background())
		var running sync.WaitGroup
		running.Go(func() { b.sim.Run(ctx) })
		running.Go(func() { b.Run(ctx) })
		t.Cleanup(func() {
			cancel()
			running.Wait()
		})
		return b
	})
}

package bus

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"skyhaul/modbus"
	"skyhaul/modbus/sim"
)

var line9600 = modbus.LineTiming{Bit: time.Second / 9600, CharBits: 10}

// units returns units 1 to n with registers 0 to 124 that hold their own address.
func units(n int) modbus.Units {
	u := make(modbus.Units)
	for id := range n {
		b := new(modbus.Bank)
		for addr := range uint16(125) {
			b.Set(modbus.HoldingRegisters, addr, addr)
		}
		u[modbus.UnitID(id+1)] = b
	}
	return u
}

// bench is a line with simulated units on it.
type bench struct {
	*Line
	sim *sim.Line
}

// on9600 is a line with these units.
func on9600(h modbus.Handler) sim.Options {
	return sim.Options{Units: h, Timing: line9600, Turnaround: 5 * time.Millisecond}
}

// inBubble runs f while line and units run.
func inBubble(t *testing.T, so sim.Options, o Options, f func(*testing.T, bench)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		var cable sim.Cable
		so.Open = cable.Open
		if o.Dial == nil {
			o.Dial = cable.Dial
		}
		o.Timing = so.Timing
		b := bench{sim: sim.NewLine(so), Line: New(o)}
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { b.sim.Run(ctx) })
		synctest.Wait()
		running.Go(func() {
			if err := b.Run(ctx); err != nil {
				t.Error(err)
			}
		})
		f(t, b)
		cancel()
		running.Wait()
	})
}

func readRegisters(t *testing.T, addr uint16, quantity int) modbus.PDU {
	t.Helper()
	req, err := modbus.ReadRequest(modbus.FuncReadHoldingRegisters, addr, quantity)
	if err != nil {
		t.Fatal(err)
	}
	return req
}

// read asks a unit for its first ten registers and fails on a wrong value.
func (b bench) read(t *testing.T, c Class, unit modbus.UnitID) error {
	t.Helper()
	a, err := b.Do(t.Context(), c, unit, readRegisters(t, 0, 10))
	if err != nil {
		return err
	}
	values, err := modbus.Registers(a.PDU)
	if err != nil || !slices.Equal(values, []uint16{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}) {
		t.Errorf("read %v, %v", values, err)
	}
	return nil
}

// poll keeps asking every unit, a goroutine for each, for d and returns how
// often each answered.
func (b bench) poll(t *testing.T, n int, d time.Duration) []int {
	t.Helper()
	end, answers := time.Now().Add(d), make([]int, n)
	var polling sync.WaitGroup
	for i := range n {
		polling.Go(func() {
			for time.Now().Before(end) {
				if b.read(t, Poll, modbus.UnitID(i+1)) == nil {
					answers[i]++
				} else {
					time.Sleep(time.Second)
				}
			}
		})
	}
	polling.Wait()
	return answers
}

// stats returns those of one unit.
func (b bench) stats(unit modbus.UnitID) UnitStats {
	for _, u := range b.Stats().Units {
		if u.Unit == unit {
			return u
		}
	}
	return UnitStats{}
}

func TestExchangesFollowEachOtherWithoutLoss(t *testing.T) {
	inBubble(t, on9600(units(4)), Options{}, func(t *testing.T, b bench) {
		b.poll(t, 4, 10*time.Second)
		before := b.Stats().Wire.Requests
		start := time.Now()
		b.poll(t, 4, 10*time.Second)
		n := b.Stats().Wire.Requests - before
		each := time.Since(start) / time.Duration(n)
		if floor := line9600.Wire(33) + 2*line9600.T35() + 5*time.Millisecond; each > floor+500*time.Microsecond {
			t.Errorf("an exchange takes %v, the line needs %v", each, floor)
		}
		if s := b.Stats(); s.Busy < 0.99 || s.Busy > 1 || !s.Connected || s.Opened != 1 {
			t.Errorf("%+v, want a line that is busy all the time", s)
		}
		if got := b.sim.Counters(); got.Early+got.Collisions != 0 {
			t.Errorf("%+v, want no early request", got)
		}
	})
}

func TestDeadUnitLeavesTheOthersTheirTime(t *testing.T) {
	const n = 32
	inBubble(t, on9600(units(n)), Options{}, func(t *testing.T, b bench) {
		healthy := b.poll(t, n, time.Minute)
		b.sim.SetFaults(sim.Faults{Dead: []modbus.UnitID{7}})
		got := b.poll(t, n, time.Minute)
		if got[6] != 0 || !b.stats(7).Down {
			t.Errorf("the dead unit answered %d times: %+v", got[6], b.stats(7))
		}
		least := 1.0
		for i, answers := range got {
			if i == 6 {
				continue
			}
			least = min(least, float64(answers)/float64(healthy[i]))
		}
		t.Logf("with 1 of %d units dead the others keep at least %.1f %% of their answers", n, 100*least)
		if least < 0.95 {
			t.Errorf("answers %v, before %v", got, healthy)
		}
	})
}

func TestProbesTakeTwoPercent(t *testing.T) {
	inBubble(t, on9600(units(8)), Options{}, func(t *testing.T, b bench) {
		b.poll(t, 8, time.Second)
		b.sim.SetFaults(sim.Faults{Dead: []modbus.UnitID{2, 3, 4, 5, 6, 7, 8}})
		b.poll(t, 8, 10*time.Second) // all are down by then
		start := b.stats(1).OK
		b.poll(t, 8, 100*time.Second)
		alone := (100 * time.Second).Seconds() / (line9600.Wire(33) + 2*line9600.T35() + 5*time.Millisecond).Seconds()
		if got := float64(b.stats(1).OK - start); got < 0.97*alone {
			t.Errorf("the living unit answered %v times, alone it would %v times", got, alone)
		}
		if got := b.stats(3).Probes; got == 0 {
			t.Error("a dead unit was never probed")
		}
	})
}

func TestLineWithoutALivingUnitIsProbedWithoutThrift(t *testing.T) {
	inBubble(t, on9600(units(3)), Options{}, func(t *testing.T, b bench) {
		b.sim.SetFaults(sim.Faults{Dead: []modbus.UnitID{1, 2, 3}})
		b.poll(t, 3, time.Minute)
		for unit := range modbus.UnitID(3) {
			if got := b.stats(unit + 1).Probes; got < 4 {
				t.Errorf("%d probes in a minute, want after 1, 2, 4, 8 and 16 s", got)
			}
		}
	})
}

func TestUnitIsBackWithItsFirstAnswer(t *testing.T) {
	inBubble(t, on9600(units(2)), Options{}, func(t *testing.T, b bench) {
		b.poll(t, 2, time.Second)
		b.sim.SetFaults(sim.Faults{Dead: []modbus.UnitID{2}})
		if err := b.read(t, Poll, 2); !errors.Is(err, modbus.ErrTimeout) {
			t.Errorf("first: %v, want a timeout", err)
		}
		if err := b.read(t, Poll, 2); !errors.Is(err, modbus.ErrTimeout) {
			t.Errorf("second: %v, want a timeout", err)
		}
		asked := time.Now()
		if err := b.read(t, Operator, 2); err != ErrUnitDown || time.Now() != asked {
			t.Errorf("third: %v after %v, want down at once", err, time.Since(asked))
		}
		if got := b.stats(2); got.Timeouts != 3 || got.Retries != 1 || !got.Down || got.Since != asked {
			t.Errorf("%+v, want down after three timeouts, one of them a retry", got)
		}
		time.Sleep(5 * time.Second)
		b.sim.SetFaults(sim.Faults{Exception: 1}) // an exception is an answer too
		time.Sleep(6 * time.Second)
		b.sim.SetFaults(sim.Faults{})
		if err := b.read(t, Poll, 2); err != nil || b.stats(2).Probes == 0 {
			t.Errorf("back: %v, %+v", err, b.stats(2))
		}
	})
}

func TestUnitThatNobodyWantsIsNotProbedForEver(t *testing.T) {
	inBubble(t, on9600(units(2)), Options{}, func(t *testing.T, b bench) {
		b.sim.SetFaults(sim.Faults{Dead: []modbus.UnitID{2}})
		b.poll(t, 2, 30*time.Second)
		time.Sleep(wantedFor)
		probes := b.stats(2).Probes
		time.Sleep(10 * wantedFor)
		if got := b.stats(2); got.Probes != probes || probes < 50 || !got.Down {
			t.Errorf("%+v, probes before: %d", got, probes)
		}
		if err := b.read(t, Poll, 2); !errors.Is(err, modbus.ErrTimeout) {
			t.Errorf("asked again: %v, want to know", err)
		}
		if err := b.read(t, Poll, 2); err != ErrUnitDown {
			t.Errorf("and again: %v", err)
		}
		time.Sleep(2 * wantedFor)
		b.sim.SetFaults(sim.Faults{})
		if err := b.read(t, Poll, 2); err != nil {
			t.Error(err)
		}
	})
}

func TestProbeIsSentToAUnitThatIsDown(t *testing.T) {
	inBubble(t, on9600(units(1)), Options{}, func(t *testing.T, b bench) {
		for range 3 {
			b.read(t, Poll, 2)
		}
		if err := b.read(t, Probe, 2); !errors.Is(err, modbus.ErrTimeout) {
			t.Errorf("got %v, want a timeout", err)
		}
	})
}

func TestUrgentRequestsGoFirstAndUnitsTakeTurns(t *testing.T) {
	var order []string
	names := map[byte]string{0: "operator", 1: "alarm", 2: "poll", 3: "archive"}
	h := handler(func(unit modbus.UnitID, req modbus.PDU) (modbus.PDU, bool) {
		order = append(order, names[req[2]/10]+string('0'+rune(unit))+string('a'+rune(req[2]%10)))
		return modbus.PDU{3, 2, 0, 0}, true
	})
	inBubble(t, on9600(h), Options{}, func(t *testing.T, b bench) {
		var asking sync.WaitGroup
		ask := func(c Class, unit modbus.UnitID, nth int) {
			synctest.Wait() // one after the other
			asking.Go(func() {
				if _, err := b.Do(t.Context(), c, unit, readRegisters(t, uint16(c)*10+uint16(nth), 1)); err != nil {
					t.Error(err)
				}
			})
		}
		ask(Archive, 9, 0) // is on the wire while the others come
		synctest.Wait()
		ask(Archive, 1, 0)
		ask(Poll, 1, 0)
		ask(Poll, 1, 1)
		ask(Poll, 1, 2)
		ask(Poll, 2, 0)
		ask(Poll, 3, 0)
		ask(Alarm, 1, 0)
		ask(Operator, 2, 0)
		asking.Wait()
		want := []string{"archive9a", "operator2a", "alarm1a", "poll3a", "poll2a", "poll1a", "poll1b", "poll1c", "archive1a"}
		if !slices.Equal(order, want) {
			t.Errorf("order\n%v, want\n%v", order, want)
		}
	})
}

type handler func(modbus.UnitID, modbus.PDU) (modbus.PDU, bool)

func (h handler) Handle(unit modbus.UnitID, req modbus.PDU) (modbus.PDU, bool) { return h(unit, req) }

func TestGapOfAUnitDelaysNobodyElse(t *testing.T) {
	gaps := map[modbus.UnitID]time.Duration{1: 500 * time.Millisecond}
	inBubble(t, on9600(units(3)), Options{Gap: gaps}, func(t *testing.T, b bench) {
		got := b.poll(t, 3, 20*time.Second)
		if got[0] < 30 || got[0] > 40 {
			t.Errorf("unit 1 answered %d times in 20 s with pauses of 500 ms", got[0])
		}
		sum := got[0] + got[1] + got[2]
		if most := int(20 * time.Second / (line9600.Wire(33) + 2*line9600.T35() + 5*time.Millisecond)); sum < most*98/100 {
			t.Errorf("%v answers, a line without gaps has %d", got, most)
		}
	})
}

func TestDamageIsRepairedOnceAndOnlyForReads(t *testing.T) {
	inBubble(t, on9600(units(1)), Options{}, func(t *testing.T, b bench) {
		b.read(t, Poll, 1)
		b.sim.SetFaults(sim.Faults{Flip: 1})
		if err := b.read(t, Poll, 1); !errors.Is(err, modbus.ErrDamaged) {
			t.Errorf("read: %v, want damage", err)
		}
		read := b.stats(1)
		if read.Retries != 1 || read.Down {
			t.Errorf("%+v, want one retry", read)
		}
		if _, err := b.Do(t.Context(), Operator, 1, modbus.WriteRegister(3, 3)); !errors.Is(err, modbus.ErrDamaged) {
			t.Errorf("write: %v, want damage", err)
		}
		if got := b.stats(1); got.Retries != 1 {
			t.Errorf("%+v: the write was sent again", got)
		}
	})
}

func TestContextEndsTheWaitAndTheRequestIsNotSent(t *testing.T) {
	inBubble(t, on9600(units(2)), Options{}, func(t *testing.T, b bench) {
		b.read(t, Poll, 1)
		go b.read(t, Poll, 1)
		time.Sleep(time.Millisecond)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		start := time.Now()
		_, err := b.Do(ctx, Poll, 2, readRegisters(t, 0, 1))
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 10*time.Millisecond {
			t.Errorf("got %v after %v", err, time.Since(start))
		}
		time.Sleep(time.Second)
		if got := b.stats(2).Requests; got != 0 {
			t.Errorf("%d requests were sent nevertheless", got)
		}
	})
}

func TestTimeoutFollowsTheUnit(t *testing.T) {
	inBubble(t, on9600(units(2)), Options{Timeout: 700 * time.Millisecond}, func(t *testing.T, b bench) {
		start := time.Now()
		b.read(t, Poll, 9)
		if first := b.stats(9); first.Timeouts != 2 || time.Since(start) < 1400*time.Millisecond {
			t.Errorf("an unknown unit was given up after %v: %+v", time.Since(start), first)
		}
		for range 50 {
			b.read(t, Poll, 1)
		}
		got := b.stats(1)
		if want := line9600.T35() + 5*time.Millisecond; got.Turnaround != want || got.Timeout != minTimeout {
			t.Errorf("%+v, want a turnaround of %v and a timeout of %v", got, want, minTimeout)
		}
	})
}

func TestWriteIsGrantedTheLongestWait(t *testing.T) {
	h := handler(func(unit modbus.UnitID, req modbus.PDU) (modbus.PDU, bool) {
		if !req.Function().Reads() {
			time.Sleep(400 * time.Millisecond)
		}
		return units(1).Handle(1, req)
	})
	inBubble(t, on9600(h), Options{}, func(t *testing.T, b bench) {
		b.read(t, Poll, 1)
		before := b.stats(1)
		if _, err := b.Do(t.Context(), Operator, 1, modbus.WriteRegister(3, 3)); err != nil {
			t.Error(err)
		}
		if got := b.stats(1); got.Turnaround != before.Turnaround || got.Timeout != before.Timeout {
			t.Errorf("after the write %+v, before %+v", got, before)
		}
	})
}

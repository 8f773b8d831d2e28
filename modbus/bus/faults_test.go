package bus

import (
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"skyhaul/modbus"
	"skyhaul/modbus/sim"
)

var line115200 = modbus.LineTiming{Bit: time.Second / 115200, CharBits: 10}

// rolling is units whose registers change with every request of the test, so
// that an answer to an earlier one gives itself away.
type rolling struct {
	generation [8]atomic.Uint32 // by unit
}

func (r *rolling) value(unit modbus.UnitID, addr uint16) uint16 {
	return uint16(r.generation[unit].Load())*7919 + addr + uint16(unit)*257
}

func (r *rolling) Handle(unit modbus.UnitID, req modbus.PDU) (modbus.PDU, bool) {
	q, err := modbus.ParseRequest(req)
	if e, bad := errors.AsType[modbus.Exception](err); bad {
		return e.Answer(req), true
	}
	p := modbus.PDU{byte(q.Function), byte(2 * q.Quantity)}
	for i := range q.Quantity {
		v := r.value(unit, q.Addr+uint16(i))
		p = append(p, byte(v>>8), byte(v))
	}
	return p, true
}

// mixedFaults is a bad day on a line.
var mixedFaults = sim.Faults{
	Drop: 0.05, Exception: 0.05, NoiseBefore: 0.1, NoiseAfter: 0.1, Flip: 0.05,
	WrongUnit: 0.05, Late: 0.05,
}

// readThroughFaults lets three callers read n times each and returns how often
// they got values. All of these must be those of the unit at that moment.
func readThroughFaults(t *testing.T, b bench, f sim.Faults, r *rolling, n int) (good int) {
	t.Helper()
	var answers atomic.Int32
	var reading sync.WaitGroup
	for unit := modbus.UnitID(1); unit <= 3; unit++ {
		reading.Go(func() {
			f, rng := f, rand.New(rand.NewPCG(uint64(unit), 1))
			for i := range n {
				f.Echo = i > n/2
				b.sim.SetFaults(f)
				r.generation[unit].Add(1)
				addr, quantity := uint16(rng.IntN(50)), 8 // all answers look alike
				a, err := b.Do(t.Context(), Probe, unit, readRegisters(t, addr, quantity))
				switch {
				case errors.Is(err, ErrNotConnected): // only in a bubble
					time.Sleep(200 * time.Millisecond)
				case err == nil:
					answers.Add(1)
					checkRolling(t, r, unit, addr, quantity, a.PDU)
				}
			}
		})
	}
	reading.Wait()
	return int(answers.Load())
}

func checkRolling(t *testing.T, r *rolling, unit modbus.UnitID, addr uint16, quantity int, answer modbus.PDU) {
	values, err := modbus.Registers(answer)
	if err != nil || len(values) != quantity {
		t.Errorf("unit %d: %d registers, %v, want %d", unit, len(values), err, quantity)
	}
	for i, v := range values {
		if want := r.value(unit, addr+uint16(i)); v != want {
			t.Errorf("unit %d, register %d: took %d, want %d", unit, int(addr)+i, v, want)
			return
		}
	}
}

func TestNoFaultMakesAWrongValue(t *testing.T) {
	for seed := range uint64(3) {
		var r rolling
		so := sim.Options{Units: &r, Timing: line115200, Turnaround: 5 * time.Millisecond, Jitter: 20 * time.Millisecond, Seed: seed}
		inBubble(t, so, Options{}, func(t *testing.T, b bench) {
			const n = 1000
			f := mixedFaults
			f.HangUp, f.Away = 0.005, 100*time.Millisecond
			if good := readThroughFaults(t, b, f, &r, n); good < 2*n {
				t.Errorf("%d good answers of %d, %+v", good, 3*n, b.Stats())
			}
			if got := b.sim.Counters(); got.Early+got.Collisions > 0 || got.Faults < n/2 {
				t.Errorf("%+v", got)
			}
		})
	}
}

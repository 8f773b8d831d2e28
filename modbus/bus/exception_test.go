package bus

import (
	"errors"
	"strings"
	"testing"
	"time"

	"skyhaul/modbus"
	"skyhaul/modbus/sim"
)

func TestBusyUnitIsAskedAgainLaterAndIsUp(t *testing.T) {
	var asked []time.Time
	busy := 2
	h := handler(func(unit modbus.UnitID, req modbus.PDU) (modbus.PDU, bool) {
		if unit == 2 {
			return modbus.PDU{3, 2, 0, 0}, true
		}
		asked = append(asked, time.Now())
		if len(asked) <= busy {
			return modbus.ServerDeviceBusy.Answer(req), true
		}
		return modbus.PDU{3, 2, 0, 0}, true
	})
	inBubble(t, on9600(h), Options{}, func(t *testing.T, b bench) {
		ask := func(unit modbus.UnitID) error {
			_, err := b.Do(t.Context(), Poll, unit, readRegisters(t, 0, 1))
			return err
		}
		go func() {
			time.Sleep(30 * time.Millisecond)
			start := time.Now()
			if err := ask(2); err != nil || time.Since(start) > 100*time.Millisecond {
				t.Errorf("the other unit answered %v after %v", err, time.Since(start))
			}
		}()
		if err := ask(1); err != nil {
			t.Fatal(err)
		}
		if d1, d2 := asked[1].Sub(asked[0]), asked[2].Sub(asked[1]); d1 < 100*time.Millisecond || d2 < 200*time.Millisecond || d2 > 300*time.Millisecond {
			t.Errorf("asked after %v and %v", d1, d2)
		}
		asked, busy = nil, 99
		if err := ask(1); !errors.Is(err, modbus.ServerDeviceBusy) || len(asked) != 4 || b.stats(1).Down {
			t.Errorf("got %v after %d requests, want busy after 4 and a unit that is up", err, len(asked))
		}
	})
}

func TestExceptionsAreReturned(t *testing.T) {
	inBubble(t, on9600(units(1)), Options{}, func(t *testing.T, b bench) {
		_, err := b.Do(t.Context(), Poll, 1, readRegisters(t, 120, 10))
		if e, ok := errors.AsType[modbus.Exception](err); !ok || e != modbus.IllegalDataAddress {
			t.Errorf("got %v", err)
		}
		if got := b.stats(1); got.Exceptions != 1 || got.Requests != 1 || got.Down {
			t.Errorf("%+v", got)
		}
	})
}

func TestSubUnitThatAGatewayMissesGoesDownAlone(t *testing.T) {
	h := handler(func(unit modbus.UnitID, req modbus.PDU) (modbus.PDU, bool) {
		if unit == 2 {
			return modbus.GatewayTarget.Answer(req), true
		}
		return units(1).Handle(1, req)
	})
	inBubble(t, on9600(h), Options{}, func(t *testing.T, b bench) {
		for range 3 {
			if err := b.read(t, Poll, 2); !errors.Is(err, modbus.GatewayTarget) {
				t.Errorf("got %v", err)
			}
		}
		if err := b.read(t, Poll, 2); err != ErrUnitDown {
			t.Errorf("got %v, want down", err)
		}
		if err := b.read(t, Poll, 1); err != nil {
			t.Error(err)
		}
	})
}

func TestAcknowledgedReadIsAskedAgainAndDelaysNothingElse(t *testing.T) {
	var asked []time.Time
	h := handler(func(_ modbus.UnitID, req modbus.PDU) (modbus.PDU, bool) {
		if req[2] == 9 {
			return modbus.PDU{3, 2, 0, 0}, true
		}
		asked = append(asked, time.Now())
		return modbus.Acknowledge.Answer(req), true
	})
	inBubble(t, on9600(h), Options{}, func(t *testing.T, b bench) {
		go func() {
			time.Sleep(30 * time.Millisecond)
			start := time.Now()
			if _, err := b.Do(t.Context(), Poll, 1, readRegisters(t, 9, 1)); err != nil || time.Since(start) > 100*time.Millisecond {
				t.Errorf("another read was answered %v after %v", err, time.Since(start))
			}
		}()
		_, err := b.Do(t.Context(), Poll, 1, readRegisters(t, 0, 1))
		if !errors.Is(err, modbus.Acknowledge) || len(asked) != 4 || asked[3].Sub(asked[0]) < 700*time.Millisecond {
			t.Errorf("read: got %v after %v", err, asked)
		}
		asked = nil
		_, err = b.Do(t.Context(), Operator, 1, modbus.WriteRegister(0, 1))
		if !errors.Is(err, modbus.Acknowledge) || len(asked) != 1 {
			t.Errorf("write: got %v after %d requests, want it sent once", err, len(asked))
		}
		if got := b.stats(1); got.Down || got.ByCode[modbus.Acknowledge] != 5 {
			t.Errorf("%+v", got)
		}
	})
}

func TestFaultIsCountedAndLoggedWhenItBeginsAndEnds(t *testing.T) {
	for _, e := range []modbus.Exception{modbus.ServerDeviceFailure, modbus.MemoryParityError, modbus.GatewayPath} {
		var log journal
		failing := true
		h := handler(func(unit modbus.UnitID, req modbus.PDU) (modbus.PDU, bool) {
			if failing && req[2] == 0 { // one register fails, the next one doesn't
				return e.Answer(req), true
			}
			return modbus.PDU{3, 2, 0, 0}, true
		})
		inBubble(t, on9600(h), Options{Log: log.logger()}, func(t *testing.T, b bench) {
			poll := func(times int) {
				for range times {
					b.Do(t.Context(), Poll, 1, readRegisters(t, 0, 1))
					b.Do(t.Context(), Poll, 1, readRegisters(t, 1, 1))
					time.Sleep(time.Minute)
				}
			}
			poll(20)
			failing = false
			poll(20)
			lines := log.lines()
			if len(lines) != 2 || !strings.Contains(lines[0], "unit reports a fault") || !strings.Contains(lines[1], "times=20") {
				t.Errorf("log:\n%s", strings.Join(lines, "\n"))
			}
			if got := b.stats(1); got.ByCode[e] != 20 || got.Exceptions != 20 || got.Down {
				t.Errorf("%+v", got)
			}
		})
	}
}

func TestGatewayThatAnswersIsNotConnectedAnew(t *testing.T) {
	h := handler(func(_ modbus.UnitID, req modbus.PDU) (modbus.PDU, bool) {
		return modbus.GatewayTarget.Answer(req), true
	})
	inBubble(t, on9600(h), Options{Framing: modbus.RTUOverTCP}, func(t *testing.T, b bench) {
		b.poll(t, 2, time.Minute)
		if s := b.Stats(); s.Opened != 1 || !s.Units[0].Down || s.Units[0].Cause != modbus.GatewayTarget {
			t.Errorf("%+v", s)
		}
	})
}

func TestUnitThatAnswersGarbageGoesDownAndIsProbed(t *testing.T) {
	inBubble(t, on9600(units(2)), Options{}, func(t *testing.T, b bench) {
		b.poll(t, 2, time.Second)
		b.sim.SetUnit(2, sim.Unit{Faults: sim.Faults{Flip: 1}})
		for range damagedToDown / 2 { // each is sent twice
			if err := b.read(t, Poll, 2); !errors.Is(err, modbus.ErrDamaged) {
				t.Errorf("got %v", err)
			}
		}
		if got := b.stats(2); !got.Down || got.Cause != modbus.ErrDamaged || got.Damaged != damagedToDown {
			t.Errorf("%+v", got)
		}
		before := b.stats(2)
		b.poll(t, 2, 5*time.Minute)
		got := b.stats(2)
		if share := (got.Busy - before.Busy).Seconds() / 300; share > 0.02 || got.Probes < 6 {
			t.Errorf("%d probes took %.1f %% of the line", got.Probes, 100*share)
		}
		b.sim.SetUnit(2, sim.Unit{})
		time.Sleep(2 * longestProbe)
		if err := b.read(t, Poll, 2); err != nil || b.stats(2).Cause != nil {
			t.Errorf("back: %v, %+v", err, b.stats(2))
		}
	})
}

func TestNoiseDoesNotTakeAUnitDown(t *testing.T) {
	inBubble(t, on9600(units(1)), Options{}, func(t *testing.T, b bench) {
		b.sim.SetFaults(sim.Faults{Flip: 0.1})
		b.poll(t, 1, 5*time.Minute)
		if got := b.stats(1); got.Probes > 0 || got.Damaged < 250 {
			t.Errorf("%+v", got)
		}
	})
}

package bus

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"skyhaul/modbus"
)

// holdLine keeps the line busy with a unit that is not there.
func (b bench) holdLine(t *testing.T) {
	t.Helper()
	go b.Do(t.Context(), Operator, 9, readRegisters(t, 0, 1))
	synctest.Wait()
}

func TestReadsThatAreTheSameShareAnExchange(t *testing.T) {
	inBubble(t, on9600(units(2)), Options{}, func(t *testing.T, b bench) {
		b.holdLine(t)
		var asking sync.WaitGroup
		ask := func(c Class, unit modbus.UnitID, req modbus.PDU) {
			asking.Go(func() {
				if _, err := b.Do(t.Context(), c, unit, req); err != nil {
					t.Error(err)
				}
			})
		}
		for range 5 {
			ask(Poll, 1, readRegisters(t, 0, 10))
		}
		ask(Operator, 1, readRegisters(t, 0, 10))
		ask(Poll, 1, readRegisters(t, 0, 11))
		ask(Poll, 2, readRegisters(t, 0, 10))
		for range 2 {
			ask(Poll, 2, modbus.WriteRegister(0, 0))
			ask(Probe, 2, readRegisters(t, 0, 10))
		}
		asking.Wait()
		if one, two := b.stats(1).Requests, b.stats(2).Requests; one != 2 || two != 5 {
			t.Errorf("%d and %d requests, want 2 and 5", one, two)
		}
	})
}

func TestSharedReadGoesWithItsMostUrgentCaller(t *testing.T) {
	inBubble(t, on9600(units(2)), Options{}, func(t *testing.T, b bench) {
		b.holdLine(t)
		go b.read(t, Archive, 1)
		synctest.Wait()
		go b.read(t, Poll, 2)
		synctest.Wait()
		go b.read(t, Operator, 1)
		for b.stats(1).OK+b.stats(2).OK == 0 {
			time.Sleep(time.Millisecond)
		}
		if b.stats(1).OK != 1 {
			t.Error("the operator waited behind a poll")
		}
		time.Sleep(time.Second)
	})
}

func TestCallerThatGivesUpLeavesTheOthersTheirAnswer(t *testing.T) {
	inBubble(t, on9600(units(1)), Options{}, func(t *testing.T, b bench) {
		b.holdLine(t)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		left := make(chan error)
		go func() {
			_, err := b.Do(ctx, Poll, 1, readRegisters(t, 0, 10))
			left <- err
		}()
		synctest.Wait()
		stayed := make(chan error)
		go func() { stayed <- b.read(t, Poll, 1) }()
		if err := <-left; !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		if err := <-stayed; err != nil {
			t.Error(err)
		}
	})
}

func TestReadThatNobodyWaitsForIsNotSentAgain(t *testing.T) {
	inBubble(t, on9600(units(1)), Options{}, func(t *testing.T, b bench) {
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		if _, err := b.Do(ctx, Poll, 9, readRegisters(t, 0, 1)); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		time.Sleep(5 * time.Second)
		if got := b.stats(9); got.Requests != 1 || got.Timeouts != 1 {
			t.Errorf("%+v, want one request that timed out", got)
		}
	})
}

func TestObserverSeesAnswersToReadsBeforeWhoeverAsked(t *testing.T) {
	inBubble(t, on9600(units(2)), Options{}, func(t *testing.T, b bench) {
		var seen []modbus.UnitID
		b.Observe(func(unit modbus.UnitID, req modbus.PDU, a modbus.Answer) {
			if values, err := modbus.Registers(a.PDU); err != nil || len(values) != int(req[4]) {
				t.Errorf("saw % X for % X", a.PDU, req)
			}
			b.Stats() // is allowed to
			seen = append(seen, unit)
		})
		b.read(t, Poll, 1)
		b.read(t, Poll, 2)
		b.Do(t.Context(), Poll, 1, modbus.WriteRegister(0, 0))
		b.Do(t.Context(), Poll, 1, readRegisters(t, 120, 6)) // is declined
		b.read(t, Poll, 9)
		if len(seen) != 2 || seen[0] != 1 || seen[1] != 2 {
			t.Errorf("saw answers of %v", seen)
		}
	})
}

func TestProbeReadsNothingThatMustBeReadAlone(t *testing.T) {
	counters := holding(100, 4)
	var mu sync.Mutex
	var asked []uint16
	alive := true
	h := handler(func(_ modbus.UnitID, req modbus.PDU) (modbus.PDU, bool) {
		mu.Lock()
		defer mu.Unlock()
		r, err := modbus.ParseRequest(req)
		if err != nil {
			t.Error(err)
		}
		asked = append(asked, r.Addr)
		return append(modbus.PDU{3, byte(2 * r.Quantity)}, make([]byte, 2*r.Quantity)...), alive
	})
	o := Options{
		Exclusive: map[modbus.UnitID][]Range{1: {counters}},
		Avoid:     map[modbus.UnitID][]Range{1: {holding(20, 5), {Function: modbus.FuncReadInputRegisters, Addr: 9, Quantity: 1}}},
	}
	inBubble(t, on9600(h), o, func(t *testing.T, b bench) {
		b.Do(t.Context(), Poll, 1, readRegisters(t, 7, 3))
		b.Do(t.Context(), Poll, 1, readRegisters(t, 19, 2))
		b.Do(t.Context(), Poll, 1, readRegisters(t, 9, 2)) // a unit may serve them as input registers too
		b.Do(t.Context(), Archive, 1, readRegisters(t, 701, 1))
		mu.Lock()
		alive = false
		mu.Unlock()
		for range 3 {
			b.Do(t.Context(), Poll, 1, readRegisters(t, 100, 4))
		}
		mu.Lock()
		asked = nil
		mu.Unlock()
		time.Sleep(10 * time.Minute)
		mu.Lock()
		defer mu.Unlock()
		if len(asked) < 10 {
			t.Fatalf("%d probes", len(asked))
		}
		for _, addr := range asked {
			if addr != 7 && addr != 8 {
				t.Errorf("probed at %d", addr)
			}
		}
	})
}

func TestFirstProbeReadsNothingThatMustNotBeRead(t *testing.T) {
	input := func(addr, quantity int) Range {
		return Range{Function: modbus.FuncReadInputRegisters, Addr: uint16(addr), Quantity: quantity}
	}
	tests := []struct {
		name  string
		avoid []Range
		want  modbus.PDU
	}{
		{"nothing is known", nil, modbus.PDU{3, 0, 0, 0, 1}},
		{"the first are avoided", []Range{holding(0, 10), input(10, 1)}, modbus.PDU{3, 0, 13, 0, 1}}, // units may serve both from one
		{"coils are avoided", []Range{{Function: modbus.FuncReadCoils, Addr: 0, Quantity: 10}}, modbus.PDU{3, 0, 0, 0, 1}},
		{"all but the last", []Range{holding(0, 65535)}, modbus.PDU{3, 255, 255, 0, 1}},
		{"all", []Range{input(0, 65536)}, modbus.PDU{7}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := New(Options{
				Exclusive: map[modbus.UnitID][]Range{1: {holding(11, 2)}, 2: {holding(0, 65536)}},
				Avoid:     map[modbus.UnitID][]Range{1: tt.avoid},
			})
			if diff := cmp.Diff(tt.want, l.unit(1).probe); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestSeparatorsSpareWhatMustNotBeRead(t *testing.T) {
	for _, tt := range []struct {
		name     string
		r        Range
		ask, sep modbus.PDU
	}{
		{"exclusive", holding(10, 2), readRegisters(t, 10, 2), readRegisters(t, 12, 1)},
		{"avoid", holding(21, 1), readRegisters(t, 20, 1), readRegisters(t, 19, 2)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var mu sync.Mutex
			var heard []modbus.PDU
			h := handler(func(unit modbus.UnitID, req modbus.PDU) (modbus.PDU, bool) {
				mu.Lock()
				defer mu.Unlock()
				heard = append(heard, slices.Clone(req))
				resp, _ := units(1).Handle(unit, req)
				return resp, len(heard) > 1
			})
			ranges := map[modbus.UnitID][]Range{1: {tt.r}}
			o := Options{Avoid: ranges}
			if tt.name == "exclusive" {
				o = Options{Exclusive: ranges}
			}
			inBubble(t, on9600(h), o, func(t *testing.T, b bench) {
				if _, err := b.Do(t.Context(), Poll, 1, tt.ask); err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff([]modbus.PDU{tt.ask, tt.sep, tt.ask}, heard); diff != "" {
					t.Error(diff)
				}
			})
		})
	}
}

func TestLineSpeaksTheDialectOfAUnit(t *testing.T) {
	h := handler(func(_ modbus.UnitID, req modbus.PDU) (modbus.PDU, bool) {
		return modbus.PDU{3, 8, 1, 2, 3, 4, 5, 6, 7, 8}, true // two items of four bytes
	})
	o := Options{Dialects: map[modbus.UnitID]modbus.Dialect{1: modbus.Enron()}}
	inBubble(t, on9600(h), o, func(t *testing.T, b bench) {
		a, err := b.Do(t.Context(), Poll, 1, readRegisters(t, 7001, 2))
		if err != nil || len(a.PDU) != 10 {
			t.Errorf("got % X, %v", a.PDU, err)
		}
		if _, err := b.Do(t.Context(), Poll, 2, readRegisters(t, 7001, 2)); !errors.Is(err, modbus.ErrDamaged) {
			t.Errorf("another unit: %v, want two registers expected", err)
		}
	})
}

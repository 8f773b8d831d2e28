package sim

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"skyhaul/modbus"
)

// at9600 is a line of 9600 baud 8N1.
var at9600 = modbus.LineTiming{Bit: time.Second / 9600, CharBits: 10}

// unitOf returns a unit with registers 0 to 124 that hold their own address.
func unitOf() *modbus.Bank {
	b := new(modbus.Bank)
	for addr := range uint16(125) {
		b.Set(modbus.HoldingRegisters, addr, addr)
	}
	return b
}

// inBubble runs f with a client of a line that is served for as long.
func inBubble(t *testing.T, o Options, f func(*testing.T, *Line, *modbus.Client)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		var cable Cable
		o.Open, o.Timing = cable.Open, at9600
		if o.Units == nil {
			o.Units = modbus.Units{1: unitOf(), 2: unitOf()}
		}
		l := NewLine(o)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- l.Run(ctx) }()
		synctest.Wait()
		c, err := cable.Dial(ctx)
		if err != nil {
			t.Fatal(err)
		}
		f(t, l, modbus.NewClient(c, modbus.RTU, at9600))
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// read asks a unit for registers from address 0 on and fails on a wrong value.
func read(t *testing.T, c *modbus.Client, unit modbus.UnitID, quantity int) (modbus.Answer, error) {
	t.Helper()
	return readWithin(t, 300*time.Millisecond, c, unit, quantity)
}

func readWithin(t *testing.T, d time.Duration, c *modbus.Client, unit modbus.UnitID, quantity int) (modbus.Answer, error) {
	t.Helper()
	req, err := modbus.ReadRequest(modbus.FuncReadHoldingRegisters, 0, quantity)
	if err != nil {
		t.Fatal(err)
	}
	a, err := c.Do(t.Context(), unit, req, d)
	if err != nil {
		return a, err
	}
	values, err := modbus.Registers(a.PDU)
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range values {
		if int(v) != i || len(values) != quantity {
			t.Fatalf("read %v, want %d registers from 0 on", values, quantity)
		}
	}
	return a, nil
}

func TestExchangeTakesTheTimeOfTheLine(t *testing.T) {
	o := Options{Turnaround: 5 * time.Millisecond}
	inBubble(t, o, func(t *testing.T, l *Line, c *modbus.Client) {
		a, err := read(t, c, 1, 10)
		if err != nil {
			t.Fatal(err)
		}
		want := at9600.Wire(8) + at9600.T35() + 5*time.Millisecond + at9600.Wire(25)
		if a.Total != want {
			t.Errorf("exchange took %v, want %v", a.Total, want)
		}
		if got, want := l.Counters(), (Counters{Requests: 1, Answers: 1, Busy: at9600.Wire(33)}); got != want {
			t.Errorf("counters %+v, want %+v", got, want)
		}
	})
}

func TestSpeedDividesTheTimeOfTheLine(t *testing.T) {
	inBubble(t, Options{Turnaround: 5 * time.Millisecond, Speed: 10}, func(t *testing.T, _ *Line, c *modbus.Client) {
		a, err := read(t, c, 1, 10)
		if want := (at9600.Wire(33) + at9600.T35() + 5*time.Millisecond) / 10; err != nil || (a.Total-want).Abs() > time.Microsecond {
			t.Errorf("exchange took %v, %v, want %v", a.Total, err, want)
		}
	})
}

func TestFaultsDoWhatTheySay(t *testing.T) {
	timeout, damaged := modbus.ErrTimeout, modbus.ErrDamaged
	tests := []struct {
		name   string
		faults Faults
		err    error
	}{
		{"none", Faults{}, nil},
		{"echo", Faults{Echo: true}, nil},
		{"noise", Faults{NoiseBefore: 1, NoiseAfter: 1}, nil},
		{"drop", Faults{Drop: 1}, timeout},
		{"dead", Faults{Dead: []modbus.UnitID{2, 1}}, timeout},
		{"another unit is dead", Faults{Dead: []modbus.UnitID{2}}, nil},
		{"exception", Faults{Exception: 1}, modbus.ServerDeviceFailure},
		{"flip", Faults{Flip: 1}, damaged},
		{"wrong unit", Faults{WrongUnit: 1}, timeout},
		{"corrupt", Faults{Corrupt: 1}, timeout}, // the request as well
		{"split by more than a frame may pause", Faults{Split: 1, SplitBy: time.Second}, damaged},
		{"late", Faults{Late: 1, LateBy: time.Second}, timeout},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, Options{}, func(t *testing.T, l *Line, c *modbus.Client) {
				l.SetFaults(tt.faults)
				_, err := read(t, c, 1, 10)
				if !errors.Is(err, tt.err) {
					t.Errorf("got %v, want %v", err, tt.err)
				}
				l.SetFaults(Faults{})
				time.Sleep(2 * time.Second)
				if _, err := read(t, c, 1, 9); err != nil {
					t.Errorf("after the fault: %v", err)
				}
			})
		})
	}
}

func TestPauseAndBreakTakeTimeOnly(t *testing.T) {
	for _, tt := range []struct {
		faults Faults
		by     time.Duration
	}{
		{Faults{Split: 1}, 20 * time.Millisecond},
		{Faults{Split: 1, SplitBy: 100 * time.Millisecond}, 100 * time.Millisecond},
		{Faults{Break: 1}, at9600.Wire(2)},
	} {
		inBubble(t, Options{}, func(t *testing.T, l *Line, c *modbus.Client) {
			l.SetFaults(tt.faults)
			a, err := read(t, c, 1, 10)
			if want := at9600.Wire(33) + at9600.T35() + tt.by; err != nil || (a.Total-want).Abs() > time.Microsecond {
				t.Errorf("%+v: exchange took %v, %v, want %v", tt.faults, a.Total, err, want)
			}
		})
	}
}

func TestCutAnswerLacksItsEnd(t *testing.T) {
	inPlant(t, plantOf("9600-8N1", modbus.Units{1: unitOf()}), func(t *testing.T, p plant) {
		whole := p.hears("9600-8N1")
		p.line.SetFaults(Faults{Cut: 1})
		for range 20 {
			if got := p.hears("9600-8N1"); len(got) == 0 || len(got) >= len(whole) || !bytes.HasPrefix(whole, got) {
				t.Errorf("% X is no cut of % X", got, whole)
			}
		}
	})
}

func TestLineSpeaksASCII(t *testing.T) {
	o := plantOf("9600-7E1", modbus.Units{1: unitOf()})
	o.Framing = modbus.ASCII
	inPlant(t, o, func(t *testing.T, p plant) {
		c, err := p.cable.Dial(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		client := modbus.NewClient(c, modbus.ASCII, o.Settings.Timing())
		a, err := read(t, client, 1, 10)
		if least := o.Settings.Timing().Wire(17 + 51); err != nil || a.Total < least {
			t.Errorf("%v, %v: the line needs %v", a.Total, err, least)
		}
		p.line.SetFaults(Faults{WrongUnit: 1})
		if _, err := read(t, client, 1, 10); err == nil || client.Counters().ForeignUnit != 1 {
			t.Errorf("%v, %+v, want a foreign unit", err, client.Counters())
		}
	})
}

// One register of an Enron unit carries as many bytes as its number says.
func TestLineCarriesAnyDialect(t *testing.T) {
	enron := &modbus.Bank{Dialect: modbus.Enron()}
	enron.Set(modbus.HoldingRegisters, 7001, 0x42C8, 0, 0x42CA, 0)
	o := Options{Units: modbus.Units{1: enron}}
	inBubble(t, o, func(t *testing.T, l *Line, c *modbus.Client) {
		c.Speak(1, enron.Dialect)
		req, err := enron.Dialect.ReadRequest(modbus.FuncReadHoldingRegisters, 7001, 2)
		if err != nil {
			t.Fatal(err)
		}
		a, err := c.Do(t.Context(), 1, req, time.Second)
		if want := (modbus.PDU{3, 8, 0x42, 0xC8, 0, 0, 0x42, 0xCA, 0, 0}); err != nil || !bytes.Equal(a.PDU, want) {
			t.Errorf("% X, %v, want % X", []byte(a.PDU), err, want)
		}
	})
}

func TestLateAnswerComesWithTheNextRequest(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, l *Line, c *modbus.Client) {
		l.SetFaults(Faults{Late: 1})
		if _, err := read(t, c, 1, 10); !errors.Is(err, modbus.ErrTimeout) {
			t.Fatalf("got %v, want a timeout", err)
		}
		l.SetFaults(Faults{})
		if _, err := read(t, c, 1, 10); err != nil {
			t.Fatal(err)
		}
		if got := c.Counters().LateBytes; got != 25 {
			t.Errorf("%d late bytes, want one answer of 25", got)
		}
	})
}

func TestHungUpPortComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var cable Cable
		l := NewLine(Options{Open: cable.Open, Timing: at9600, Units: modbus.Units{1: unitOf()}})
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go l.Run(ctx)
		synctest.Wait()
		dial := func() *modbus.Client {
			c, err := cable.Dial(ctx)
			if err != nil {
				return nil
			}
			return modbus.NewClient(c, modbus.RTU, at9600)
		}
		l.SetFaults(Faults{HangUp: 1, Away: 3 * time.Second})
		if _, err := read(t, dial(), 1, 10); !errors.Is(err, modbus.ErrConn) {
			t.Errorf("got %v, want a lost connection", err)
		}
		l.SetFaults(Faults{})
		if dial() != nil {
			t.Error("the port can be opened while it is away")
		}
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if _, err := read(t, dial(), 1, 10); err != nil {
			t.Errorf("after the port is back: %v", err)
		}
	})
}

func TestTalkingTooEarlyIsCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var cable Cable
		l := NewLine(Options{Open: cable.Open, Timing: at9600, Units: modbus.Units{1: unitOf()}})
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go l.Run(ctx)
		synctest.Wait()
		c, _ := cable.Dial(ctx)
		impatient := modbus.NewClient(c, modbus.RTU, modbus.LineTiming{})
		for range 3 {
			if _, err := read(t, impatient, 1, 10); err != nil {
				t.Fatal(err)
			}
		}
		if got := l.Counters(); got.Early != 2 || got.Collisions != 0 {
			t.Errorf("%+v, want 2 early requests", got)
		}
	})
}

func TestTalkingIntoAnAnswerSpoilsBoth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var cable Cable
		l := NewLine(Options{Open: cable.Open, Timing: at9600, Units: modbus.Units{1: unitOf()}})
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go l.Run(ctx)
		synctest.Wait()
		c, _ := cable.Dial(ctx)
		client := modbus.NewClient(c, modbus.RTU, at9600)
		if _, err := read(t, client, 1, 10); err != nil { // it listens for a while before its first request
			t.Fatal(err)
		}
		time.AfterFunc(20*time.Millisecond, func() { c.Write([]byte{1, 3, 0, 0, 0, 1, 0x84, 0x0A}) })
		if _, err := read(t, client, 1, 10); !errors.Is(err, modbus.ErrDamaged) {
			t.Errorf("got %v, want damage", err)
		}
		if got := l.Counters(); got.Collisions != 1 || got.Requests != 2 {
			t.Errorf("%+v, want 1 collision and 2 requests", got)
		}
	})
}

func TestUnitHasFaultsAndTurnaroundOfItsOwn(t *testing.T) {
	o := Options{Turnaround: 5 * time.Millisecond}
	inBubble(t, o, func(t *testing.T, l *Line, c *modbus.Client) {
		l.SetFaults(Faults{Echo: true, Drop: 1})
		l.SetUnit(2, Unit{Turnaround: 80 * time.Millisecond})
		for range 3 {
			if _, err := read(t, c, 1, 10); !errors.Is(err, modbus.ErrTimeout) {
				t.Errorf("unit 1: got %v, want a timeout", err)
			}
			a, err := read(t, c, 2, 10)
			if want := at9600.Wire(33) + at9600.T35() + 80*time.Millisecond; err != nil || a.Total != want {
				t.Errorf("unit 2: %v, %v, want %v", a.Total, err, want)
			}
		}
		if got := c.Counters().EchoBytes; got < 6*8 {
			t.Errorf("%d bytes of echo: it is the line's, whatever the unit", got)
		}
	})
}

func TestTurnaroundHasALongTail(t *testing.T) {
	o := Options{Turnaround: 2 * time.Millisecond, Jitter: time.Millisecond}
	inBubble(t, o, func(t *testing.T, l *Line, c *modbus.Client) {
		l.SetFaults(Faults{Slow: 0.1, SlowTimes: 20})
		fixed := at9600.Wire(33) + at9600.T35()
		slow := 0
		for range 300 {
			a, err := read(t, c, 1, 10)
			if err != nil {
				t.Fatal(err)
			}
			switch d := a.Total - fixed; {
			case d >= 40*time.Millisecond && d < 60*time.Millisecond:
				slow++
			case d < 2*time.Millisecond || d >= 3*time.Millisecond:
				t.Errorf("turnaround of %v", d)
			}
		}
		if slow < 15 || slow > 50 {
			t.Errorf("%d of 300 answers were slow, want about 30", slow)
		}
	})
}

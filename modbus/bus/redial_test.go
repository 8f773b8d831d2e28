package bus

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"skyhaul/modbus"
	"skyhaul/modbus/sim"
)

// journal is a log to look at.
type journal struct {
	mu  sync.Mutex // guards buf
	buf bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.buf.Write(p)
}

func (j *journal) lines() []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return strings.Split(strings.TrimSpace(j.buf.String()), "\n")
}

func (j *journal) logger() *slog.Logger { return slog.New(slog.NewTextHandler(j, nil)) }

func TestMissingPortIsAStateWithOneLineOfLog(t *testing.T) {
	var log journal
	var cable sim.Cable // the test plugs its own units in
	inBubble(t, on9600(units(1)), Options{Dial: cable.Dial, Log: log.logger()}, func(t *testing.T, b bench) {
		if err := b.read(t, Poll, 1); err != ErrNotConnected {
			t.Errorf("first: got %v", err)
		}
		time.Sleep(time.Hour)
		asked := time.Now()
		if err := b.read(t, Operator, 1); err != ErrNotConnected || time.Now() != asked {
			t.Errorf("later: got %v after %v", err, time.Since(asked))
		}
		if s := b.Stats(); s.Connected || s.Opened != 0 || time.Since(s.Since) < time.Hour {
			t.Errorf("%+v, want not connected from the start", s)
		}
		units := sim.NewLine(sim.Options{Open: cable.Open, Units: units(1), Timing: line9600})
		go units.Run(t.Context())
		time.Sleep(40 * time.Second)
		if err := b.read(t, Poll, 1); err != nil {
			t.Errorf("with a port: got %v", err)
		}
		lines := log.lines()
		if len(lines) != 2 || !strings.Contains(lines[0], "line not connected") || !strings.Contains(lines[1], "line connected again") ||
			!strings.Contains(lines[1], "attempts=1") {
			t.Errorf("log:\n%s", strings.Join(lines, "\n"))
		}
	})
}

func TestReadOutlivesALostConnectionAndAWriteIsNotRepeated(t *testing.T) {
	inBubble(t, on9600(units(1)), Options{}, func(t *testing.T, b bench) {
		hangUpOnce := func() {
			b.sim.SetFaults(sim.Faults{HangUp: 1, Away: time.Nanosecond})
			time.AfterFunc(time.Second, func() { b.sim.SetFaults(sim.Faults{}) })
		}
		b.read(t, Poll, 1)
		hangUpOnce()
		if err := b.read(t, Poll, 1); !errors.Is(err, ErrNotConnected) {
			t.Errorf("the port hung up twice: got %v", err)
		}
		time.Sleep(5 * time.Second)
		if err := b.read(t, Poll, 1); err != nil {
			t.Errorf("after a while: got %v", err)
		}
		requests := b.sim.Counters().Requests
		hangUpOnce()
		_, err := b.Do(t.Context(), Operator, 1, modbus.WriteRegister(0, 0))
		if !errors.Is(err, ErrNotConnected) || b.sim.Counters().Requests != requests+1 {
			t.Errorf("write: got %v after %d requests", err, b.sim.Counters().Requests-requests)
		}
		time.Sleep(5 * time.Second)
		if s := b.Stats(); s.Opened < 3 || s.Wire.Requests < 4 {
			t.Errorf("%+v, want the counts of all connections", s)
		}
	})
}

func TestEndpointIsConnectedAnewWhenItsLastUnitFallsSilent(t *testing.T) {
	for _, framing := range []modbus.Framing{modbus.RTU, modbus.RTUOverTCP} {
		inBubble(t, on9600(units(2)), Options{Framing: framing}, func(t *testing.T, b bench) {
			b.poll(t, 2, time.Second)
			b.sim.SetFaults(sim.Faults{Dead: []modbus.UnitID{1}})
			b.poll(t, 2, 10*time.Second)
			if got := b.Stats().Opened; got != 1 {
				t.Errorf("%v: opened %d times while a unit answers", framing, got)
			}
			b.sim.SetFaults(sim.Faults{Dead: []modbus.UnitID{1, 2}})
			b.poll(t, 2, 10*time.Second)
			if got := b.Stats().Opened; (got == 2) != (framing == modbus.RTUOverTCP) {
				t.Errorf("%v: opened %d times", framing, got)
			}
			b.sim.SetFaults(sim.Faults{})
			time.Sleep(time.Minute)
			if err := b.read(t, Poll, 1); err != nil {
				t.Errorf("%v: %v", framing, err)
			}
		})
	}
}

func TestEndpointThatClosesEveryConnectionIsDialledLessAndLess(t *testing.T) {
	var log journal
	dials := 0
	o := Options{Framing: modbus.TCP, Log: log.logger(), Dial: func(context.Context) (modbus.Conn, error) {
		dials++
		ours, theirs := net.Pipe()
		theirs.Close()
		return ours, nil
	}}
	inBubble(t, on9600(units(1)), o, func(t *testing.T, b bench) {
		end := time.Now().Add(time.Hour)
		for time.Now().Before(end) {
			if err := b.read(t, Poll, 1); !errors.Is(err, ErrNotConnected) {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
		}
		if got := b.Stats().Opened; got < 100 || got > 160 { // each 30 s, give or take a fifth
			t.Errorf("opened %d times in an hour", got)
		}
		if lines := log.lines(); len(lines) != 1 {
			t.Errorf("log:\n%s", strings.Join(lines, "\n"))
		}
	})
}

func TestRunRefusesWhatWaitsWhenItEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(Options{Dial: func(ctx context.Context) (modbus.Conn, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}})
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			time.Sleep(time.Second)
			cancel()
		}()
		go l.Run(ctx)
		if _, err := l.Do(t.Context(), Poll, 1, readRegisters(t, 0, 1)); err != ErrNotConnected || ctx.Err() == nil {
			t.Errorf("got %v", err)
		}
		if _, err := l.Do(t.Context(), Poll, 1, readRegisters(t, 0, 1)); err != ErrNotConnected {
			t.Errorf("afterwards: got %v", err)
		}
	})
}

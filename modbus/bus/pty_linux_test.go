package bus

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"skyhaul/modbus"
	"skyhaul/modbus/sim"
)

// onPTY runs a line on a pty until the test ends.
func onPTY(t testing.TB, so sim.Options, timeout time.Duration) bench {
	t.Helper()
	link := filepath.Join(t.TempDir(), "tty")
	open, opened := sim.PTY(link), make(chan struct{}, 2)
	so.Open = func() (modbus.Conn, error) {
		defer func() { opened <- struct{}{} }()
		return open()
	}
	b := bench{sim: sim.NewLine(so), Line: New(Options{
		Timing:  so.Timing,
		Timeout: timeout,
		Dial: func(context.Context) (modbus.Conn, error) {
			return os.OpenFile(link, os.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
		},
	})}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := b.sim.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	<-opened
	running.Go(func() { b.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		running.Wait()
	})
	return b
}

func TestNoFaultMakesAWrongValueOnAPTY(t *testing.T) {
	var r rolling
	b := onPTY(t, sim.Options{Units: &r, Timing: line115200, Turnaround: time.Millisecond, Seed: 1}, 100*time.Millisecond)
	const n = 20
	if good := readThroughFaults(t, b, mixedFaults, &r, n); good < n {
		t.Errorf("%d good answers of %d, %+v", good, 3*n, b.Stats())
	}
}

func TestPulledPortIsUsedAgainWhenItIsBack(t *testing.T) {
	b := onPTY(t, sim.Options{Units: units(1), Timing: line115200}, 5*time.Second)
	b.sim.SetFaults(sim.Faults{HangUp: 1, Away: 100 * time.Millisecond})
	if err := b.read(t, Poll, 1); !errors.Is(err, ErrNotConnected) {
		t.Errorf("got %v", err)
	}
	b.sim.SetFaults(sim.Faults{Away: 100 * time.Millisecond})
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for b.read(t, Poll, 1) != nil {
		select {
		case <-again.C:
		case <-t.Context().Done():
		}
	}
	if got := b.Stats().Opened; got != 2 {
		t.Errorf("opened %d times", got)
	}
}

// BenchmarkExchange reports how much longer than wire time, two silences and a
// turnaround of 2 ms an exchange takes from end to end.
func BenchmarkExchange(b *testing.B) {
	for _, row := range []struct {
		name     string
		baud     int
		quantity int
	}{
		{"9600/10", 9600, 10},
		{"9600/125", 9600, 125},
		{"19200/10", 19200, 10},
		{"19200/125", 19200, 125},
		{"38400/50", 38400, 50},
		{"115200/2", 115200, 2},
		{"115200/10", 115200, 10},
		{"115200/125", 115200, 125},
	} {
		b.Run(row.name, func(b *testing.B) {
			timing := modbus.LineTiming{Bit: time.Second / time.Duration(row.baud), CharBits: 10}
			line := onPTY(b, sim.Options{Units: units(1), Timing: timing, Turnaround: 2 * time.Millisecond}, time.Second)
			req, err := modbus.ReadRequest(modbus.FuncReadHoldingRegisters, 0, row.quantity)
			if err != nil {
				b.Fatal(err)
			}
			line.Do(b.Context(), Poll, 1, req) // it listens for a while before its first request
			for b.Loop() {
				if _, err := line.Do(b.Context(), Poll, 1, req); err != nil {
					b.Fatal(err)
				}
			}
			floor := timing.Wire(13+2*row.quantity) + 2*timing.T35() + 2*time.Millisecond
			mean := b.Elapsed() / time.Duration(b.N)
			b.ReportMetric(floor.Seconds()*1000, "floor-ms")
			b.ReportMetric(mean.Seconds()*1000, "mean-ms")
			b.ReportMetric((mean-floor).Seconds()*1000, "over-ms")
			b.ReportMetric(0, "ns/op")
			if got := line.sim.Counters(); got.Early > 0 {
				b.Errorf("%+v: some requests came early", got)
			}
		})
	}
}

func TestMixedLineOnAPTY(t *testing.T) {
	inRealTime(t, func(so sim.Options) bench { return onPTY(t, so, 0) })
}

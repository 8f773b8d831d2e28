package listen

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"skyhaul/modbus"
	"skyhaul/modbus/bus"
	"skyhaul/modbus/sim"
)

var line19200 = modbus.LineTiming{Bit: time.Second / 19200, CharBits: 10}

// tapped is a connection whose bytes, both ways, are heard by a listener too.
type tapped struct {
	modbus.Conn
	heard chan<- []byte
}

func (c tapped) Write(b []byte) (int, error) {
	c.heard <- slices.Clone(b)
	return c.Conn.Write(b)
}

func (c tapped) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if n > 0 {
		c.heard <- slices.Clone(b[:n])
	}
	return n, err
}

// mute is a listener's connection: whoever writes to it fails the test.
type mute struct {
	net.Conn
	t *testing.T
}

func (c mute) Write(b []byte) (int, error) {
	c.t.Errorf("% X was sent to a line that another client owns", b)
	return len(b), nil
}

// place is a line that a client owns and a listener hears.
type place struct {
	owner *bus.Line
	sim   *sim.Line
	*Line
}

// overhear lets a client own a line with units, and a listener hear it, until
// the test ends.
func overhear(t *testing.T, units modbus.Handler, o Options) place {
	t.Helper()
	var cable sim.Cable
	plugged := make(chan struct{})
	far, near := net.Pipe()
	heard := make(chan []byte, 1000)
	o.Timing = line19200
	o.Dial = func(context.Context) (modbus.Conn, error) { return mute{near, t}, nil }
	p := place{
		owner: bus.New(bus.Options{Timing: line19200, Timeout: 200 * time.Millisecond, Dial: func(ctx context.Context) (modbus.Conn, error) {
			<-plugged
			c, err := cable.Dial(ctx)
			return tapped{c, heard}, err
		}}),
		sim: sim.NewLine(sim.Options{Units: units, Timing: line19200, Turnaround: 5 * time.Millisecond, Seed: 1, Open: func() (modbus.Conn, error) {
			defer sync.OnceFunc(func() { close(plugged) })()
			return cable.Open()
		}}),
		Line: New(o),
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { p.sim.Run(ctx) })
	running.Go(func() { p.owner.Run(ctx) })
	running.Go(func() { p.Run(ctx) })
	running.Go(func() {
		for {
			select {
			case b := <-heard:
				far.Write(b)
			case <-ctx.Done():
				return
			}
		}
	})
	t.Cleanup(func() {
		cancel()
		far.Close()
		running.Wait()
	})
	return p
}

// poll lets the owner send the same requests again and again.
func (p place) poll(ctx context.Context, every time.Duration, unit modbus.UnitID, requests ...modbus.PDU) {
	for ctx.Err() == nil {
		for _, req := range requests {
			p.owner.Do(ctx, bus.Poll, unit, req)
		}
		select {
		case <-time.After(every):
		case <-ctx.Done():
		}
	}
}

// bank returns a unit whose holding register n holds n, and coil n whether n is
// a multiple of three.
func bank() *modbus.Bank {
	var b modbus.Bank
	for n := range uint16(200) {
		b.Set(modbus.HoldingRegisters, n, n)
		b.Set(modbus.Coils, n, (n%3+1)%3%2)
	}
	return &b
}

func TestReadsAreAnsweredFromWhatAnotherClientAsks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := overhear(t, modbus.Units{1: bank()}, Options{})
		go p.poll(t.Context(), time.Second, 1, read(t, 3, 0, 100), read(t, 3, 100, 40), read(t, 1, 8, 30))
		a, err := p.Do(t.Context(), bus.Poll, 1, read(t, 3, 90, 3))
		if err != nil {
			t.Fatal(err)
		}
		if v, err := modbus.Registers(a.PDU); err != nil || !slices.Equal(v, []uint16{90, 91, 92}) {
			t.Errorf("registers 90 to 92: %v, %v", v, err)
		}
		time.Sleep(15 * time.Second)
		began := time.Now()
		a, err = p.Do(t.Context(), bus.Poll, 1, read(t, 1, 9, 5))
		if err != nil {
			t.Fatal(err)
		}
		if v, err := modbus.Bits(a.PDU, 5); err != nil || !slices.Equal(v, []bool{true, false, false, true, false}) {
			t.Errorf("coils 9 to 13: %v, %v", v, err)
		}
		if age := began.Sub(a.Sent); age < 0 || age > 1500*time.Millisecond {
			t.Errorf("answer is %v old", age)
		}
		if _, err := p.Do(t.Context(), bus.Poll, 1, read(t, 3, 99, 2)); !errors.Is(err, modbus.ErrTimeout) {
			t.Errorf("a value whose registers come from two exchanges: %v", err)
		}
		if _, err := p.Do(t.Context(), bus.Poll, 2, read(t, 3, 0, 1)); !errors.Is(err, bus.ErrUnitDown) {
			t.Errorf("a unit that nobody asks: %v", err)
		}
		if _, err := p.Do(t.Context(), bus.Operator, 1, modbus.WriteRegister(0, 1)); !errors.Is(err, errListens) {
			t.Errorf("a write: %v", err)
		}
		if took := time.Since(began); took > 0 {
			t.Errorf("these answers took %v", took)
		}
	})
}

func TestWhatIsTooOldAnswersNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := overhear(t, modbus.Units{1: bank()}, Options{MaxAge: 3 * time.Second})
		time.Sleep(5 * time.Second) // after which no request went unheard
		ctx, cancel := context.WithCancel(t.Context())
		go p.poll(ctx, time.Second, 1, read(t, 3, 0, 10))
		time.Sleep(10 * time.Second)
		cancel()
		req := read(t, 3, 0, 10)
		a, err := p.Do(t.Context(), bus.Poll, 1, req)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Until(a.Sent.Add(3 * time.Second)))
		if _, err := p.Do(t.Context(), bus.Poll, 1, req); err != nil {
			t.Errorf("at 3 s: %v", err)
		}
		time.Sleep(time.Millisecond)
		if _, err := p.Do(t.Context(), bus.Poll, 1, req); !errors.Is(err, modbus.ErrTimeout) {
			t.Errorf("past 3 s: %v", err)
		}
		time.Sleep(time.Second)
		if _, err := p.Do(t.Context(), bus.Poll, 1, req); !errors.Is(err, bus.ErrUnitDown) {
			t.Errorf("past 4 s: %v", err)
		}
	})
}

func TestNothingIsWaitedForWithoutALine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(Options{Dial: func(context.Context) (modbus.Conn, error) { return nil, errors.New("no such port") }})
		go l.Run(t.Context())
		if _, err := l.Do(t.Context(), bus.Poll, 1, read(t, 3, 0, 1)); !errors.Is(err, bus.ErrNotConnected) {
			t.Errorf("got %v", err)
		}
		if s := l.Stats(); s.Connected || s.Since.IsZero() {
			t.Errorf("%+v", s)
		}
	})
}

func TestStatsTellWhatOthersDo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := overhear(t, modbus.Units{1: bank()}, Options{})
		go p.poll(t.Context(), 80*time.Millisecond, 1, read(t, 3, 0, 50))
		go p.poll(t.Context(), 5*time.Second, 7, read(t, 3, 0, 10))
		time.Sleep(100 * time.Second)
		s := p.Stats()
		if len(s.Units) != 2 || s.Units[0].Down || !s.Units[1].Down || s.Units[1].OK != 0 || s.Units[1].Timeouts == 0 {
			t.Errorf("units: %+v", s.Units)
		}
		if s.Wire.Requests < 500 || s.Wire.OK < s.Wire.Requests*9/10 {
			t.Errorf("%+v", s.Wire)
		}
		if want := 5 * time.Millisecond; (s.Units[0].Turnaround - want).Abs() > 3*time.Millisecond {
			t.Errorf("turnaround %v, want about %v", s.Units[0].Turnaround, want)
		}
		if s.Busy < 0.3 || s.Busy > 0.6 {
			t.Errorf("busy %v", s.Busy)
		}
	})
}

func TestLineThatIsLostIsOpenedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		others := make(chan net.Conn, 1)
		l := New(Options{Timing: line19200, Dial: func(context.Context) (modbus.Conn, error) {
			near, far := net.Pipe()
			others <- far
			return mute{near, t}, nil
		}})
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		defer running.Wait()
		defer cancel()
		running.Go(func() { l.Run(ctx) })
		for opened := 1; opened <= 3; opened++ {
			far := <-others
			for range 3 {
				time.Sleep(time.Second)
				far.Write(seal(1, 3, 0, 0, 0, 2))
				time.Sleep(20 * time.Millisecond)
				far.Write(seal(1, holding(2, byte(opened))...))
			}
			a, err := l.Do(ctx, bus.Poll, 1, read(t, 3, 1, 1))
			if want := (modbus.PDU{3, 2, 0, byte(opened)}); err != nil || !slices.Equal(a.PDU, want) {
				t.Errorf("% X, %v, want % X", []byte(a.PDU), err, []byte(want))
			}
			// What was heard at first, of a line just opened, belongs to nothing.
			if s := l.Stats(); s.Opened != opened || s.Wire.Requests != uint64(3*opened) || s.Wire.OK+s.Wire.Damaged != uint64(3*opened) || s.Wire.Damaged == 0 {
				t.Errorf("%+v", s)
			}
			far.Close()
		}
	})
}

// A device server that has no connection left accepts another and closes it.
func TestServerThatHangsUpAtOnceIsLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		dials := 0
		l := New(Options{Log: slog.New(slog.NewTextHandler(&log, nil)), Dial: func(context.Context) (modbus.Conn, error) {
			dials++
			near, far := net.Pipe()
			far.Close()
			return near, nil
		}})
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		l.Run(ctx)
		if lines := bytes.Count(log.Bytes(), []byte("\n")); dials > 200 || lines != 1 || l.Stats().Connected {
			t.Errorf("in an hour: %d connections, %d log lines; connected: %v", dials, lines, l.Stats().Connected)
		}
	})
}

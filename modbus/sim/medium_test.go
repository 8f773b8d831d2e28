package sim

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"skyhaul/modbus"
)

// plant is a line whose faults a survey has to tell.
type plant struct {
	t     *testing.T
	line  *Line
	cable *Cable
}

// inPlant serves a line in a bubble while f runs.
func inPlant(t *testing.T, o Options, f func(t *testing.T, p plant)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		p := plant{t: t, cable: new(Cable)}
		o.Open = p.cable.Open
		p.line = NewLine(o)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- p.line.Run(ctx) }()
		synctest.Wait()
		f(t, p)
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// hears asks unit 1 with settings of the client's and returns the bytes that
// come back within a second.
func (p plant) hears(client string) []byte {
	p.t.Helper()
	c, err := p.cable.DialAs(p.t.Context(), settings(p.t, client))
	if err != nil {
		p.t.Fatal(err)
	}
	defer c.Close()
	c.Write([]byte{1, 3, 0, 0, 0, 10, 0xC5, 0xCD})
	return p.listen(c, time.Second)
}

func (p plant) listen(c modbus.Conn, d time.Duration) (got []byte) {
	c.SetReadDeadline(time.Now().Add(d))
	buf := make([]byte, 64)
	for {
		n, err := c.Read(buf)
		if err != nil {
			return got
		}
		got = append(got, buf[:n]...)
	}
}

// asks reads 10 registers of a unit as a client of some settings.
func (p plant) asks(client string, unit modbus.UnitID) error {
	p.t.Helper()
	s := settings(p.t, client)
	c, err := p.cable.DialAs(p.t.Context(), s)
	if err != nil {
		p.t.Fatal(err)
	}
	defer c.Close()
	_, err = read(p.t, modbus.NewClient(c, modbus.RTU, s.Timing()), unit, 10)
	return err
}

func plantOf(s string, units modbus.Handler) Options {
	settings, err := ParseLineSettings(s)
	if err != nil {
		panic(err)
	}
	return Options{Settings: settings, Units: units, Turnaround: 2 * time.Millisecond}
}

func three() modbus.Units { return modbus.Units{1: unitOf(), 3: unitOf(), 7: unitOf()} }

func TestUnitsAnswerAtTheirSettingsAlone(t *testing.T) {
	inPlant(t, plantOf("19200-8E1", three()), func(t *testing.T, p plant) {
		for _, unit := range []modbus.UnitID{1, 3, 7} {
			if err := p.asks("19200-8E1", unit); err != nil {
				t.Errorf("unit %d: %v", unit, err)
			}
		}
		if err := p.asks("19200-8E1", 2); !errors.Is(err, modbus.ErrTimeout) {
			t.Errorf("a unit that isn't there: %v", err)
		}
		for _, s := range []string{"9600-8E1", "38400-8E1", "19200-8N1", "19200-8O1", "1200-8N1", "115200-8N1"} {
			if got := p.hears(s); len(got) > 0 {
				t.Errorf("%s: % X; units that don't understand are silent", s, got)
			}
		}
		if got := p.line.Counters().Requests; got != 4 {
			t.Errorf("%d requests were understood, want 4", got)
		}
	})
}

func TestWriteOfNothingIsNothing(t *testing.T) {
	inPlant(t, plantOf("19200-8E1", three()), func(t *testing.T, p plant) {
		c, err := p.cable.DialAs(t.Context(), settings(t, "9600-8N1"))
		if err != nil {
			t.Fatal(err)
		}
		c.Write(nil)
		if got := p.listen(c, time.Second); len(got) > 0 {
			t.Errorf("heard % X", got)
		}
		if err := p.asks("19200-8E1", 1); err != nil {
			t.Error(err)
		}
	})
}

func TestLenientUnitsAreHeardGarbledAtOtherSettings(t *testing.T) {
	o := plantOf("19200-8E1", three())
	o.Lenient = true
	inPlant(t, o, func(t *testing.T, p plant) {
		right := p.hears("19200-8E1")
		for _, s := range []string{"9600-8E1", "38400-8E1", "19200-8N1", "19200-8O1", "57600-8N1"} {
			before := p.line.Counters().Received
			got := p.hears(s)
			if len(got) == 0 || slices.Equal(got, right) && s != "19200-8N1" {
				t.Errorf("%s: heard % X", s, got)
			}
			if p.line.Counters().Received == before {
				t.Errorf("%s: the client's receiver found nothing wrong", s)
			}
		}
	})
}

func TestSwappedWiresGiveBytesButNoFrame(t *testing.T) {
	for _, lenient := range []bool{false, true} {
		o := plantOf("9600-8N1", three())
		o.Lenient = lenient
		inPlant(t, o, func(t *testing.T, p plant) {
			p.line.SetFaults(Faults{Swapped: true})
			for _, s := range []string{"9600-8N1", "19200-8E1", "1200-8N1"} {
				if got := p.hears(s); len(got) == 0 || got[0] != 0 {
					t.Errorf("%s, lenient %v: heard % X, want a break and more", s, lenient, got)
				}
				if err := p.asks(s, 1); err == nil {
					t.Errorf("%s, lenient %v: understood", s, lenient)
				}
			}
			p.line.SetFaults(Faults{})
			if err := p.asks("9600-8N1", 1); err != nil {
				t.Errorf("after the wires were put right: %v", err)
			}
		})
	}
}

func TestLineWithoutTerminationCorruptsManyBytes(t *testing.T) {
	inPlant(t, plantOf("115200-8N1", three()), func(t *testing.T, p plant) {
		p.line.SetFaults(Faults{Corrupt: 0.1})
		damaged, silent := 0, 0
		for range 100 {
			switch err := p.asks("115200-8N1", 1); {
			case errors.Is(err, modbus.ErrDamaged):
				damaged++
			case errors.Is(err, modbus.ErrTimeout):
				silent++
			}
		}
		// 0.9^8 of the requests arrive, 0.9^25 of the answers.
		if damaged < 20 || silent < 35 || damaged+silent > 99 {
			t.Errorf("%d answers damaged, %d requests lost of 100", damaged, silent)
		}
	})
}

func TestTwoUnitsWithOneIDAnswerOverEachOther(t *testing.T) {
	other := new(modbus.Bank)
	for addr := range uint16(20) {
		other.Set(modbus.HoldingRegisters, addr, 0xA5A5)
	}
	o := plantOf("9600-8N1", three())
	o.Twins = modbus.Units{3: other, 9: other}
	inPlant(t, o, func(t *testing.T, p plant) {
		if err := p.asks("9600-8N1", 1); err != nil {
			t.Errorf("unit 1 is alone: %v", err)
		}
		for range 5 {
			if err := p.asks("9600-8N1", 3); !errors.Is(err, modbus.ErrDamaged) {
				t.Errorf("unit 3 twice: got %v, want %v", err, modbus.ErrDamaged)
			}
		}
		if got := p.line.Counters().Collisions; got < 5 {
			t.Errorf("%d collisions, want 5 at least", got)
		}
		s := settings(t, "9600-8N1")
		c, _ := p.cable.DialAs(t.Context(), s)
		req, _ := modbus.ReadRequest(modbus.FuncReadHoldingRegisters, 0, 1)
		a, err := modbus.NewClient(c, modbus.RTU, s.Timing()).Do(t.Context(), 9, req, time.Second)
		if v, _ := modbus.Registers(a.PDU); err != nil || v[0] != 0xA5A5 {
			t.Errorf("unit 9: %v, %v", v, err)
		}
	})
}

func TestAnotherClientIsOverheard(t *testing.T) {
	req, err := modbus.ReadRequest(modbus.FuncReadHoldingRegisters, 5, 2)
	if err != nil {
		t.Fatal(err)
	}
	o := plantOf("9600-8N1", three())
	o.Others = []Poller{{Unit: 7, Request: req, Every: 200 * time.Millisecond}}
	inPlant(t, o, func(t *testing.T, p plant) {
		want := slices.Concat(
			frame(modbus.RTU, 7, modbus.PDU{3, 0, 5, 0, 2}),
			frame(modbus.RTU, 7, modbus.PDU{3, 4, 0, 5, 0, 6}))
		c, _ := p.cable.DialAs(t.Context(), settings(t, "9600-8N1"))
		if got := p.listen(c, 350*time.Millisecond); !slices.Equal(got, want) {
			t.Errorf("overheard % X, want % X", got, want)
		}
		wrong, _ := p.cable.DialAs(t.Context(), settings(t, "19200-8N1"))
		if got := p.listen(wrong, 200*time.Millisecond); len(got) == 0 || slices.Equal(got, want) {
			t.Errorf("overheard % X at another speed", got)
		}
		// Neither waits for an answer that it doesn't await itself.
		p.line.SetUnit(1, Unit{Turnaround: 40 * time.Millisecond})
		good := 0
		for i := range 50 {
			if p.asks("9600-8N1", 1) == nil {
				good++
			}
			time.Sleep(time.Duration(i) * 7 * time.Millisecond)
		}
		if got := p.line.Counters(); good < 25 || good > 48 || got.Collisions == 0 {
			t.Errorf("%d of 50 own requests were answered, %+v", good, got)
		}
	})
}

// talk writes requests at some times and returns what the client hears until
// half a second has passed.
func (p plant) talk(requests map[time.Duration][]byte) []byte {
	p.t.Helper()
	c, err := p.cable.Dial(p.t.Context())
	if err != nil {
		p.t.Fatal(err)
	}
	for at, b := range requests {
		time.AfterFunc(at, func() { c.Write(b) })
	}
	return p.listen(c, 500*time.Millisecond)
}

func invertedFrom(i int, b []byte) []byte {
	b = slices.Clone(b)
	invert(b[i:])
	return b
}

func TestWhoTalksAtOnceIsLost(t *testing.T) {
	const ms = time.Millisecond
	ask := func(unit byte) []byte { return frame(modbus.RTU, modbus.UnitID(unit), modbus.PDU{3, 0, 5, 0, 2}) }
	answer := func(unit byte) []byte {
		return frame(modbus.RTU, modbus.UnitID(unit), modbus.PDU{3, 4, 0, 5, 0, 6})
	}
	both := func(unit byte) []byte { return slices.Concat(ask(unit), answer(unit)) }
	tests := []struct {
		name       string
		other      time.Duration // when another client asks unit 7
		own        map[time.Duration][]byte
		heard      []byte
		collisions uint64
		requests   uint64
	}{
		{"nobody", 400 * ms, map[time.Duration][]byte{100 * ms: ask(1)}, slices.Concat(answer(1), both(7)), 0, 2},
		{"the other waits while one's own request is on the line", 102 * ms, map[time.Duration][]byte{100 * ms: ask(9)}, both(7), 0, 2},
		{"the other asks when an answer is due", 112*ms + ms/2, map[time.Duration][]byte{100 * ms: ask(1)}, invertedFrom(1, ask(7)), 1, 1},
		{"one asks while the other does", 97 * ms, map[time.Duration][]byte{100 * ms: ask(1)}, invertedFrom(2, ask(7)), 1, 0},
		{"one asks again when the answer is due", 400 * ms, map[time.Duration][]byte{100 * ms: ask(1), 110 * ms: ask(3)}, slices.Concat(invertedFrom(0, answer(1)), both(7)), 1, 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := plantOf("9600-8N1", three()) // a request takes 8.3 ms, 3.5 characters 3.6 ms, then 2 ms of turnaround
			o.Others = []Poller{{Unit: 7, Request: modbus.PDU{3, 0, 5, 0, 2}, Every: tt.other}}
			inPlant(t, o, func(t *testing.T, p plant) {
				after := max(112*time.Millisecond+ms/2, tt.other) + 60*ms // when all is over, and the other silent
				counted := make(chan Counters, 1)
				time.AfterFunc(after, func() { counted <- p.line.Counters() })
				got, counters := p.talk(tt.own), <-counted
				if counters.Collisions != tt.collisions || counters.Requests != tt.requests {
					t.Errorf("%+v, want %d collisions, %d requests", counters, tt.collisions, tt.requests)
				}
				if len(got) > len(tt.heard) { // the other goes on asking
					got = got[:len(tt.heard)]
				}
				if !slices.Equal(got, tt.heard) {
					t.Errorf("heard % X, want % X", got, tt.heard)
				}
			})
		})
	}
}

func TestEchoNeedsNoAnswer(t *testing.T) {
	inPlant(t, Options{Units: three()}, func(t *testing.T, p plant) {
		p.line.SetFaults(Faults{Echo: true})
		request := frame(modbus.RTU, 9, modbus.PDU{3, 0, 0, 0, 1})
		if got := p.talk(map[time.Duration][]byte{0: request}); !slices.Equal(got, request) {
			t.Errorf("heard % X, want % X", got, request)
		}
	})
}

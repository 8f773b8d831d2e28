package gateway

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"skyhaul/modbus"
	"skyhaul/modbus/bus"
	"skyhaul/modbus/listen"
	"skyhaul/modbus/sim"
)

var line115200 = modbus.LineTiming{Bit: time.Second / 115200, CharBits: 10}

// place is a gateway with one door before a simulated line.
type place struct {
	*Door
	gateway *Gateway
	line    *bus.Line
	sim     *sim.Line
	addr    string
}

// lets puts a gateway with a door before the line.
func (p *place) lets(o Options, d DoorOptions) {
	if o.Line == nil {
		o.Line = p.line
	}
	d.Framing = cmp.Or(d.Framing, modbus.TCP)
	p.gateway = New(o)
	p.Door = p.gateway.Door(d)
}

// open runs a line with units and a gateway on the loopback until the test ends.
func open(t testing.TB, units modbus.Handler, timing modbus.LineTiming, o Options, d DoorOptions) place {
	t.Helper()
	var cable sim.Cable
	plugged := make(chan struct{})
	plug := sync.OnceFunc(func() { close(plugged) })
	p := place{
		sim: sim.NewLine(sim.Options{Units: units, Timing: timing, Turnaround: 2 * time.Millisecond, Open: func() (modbus.Conn, error) {
			defer plug()
			return cable.Open()
		}}),
		line: bus.New(bus.Options{Timing: timing, Timeout: 100 * time.Millisecond, Dial: func(ctx context.Context) (modbus.Conn, error) {
			<-plugged
			return cable.Dial(ctx)
		}}),
	}
	p.lets(o, d)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p.addr = ln.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { p.sim.Run(ctx) })
	running.Go(func() { p.line.Run(ctx) })
	running.Go(func() {
		if err := p.Serve(ctx, ln); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		cancel()
		running.Wait()
	})
	return p
}

// dial connects to the gateway.
func (p place) dial(t testing.TB) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", p.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// client is a client of Modbus TCP that may ask before it is answered.
type tcpClient struct {
	net.Conn
	t testing.TB
}

func (c tcpClient) send(transaction uint16, unit modbus.UnitID, req modbus.PDU) {
	c.t.Helper()
	b := binary.BigEndian.AppendUint16(nil, transaction)
	b = append(b, 0, 0)
	b = binary.BigEndian.AppendUint16(b, uint16(len(req)+1))
	if _, err := c.Write(append(append(b, byte(unit)), req...)); err != nil {
		c.t.Fatal(err)
	}
}

func (c tcpClient) receive() (transaction uint16, unit modbus.UnitID, resp modbus.PDU) {
	c.t.Helper()
	var header [7]byte
	if _, err := io.ReadFull(c, header[:]); err != nil {
		c.t.Fatal(err)
	}
	resp = make(modbus.PDU, binary.BigEndian.Uint16(header[4:])-1)
	if _, err := io.ReadFull(c, resp); err != nil {
		c.t.Fatal(err)
	}
	return binary.BigEndian.Uint16(header[:]), modbus.UnitID(header[6]), resp
}

func (c tcpClient) ask(unit modbus.UnitID, req modbus.PDU) modbus.PDU {
	c.t.Helper()
	c.send(7, unit, req)
	transaction, from, resp := c.receive()
	if transaction != 7 || from != unit {
		c.t.Fatalf("answer of unit %d to transaction %d", from, transaction)
	}
	return resp
}

func (p place) client(t testing.TB) tcpClient { return tcpClient{p.dial(t), t} }

func read(t testing.TB, fc modbus.FunctionCode, addr uint16, quantity int) modbus.PDU {
	t.Helper()
	req, err := modbus.ReadRequest(fc, addr, quantity)
	if err != nil {
		t.Fatal(err)
	}
	return req
}

// numbered returns a unit whose holding registers hold their numbers.
func numbered() *modbus.Bank {
	var b modbus.Bank
	for n := range uint16(300) {
		b.Set(modbus.HoldingRegisters, n, n)
		b.Set(modbus.Coils, n, n&1)
	}
	return &b
}

func registers(t testing.TB, resp modbus.PDU) []uint16 {
	t.Helper()
	v, err := modbus.Registers(resp)
	if err != nil {
		t.Fatalf("% X: %v", []byte(resp), err)
	}
	return v
}

func TestReadsComeFromTheLine(t *testing.T) {
	p := open(t, modbus.Units{5: numbered()}, line115200, Options{}, DoorOptions{})
	got := registers(t, p.client(t).ask(5, read(t, 3, 100, 3)))
	if want := []uint16{100, 101, 102}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestDeclinedAtOnce(t *testing.T) {
	p := open(t, modbus.Units{5: numbered()}, line115200, Options{}, DoorOptions{
		Units: map[modbus.UnitID]modbus.UnitID{5: 5, 6: 6, 255: 5},
	})
	c := p.client(t)
	tests := []struct {
		name string
		unit modbus.UnitID
		req  modbus.PDU
		want modbus.Exception
	}{
		{"unit that isn't there", 9, read(t, 3, 0, 1), modbus.GatewayPath},
		{"broadcast", 0, modbus.WriteRegister(0, 1), modbus.GatewayPath},
		{"write", 5, modbus.WriteRegister(0, 1), modbus.IllegalFunction},
		{"restart of communications", 5, modbus.PDU{8, 0, 1, 0, 0}, modbus.IllegalFunction},
		{"function unknown here", 5, modbus.PDU{100, 1, 2}, modbus.IllegalFunction},
		{"too many registers", 5, modbus.PDU{3, 0, 0, 0, 126}, modbus.IllegalDataValue},
		{"past the last register", 5, modbus.PDU{3, 0xFF, 0xFF, 0, 2}, modbus.IllegalDataAddress},
		{"cut short", 5, modbus.PDU{3, 0}, modbus.IllegalDataValue},
		{"what the unit declines", 5, read(t, 3, 1000, 1), modbus.IllegalDataAddress},
	}
	for _, tt := range tests {
		if got := c.ask(tt.unit, tt.req); !slices.Equal(got, tt.want.Answer(tt.req)) {
			t.Errorf("%s: got % X, want %v", tt.name, []byte(got), tt.want)
		}
	}
	if got := registers(t, c.ask(255, read(t, 3, 7, 1))); got[0] != 7 {
		t.Errorf("unit id 255: %v", got)
	}
}

func TestUnitThatIsDownCostsNoTime(t *testing.T) {
	p := open(t, modbus.Units{5: numbered()}, line115200, Options{}, DoorOptions{})
	c, req := p.client(t), read(t, 3, 0, 1)
	missing := modbus.GatewayTarget.Answer(req)
	for range 3 {
		if got := c.ask(9, req); !slices.Equal(got, missing) {
			t.Fatalf("got % X", []byte(got))
		}
	}
	var worst time.Duration
	for range 100 {
		began := time.Now()
		if got := c.ask(9, req); !slices.Equal(got, missing) {
			t.Errorf("got % X", []byte(got))
		}
		worst = max(worst, time.Since(began))
	}
	t.Logf("exception 0B of a unit that is down: at most %v of 100 (mbusd: 2126 ms)", worst)
}

func TestLineThatIsNotConnected(t *testing.T) {
	line := bus.New(bus.Options{Dial: func(context.Context) (modbus.Conn, error) { return nil, errors.New("no such port") }})
	var running sync.WaitGroup
	defer running.Wait()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	running.Go(func() { line.Run(ctx) })
	p := open(t, modbus.Units{}, line115200, Options{Line: line}, DoorOptions{})
	c, req := p.client(t), read(t, 3, 0, 1)
	if got := c.ask(1, req); !slices.Equal(got, modbus.GatewayPath.Answer(req)) {
		t.Errorf("got % X", []byte(got))
	}
}

// slow is a line whose answers wait until they are let go.
type slow struct {
	asked chan modbus.PDU
	let   chan struct{}
	n     atomic.Int32
}

func (l *slow) Do(ctx context.Context, _ bus.Class, _ modbus.UnitID, req modbus.PDU) (modbus.Answer, error) {
	l.n.Add(1)
	l.asked <- req
	select {
	case <-l.let:
	case <-ctx.Done():
		return modbus.Answer{}, ctx.Err()
	}
	return modbus.Answer{PDU: modbus.PDU{3, 2, req[1], req[2]}, Sent: time.Now()}, nil
}

func TestRequestsBeyondTheQueueAreDeclined(t *testing.T) {
	line := &slow{asked: make(chan modbus.PDU, 100), let: make(chan struct{})}
	p := open(t, modbus.Units{}, line115200, Options{Line: line}, DoorOptions{})
	c := p.client(t)
	for i := range uint16(10) {
		c.send(i, 1, read(t, 3, i, 1))
	}
	for range 2 { // the two that are too many are answered first
		id, _, resp := c.receive()
		if want := (modbus.PDU{0x83, 6}); id < 8 || !slices.Equal(resp, want) {
			t.Errorf("transaction %d: % X", id, []byte(resp))
		}
	}
	close(line.let)
	seen := map[uint16]bool{}
	for range 8 {
		id, _, resp := c.receive()
		seen[id] = true
		if want := (modbus.PDU{3, 2, 0, byte(id)}); !slices.Equal(resp, want) {
			t.Errorf("transaction %d: % X", id, []byte(resp))
		}
	}
	if len(seen) != 8 || seen[8] || seen[9] {
		t.Errorf("answered: %v", seen)
	}
	if s := p.Stats(); s.Requests != 10 || s.Busy != 2 || s.Declined != 2 || s.Exchanges != 8 {
		t.Errorf("%+v", s)
	}
}

func TestSameReadsShareAnExchange(t *testing.T) {
	line := &slow{asked: make(chan modbus.PDU, 100), let: make(chan struct{})}
	p := open(t, modbus.Units{}, line115200, Options{Line: line}, DoorOptions{})
	a, b := p.client(t), p.client(t)
	for i := range uint16(4) {
		a.send(i, 1, read(t, 3, 7, 1))
		b.send(i, 1, read(t, 3, 7, 1))
	}
	for p.Stats().Requests < 8 {
		time.Sleep(time.Millisecond)
	}
	<-line.asked
	close(line.let)
	for range 4 {
		a.receive()
		b.receive()
	}
	if n := line.n.Load(); n != 1 {
		t.Errorf("%d exchanges", n)
	}
}

func TestFreshAnswersNeedNoExchange(t *testing.T) {
	unit := numbered()
	memory := listen.NewMemory(time.Minute, nil)
	p := open(t, modbus.Units{5: unit}, line115200, Options{Memory: memory}, DoorOptions{
		MaxAge: time.Minute, Writes: []Write{{Unit: 5, First: 10, Last: 20}},
	})
	if _, err := p.line.Do(t.Context(), bus.Poll, 5, read(t, 3, 0, 50)); err != nil {
		t.Fatal(err)
	}
	c := p.client(t)
	if got := registers(t, c.ask(5, read(t, 3, 10, 2))); !slices.Equal(got, []uint16{10, 11}) {
		t.Errorf("got %v", got)
	}
	if s := p.Stats(); s.Exchanges != 0 || s.Remembered != 1 {
		t.Errorf("%+v", s)
	}
	write := modbus.WriteRegister(11, 99)
	if got := c.ask(5, write); !slices.Equal(got, write) {
		t.Fatalf("write: % X", []byte(got))
	}
	if got := registers(t, c.ask(5, read(t, 3, 10, 2))); !slices.Equal(got, []uint16{10, 99}) {
		t.Errorf("after a write: %v", got)
	}
	if s := p.Stats(); s.Exchanges != 2 || s.Writes != 1 || s.Remembered != 1 {
		t.Errorf("%+v", s)
	}
}

func TestOnlyWhatIsOnTheListIsWritten(t *testing.T) {
	unit := numbered()
	var mu sync.Mutex
	var events []Event
	p := open(t, modbus.Units{5: unit}, line115200, Options{
		Audit: func(e Event) {
			mu.Lock()
			defer mu.Unlock()
			events = append(events, e)
		},
	}, DoorOptions{
		Writes: []Write{
			{Unit: 5, First: 10, Last: 20},
			{Unit: 5, Functions: []modbus.FunctionCode{modbus.FuncMaskRegister}, First: 30, Last: 30},
			{Unit: 5, First: 100, Last: 110, Roles: []string{"operator"}},
			{Unit: 5, First: 120, Last: 130, Roles: []string{""}}, // nobody has it
		},
	})
	c := p.client(t)
	two, err := modbus.WriteRegisters(19, []uint16{1, 2})
	if err != nil {
		t.Fatal(err)
	}
	three, err := modbus.WriteRegisters(19, []uint16{1, 2, 3})
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		unit modbus.UnitID
		req  modbus.PDU
		ok   bool
	}{
		{5, modbus.WriteRegister(10, 1), true},
		{5, modbus.WriteRegister(9, 1), false},
		{5, modbus.WriteCoil(20, true), true},
		{5, modbus.WriteCoil(21, true), false},
		{5, two, true},
		{5, three, false},
		{6, modbus.WriteRegister(10, 1), false},
		{5, modbus.MaskRegister(30, 1, 2), true},
		{5, modbus.MaskRegister(15, 1, 2), false},
		{5, modbus.WriteRegister(30, 1), false},
		{5, modbus.WriteRegister(100, 1), false},
		{5, modbus.WriteRegister(120, 1), false},
	}
	written := 0
	for _, tt := range tests {
		resp := c.ask(tt.unit, tt.req)
		if refused := slices.Equal(resp, modbus.IllegalFunction.Answer(tt.req)); refused == tt.ok {
			t.Errorf("unit %d % X: % X", tt.unit, []byte(tt.req), []byte(resp))
		}
		if tt.ok {
			written++
		}
	}
	c.Close()
	for len(p.Stats().Clients) > 0 {
		time.Sleep(time.Millisecond)
	}
	mu.Lock()
	defer mu.Unlock()
	told, refused := 0, 0
	for _, e := range events {
		switch {
		case e.Refused:
			refused += e.Times
		case e.Err == nil && e.Unit == 5 && e.Client != "":
			told++
		}
	}
	if told != written || refused != len(tests)-written {
		t.Errorf("%d writes and %d refusals told, want %d and %d", told, refused, written, len(tests)-written)
	}
	if s := p.Stats(); s.Refused != uint64(refused) || s.Writes != uint64(written) {
		t.Errorf("%+v", s)
	}
}

func TestRefusalsAreToldOnceAMinute(t *testing.T) {
	var told []Event
	g := New(Options{Line: &slow{}, Audit: func(e Event) { told = append(told, e) }})
	c := &client{door: g.Door(DoorOptions{}), addr: "here"}
	for range 1000 {
		c.refusals.refused(c, 1, modbus.WriteRegister(1, 2))
	}
	c.refusals.end(c)
	if len(told) != 2 || told[0].Times != 1 || told[1].Times != 999 {
		t.Errorf("%+v", told)
	}
}

func TestRTUOverTCP(t *testing.T) {
	p := open(t, modbus.Units{5: numbered()}, line115200, Options{}, DoorOptions{Framing: modbus.RTUOverTCP})
	client := modbus.NewClient(p.dial(t), modbus.RTUOverTCP, modbus.LineTiming{})
	for range 3 {
		a, err := client.Do(t.Context(), 5, read(t, 3, 200, 2), time.Second)
		if err != nil {
			t.Fatal(err)
		}
		if got := registers(t, a.PDU); !slices.Equal(got, []uint16{200, 201}) {
			t.Errorf("got %v", got)
		}
	}
	if _, err := client.Do(t.Context(), 5, modbus.WriteRegister(1, 2), time.Second); !errors.Is(err, modbus.IllegalFunction) {
		t.Errorf("a write: %v", err)
	}
}

func TestBeforeALineThatIsOnlyListenedTo(t *testing.T) {
	l := listen.New(listen.Options{MaxAge: time.Millisecond, Dial: func(context.Context) (modbus.Conn, error) {
		near, _ := net.Pipe()
		return near, nil
	}})
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { l.Run(ctx) })
	defer running.Wait()
	defer cancel()
	p := open(t, modbus.Units{}, line115200, Options{Line: l}, DoorOptions{Writes: []Write{{Unit: 1, Last: 9}}})
	c, req := p.client(t), read(t, 3, 0, 1)
	if got := c.ask(1, req); !slices.Equal(got, modbus.GatewayTarget.Answer(req)) {
		t.Errorf("got % X", []byte(got))
	}
	if got := c.ask(1, modbus.WriteRegister(0, 1)); !slices.Equal(got, modbus.PDU{0x86, 1}) {
		t.Errorf("a write: % X", []byte(got))
	}
}

// BenchmarkRead is what a read of 10 registers takes through the gateway, beside
// the same asked of the line itself. The line takes no time.
func BenchmarkRead(b *testing.B) {
	p := open(b, modbus.Units{5: numbered()}, modbus.LineTiming{}, Options{}, DoorOptions{})
	req := read(b, 3, 0, 10)
	c := p.client(b)
	c.ask(5, req)                         // the line listens for a while before its first request
	b.Run("gateway", func(b *testing.B) { // first, for the line alone looks like an owner that polls
		for b.Loop() {
			c.ask(5, req)
		}
	})
	b.Run("line", func(b *testing.B) {
		for b.Loop() {
			if _, err := p.line.Do(b.Context(), bus.Poll, 5, req); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// What is written through one door none other answers as it was.
func TestDoorsShareAMemory(t *testing.T) {
	p := open(t, modbus.Units{1: numbered()}, line115200, Options{Memory: listen.NewMemory(time.Hour, nil)},
		DoorOptions{MaxAge: time.Hour, Writes: []Write{{Unit: 1, Last: 9}}})
	l := newPipes()
	other := p.gateway.Door(DoorOptions{Framing: modbus.TCP, MaxAge: time.Hour})
	never := p.gateway.Door(DoorOptions{Framing: modbus.TCP})
	k := newPipes()
	ctx, cancel := context.WithCancel(t.Context())
	var serving sync.WaitGroup
	defer serving.Wait()
	defer cancel()
	serving.Go(func() { other.Serve(ctx, l) })
	serving.Go(func() { never.Serve(ctx, k) })
	a, b, c := p.client(t), tcpClient{l.dial(), t}, tcpClient{k.dial(), t}
	req := read(t, 3, 5, 1)
	for _, want := range []uint16{5, 1005} {
		a.ask(1, modbus.WriteRegister(5, want))
		for range 2 {
			if got := registers(t, b.ask(1, req)); got[0] != want {
				t.Errorf("got %d, %d was written through the other door", got[0], want)
			}
			registers(t, c.ask(1, req))
		}
		if got := b.ask(1, modbus.WriteRegister(5, 7)); !slices.Equal(got, modbus.PDU{0x86, 1}) {
			t.Errorf("what only one door allows was done by the other: % X", []byte(got))
		}
	}
	if s := other.Stats(); s.Requests != 6 || s.Remembered != 2 || s.Exchanges != 2 || s.Refused != 2 {
		t.Errorf("a door that answers from memory: %+v", s)
	}
	if s := never.Stats(); s.Remembered != 0 || s.Exchanges != 4 {
		t.Errorf("a door that doesn't: %+v", s)
	}
	if s := p.Stats(); s.Writes != 2 || s.Requests != 2 {
		t.Errorf("the door of the writes: %+v", s)
	}
}

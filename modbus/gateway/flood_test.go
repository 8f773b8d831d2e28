package gateway

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"skyhaul/modbus"
	"skyhaul/modbus/bus"
	"skyhaul/modbus/listen"
	"skyhaul/modbus/sim"
)

// pipes is a listener without a network, for tests of time.
type pipes struct {
	near chan net.Conn
	once sync.Once
	gone chan struct{}
}

func newPipes() *pipes { return &pipes{near: make(chan net.Conn), gone: make(chan struct{})} }

func (l *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-l.near:
		return c, nil
	case <-l.gone:
		return nil, net.ErrClosed
	}
}

func (l *pipes) Close() error {
	l.once.Do(func() { close(l.gone) })
	return nil
}

func (l *pipes) Addr() net.Addr { return &net.TCPAddr{} }

func (l *pipes) dial() net.Conn {
	near, far := net.Pipe()
	l.near <- far
	return near
}

// inBubble runs a line, a gateway and what a test does in a bubble of time.
func inBubble(t *testing.T, units modbus.Handler, timing modbus.LineTiming, o Options, d DoorOptions, test func(t *testing.T, p place, l *pipes)) {
	synctest.Test(t, func(t *testing.T) {
		var cable sim.Cable
		p := place{
			sim:  sim.NewLine(sim.Options{Units: units, Timing: timing, Turnaround: 10 * time.Millisecond, Open: cable.Open}),
			line: bus.New(bus.Options{Timing: timing, Dial: cable.Dial}),
		}
		p.lets(o, d)
		l := newPipes()
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { p.sim.Run(ctx) })
		synctest.Wait()
		running.Go(func() { p.line.Run(ctx) })
		running.Go(func() { p.Serve(ctx, l) })
		defer running.Wait()
		defer cancel()
		test(t, p, l)
	})
}

// flood asks as much as a gateway takes, until the connection ends: blocks of the
// greatest length, of other addresses each time. It counts the answers.
func flood(conn net.Conn, unit modbus.UnitID, answers *atomic.Int64) {
	next := make(chan uint16, 2*maxQueued) // transactions
	for i := range uint16(maxQueued) {
		next <- i
	}
	go func() {
		for id := range next {
			conn.Write([]byte{byte(id >> 8), byte(id), 0, 0, 0, 6, byte(unit), 3, 0, byte(id % 100), 0, 125})
		}
	}()
	go func() {
		defer close(next)
		for {
			var header [9]byte
			if _, err := io.ReadFull(conn, header[:]); err != nil {
				return
			}
			if header[7] == 3 {
				answers.Add(1)
				io.CopyN(io.Discard, conn, int64(header[8]))
			}
			next <- binary.BigEndian.Uint16(header[:]) + maxQueued
		}
	}()
}

func TestFloodLeavesTheOwnerItsRate(t *testing.T) {
	const timed = 2 * time.Minute
	line9600 := modbus.LineTiming{Bit: time.Second / 9600, CharBits: 10}
	for _, load := range []struct {
		name   string
		blocks int // of 10 registers, 52 ms each
		every  time.Duration
	}{
		{"owner polls half the time", 9, time.Second},
		{"owner polls two thirds of the time", 13, time.Second},
		{"owner polls without a pause", 10, 0},
	} {
		passes := func(t *testing.T, clients int) (n int, answered int64) {
			var answers atomic.Int64
			inBubble(t, modbus.Units{1: numbered(), 2: numbered()}, line9600, Options{}, DoorOptions{}, func(t *testing.T, p place, l *pipes) {
				ctx, cancel := context.WithTimeout(t.Context(), timed)
				defer cancel()
				for range clients {
					conn := l.dial()
					defer conn.Close()
					flood(conn, 2, &answers)
				}
				for ctx.Err() == nil {
					began := time.Now()
					for i := range load.blocks {
						if _, err := p.line.Do(ctx, bus.Poll, 1, read(t, 3, uint16(10*i), 10)); err != nil && ctx.Err() == nil {
							t.Error(err)
						}
					}
					n++
					// A pass that takes too long leaves out places of the grid.
					if load.every > 0 {
						took := time.Since(began)
						time.Sleep(load.every*(took/load.every+1) - took)
					}
				}
			})
			return n, answers.Load()
		}
		t.Run(load.name, func(t *testing.T) {
			alone, _ := passes(t, 0)
			for _, clients := range []int{1, 8} {
				flooded, answers := passes(t, clients)
				t.Logf("%d clients flood: owner keeps %.1f %% of its %d passes, clients get %.2f answers/s",
					clients, 100*float64(flooded)/float64(alone), alone, float64(answers)/timed.Seconds())
				if flooded*100 < alone*95 {
					t.Errorf("owner made %d passes of %d", flooded, alone)
				}
				if answers == 0 {
					t.Error("clients got nothing")
				}
			}
		})
	}
}

func TestFloodLeavesOtherClientsTheirTurn(t *testing.T) {
	inBubble(t, modbus.Units{1: numbered(), 2: numbered()}, line115200, Options{}, DoorOptions{}, func(t *testing.T, p place, l *pipes) {
		conn, greedy := l.dial(), new(atomic.Int64)
		defer conn.Close()
		flood(conn, 2, greedy)
		modest := tcpClient{l.dial(), t}
		const n = 1000
		began := time.Now()
		for range n {
			registers(t, modest.ask(1, read(t, 3, 0, 10)))
		}
		t.Logf("a client that asks one at a time gets %d answers in %v, one that floods %d", n, time.Since(began), greedy.Load())
		if greedy.Load() > n*11/10 {
			t.Errorf("the greedy client got %d answers to the other's %d", greedy.Load(), n)
		}
	})
}

// The value that a client is given was on the unit within the greatest age,
// whatever others read and write.
func TestNoAnswerIsOlderThanItMayBe(t *testing.T) {
	const maxAge = 2 * time.Second
	var unit modbus.Bank
	unit.Set(modbus.HoldingRegisters, 0, make([]uint16, 100)...)
	inBubble(t, modbus.Units{1: &unit}, line115200, Options{Memory: listen.NewMemory(time.Hour, nil)}, DoorOptions{MaxAge: maxAge}, func(t *testing.T, p place, l *pipes) {
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		defer running.Wait()
		defer cancel()
		start := time.Now()
		running.Go(func() { // every register of the unit tells when it was read, in milliseconds
			for ctx.Err() == nil {
				now := uint16(time.Since(start) / time.Millisecond)
				unit.Set(modbus.HoldingRegisters, 0, slices.Repeat([]uint16{now}, 100)...)
				time.Sleep(time.Millisecond)
			}
		})
		running.Go(func() { // the owner
			for ctx.Err() == nil {
				p.line.Do(ctx, bus.Poll, 1, read(t, 3, 0, 60))
				time.Sleep(5 * time.Second)
			}
		})
		c := tcpClient{l.dial(), t}
		oldest := uint16(0)
		for i := range uint16(1000) {
			asked := uint16(time.Since(start) / time.Millisecond)
			for _, v := range registers(t, c.ask(1, read(t, 3, i%50, 2))) {
				oldest = max(oldest, asked-min(v, asked))
			}
			time.Sleep(time.Duration(i%97) * time.Millisecond)
		}
		s := p.Stats()
		t.Logf("oldest of %d answers %d ms, %d of them from memory", s.Requests, oldest, s.Remembered)
		if oldest > uint16(maxAge/time.Millisecond) || s.Remembered < 100 {
			t.Errorf("oldest %d ms, %+v", oldest, s)
		}
	})
}

func TestWritesGoAheadOfReadsAndAreKeptToTheirPartToo(t *testing.T) {
	o := DoorOptions{Writes: []Write{{Unit: 1, Last: 299}}}
	inBubble(t, modbus.Units{1: numbered(), 2: numbered()}, line115200, Options{}, o, func(t *testing.T, p place, l *pipes) {
		conn, greedy := l.dial(), new(atomic.Int64)
		defer conn.Close()
		flood(conn, 2, greedy)
		ctx, cancel := context.WithCancel(t.Context())
		var owner sync.WaitGroup
		defer owner.Wait()
		defer cancel()
		var polls atomic.Int64
		owner.Go(func() {
			for ; ctx.Err() == nil; polls.Add(1) {
				p.line.Do(ctx, bus.Poll, 1, read(t, 3, 0, 10))
			}
		})
		time.Sleep(30 * time.Second)
		operator := tcpClient{l.dial(), t}
		write := modbus.WriteRegister(0, 1)
		began := time.Now()
		operator.ask(1, write)
		if took := time.Since(began); took > 200*time.Millisecond {
			t.Errorf("a write took %v", took)
		}
		before, began := polls.Load(), time.Now()
		const n = 20
		for range n {
			operator.ask(1, write)
		}
		took, polled := time.Since(began), polls.Load()-before
		t.Logf("%d writes in %v, owner's polls in that time: %d", n, took, polled)
		if polled < 20*n {
			t.Errorf("the owner polled %d times in %v", polled, took)
		}
	})
}

// Doors have one line between them, and its owner as much of it as from one.
func TestDoorsShareTheTurns(t *testing.T) {
	inBubble(t, modbus.Units{1: numbered()}, line115200, Options{}, DoorOptions{}, func(t *testing.T, p place, _ *pipes) {
		l := newPipes()
		defer l.Close()
		go p.gateway.Door(DoorOptions{Framing: modbus.TCP}).Serve(t.Context(), l)
		c := tcpClient{l.dial(), t}
		defer c.Close()
		p.gateway.turns.mu.Lock()
		p.gateway.turns.taken = true // through the first door
		p.gateway.turns.mu.Unlock()
		if got := c.ask(1, read(t, 3, 0, 1)); string(got) != "\x83\x06" {
			t.Errorf("got % X", []byte(got))
		}
	})
}

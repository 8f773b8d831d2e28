package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"skyhaul/modbus"
	"skyhaul/modbus/bus"
)

// gone waits until the gateway ends a connection, and returns after how long.
func gone(t *testing.T, c net.Conn) time.Duration {
	t.Helper()
	began := time.Now()
	if _, err := io.Copy(io.Discard, c); err != nil && !errors.Is(err, io.ErrClosedPipe) {
		t.Error(err)
	}
	return time.Since(began)
}

func TestClientsThatAskNothingAreDisconnected(t *testing.T) {
	inBubble(t, modbus.Units{}, line115200, Options{}, DoorOptions{Idle: time.Minute}, func(t *testing.T, p place, l *pipes) {
		if took := gone(t, l.dial()); took != time.Minute {
			t.Errorf("after %v", took)
		}
	})
}

func TestFrameThatTakesTooLongEndsItsConnection(t *testing.T) {
	inBubble(t, modbus.Units{}, line115200, Options{}, DoorOptions{}, func(t *testing.T, p place, l *pipes) {
		c := l.dial()
		go func() {
			for _, b := range []byte{0, 1, 0, 0, 0, 6, 1, 3, 0} {
				c.Write([]byte{b})
				time.Sleep(time.Second)
			}
		}()
		if took := gone(t, c); took != frameTime {
			t.Errorf("after %v", took)
		}
		time.Sleep(time.Minute) // for who writes
	})
}

func TestNoiseEndsAConnection(t *testing.T) {
	inBubble(t, modbus.Units{}, line115200, Options{}, DoorOptions{}, func(t *testing.T, p place, l *pipes) {
		for _, b := range [][]byte{
			{0, 1, 0, 1, 0, 6, 1}, // another protocol
			{0, 1, 0, 0, 0, 1, 1}, // no PDU
			{0, 1, 0, 0, 1, 0, 1}, // a PDU of 255 bytes
			[]byte("GET / H"),
		} {
			c := l.dial()
			c.Write(b)
			if took := gone(t, c); took != 0 {
				t.Errorf("% X: after %v", b, took)
			}
		}
		if s := p.Stats(); s.Malformed != 4 {
			t.Errorf("%+v", s)
		}
	})
}

func TestClientsBeyondTheGreatestNumberAreTurnedAway(t *testing.T) {
	inBubble(t, modbus.Units{1: numbered()}, line115200, Options{}, DoorOptions{MaxClients: 2}, func(t *testing.T, p place, l *pipes) {
		a, b := tcpClient{l.dial(), t}, tcpClient{l.dial(), t}
		a.ask(1, read(t, 3, 0, 1))
		b.ask(1, read(t, 3, 0, 1))
		if took := gone(t, l.dial()); took != 0 {
			t.Errorf("after %v", took)
		}
		a.Close()
		time.Sleep(time.Second)
		tcpClient{l.dial(), t}.ask(1, read(t, 3, 0, 1))
		if s := p.Stats(); s.TurnedAway != 1 || s.Connections != 3 || len(s.Clients) != 2 || s.Clients[0].Requests != 1 {
			t.Errorf("%+v", s)
		}
	})
}

func TestClientThatTakesNoAnswersIsDisconnected(t *testing.T) {
	inBubble(t, modbus.Units{1: numbered()}, line115200, Options{}, DoorOptions{}, func(t *testing.T, p place, l *pipes) {
		c := tcpClient{l.dial(), t}
		c.send(1, 1, read(t, 3, 0, 1))
		time.Sleep(time.Minute)
		if s := p.Stats(); len(s.Clients) != 0 {
			t.Errorf("%+v", s)
		}
	})
}

func TestRTUClientsThatAskNothingAreDisconnected(t *testing.T) {
	inBubble(t, modbus.Units{}, line115200, Options{}, DoorOptions{Framing: modbus.RTUOverTCP, Idle: time.Minute}, func(t *testing.T, p place, l *pipes) {
		c := l.dial()
		go func() {
			for range 1000 {
				if _, err := c.Write([]byte{1, 3, 0}); err != nil {
					return
				}
				time.Sleep(100 * time.Millisecond)
			}
		}()
		if took := gone(t, c); took < time.Minute || took > time.Minute+time.Second {
			t.Errorf("after %v", took)
		}
		time.Sleep(time.Minute) // for who writes
	})
}

func TestARequestWaitsForSoLongOnly(t *testing.T) {
	inBubble(t, modbus.Units{1: numbered()}, line115200, Options{}, DoorOptions{}, func(t *testing.T, p place, l *pipes) {
		c := tcpClient{l.dial(), t}
		p.gateway.turns.mu.Lock()
		p.gateway.turns.taken = true // by somebody who never ends
		p.gateway.turns.mu.Unlock()
		began := time.Now()
		if got := c.ask(1, read(t, 3, 0, 1)); string(got) != "\x83\x06" {
			t.Errorf("got % X", []byte(got))
		}
		if took := time.Since(began); took != patience {
			t.Errorf("after %v", took)
		}
	})
}

// lazy is a line whose answers come when the client's patience has ended.
type lazy struct{ sent, ended atomic.Int32 }

func (l *lazy) Do(ctx context.Context, _ bus.Class, _ modbus.UnitID, req modbus.PDU) (modbus.Answer, error) {
	l.sent.Add(1)
	select {
	case <-ctx.Done():
		return modbus.Answer{}, ctx.Err()
	case <-time.After(2 * patience):
	}
	l.ended.Add(1)
	return modbus.Answer{PDU: req, Sent: time.Now()}, nil
}

// A write that was sent is not answered 06, which says that it may be sent again.
func TestWriteThatWasSentIsNotGivenUp(t *testing.T) {
	var line lazy
	inBubble(t, modbus.Units{}, line115200, Options{Line: &line}, DoorOptions{Writes: []Write{{Unit: 1, Last: 9}}}, func(t *testing.T, p place, l *pipes) {
		c, other := tcpClient{l.dial(), t}, tcpClient{l.dial(), t}
		req := modbus.WriteRegister(5, 7)
		c.send(1, 1, req)
		synctest.Wait()
		if got := other.ask(1, req); string(got) != "\x86\x06" || line.sent.Load() != 1 {
			t.Errorf("a write whose turn didn't come: % X, %d were sent", []byte(got), line.sent.Load())
		}
		if _, _, got := c.receive(); !slices.Equal(got, req) {
			t.Errorf("a write that was sent: % X", []byte(got))
		}
		c.send(2, 1, req)
		synctest.Wait()
		c.Close()
		time.Sleep(time.Minute)
		if s := p.Stats(); line.ended.Load() != 2 || s.Writes != 2 || s.Exchanges != 2 {
			t.Errorf("a client that went: %d of 2 writes ended; %+v", line.ended.Load(), s)
		}
		other.Close()
	})
}

func TestWriteOfUnknownOutcome(t *testing.T) {
	for err, want := range map[error]modbus.Exception{
		fmt.Errorf("%w: %w", bus.ErrNotConnected, modbus.ErrConn): modbus.GatewayTarget,
		context.Canceled:    modbus.GatewayTarget,
		modbus.ErrDamaged:   modbus.GatewayTarget,
		modbus.ErrTimeout:   modbus.GatewayTarget,
		bus.ErrNotConnected: modbus.GatewayPath, // not sent
	} {
		p := open(t, modbus.Units{}, line115200, Options{Line: failing{err, new(atomic.Int32)}}, DoorOptions{Writes: []Write{{Unit: 1, Last: 9}}})
		req := modbus.WriteRegister(5, 7)
		if got := p.client(t).ask(1, req); !slices.Equal(got, want.Answer(req)) {
			t.Errorf("%v: % X, want %v", err, []byte(got), want)
		}
	}
}

// failing is a line on which nothing works.
type failing struct {
	err error
	n   *atomic.Int32 // requests
}

func (l failing) Do(context.Context, bus.Class, modbus.UnitID, modbus.PDU) (modbus.Answer, error) {
	l.n.Add(1)
	return modbus.Answer{}, l.err
}

package gateway

import (
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"skyhaul/modbus"
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

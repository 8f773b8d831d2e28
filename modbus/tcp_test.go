package modbus_test

import (
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"skyhaul/modbus"
)

// attachTCP puts a unit that a function drives at the far end of a stream.
func attachTCP(t *testing.T, answer func(n int, frame []byte) []piece) *modbus.Client {
	near, far := net.Pipe()
	var unit sync.WaitGroup
	unit.Go(func() {
		buf := make([]byte, 300)
		for n := 1; ; n++ {
			k, err := far.Read(buf)
			if err != nil {
				return
			}
			for _, p := range answer(n, buf[:k]) {
				time.Sleep(p.after)
				far.Write(p.bytes)
			}
		}
	})
	t.Cleanup(func() {
		near.Close()
		unit.Wait()
	})
	return modbus.NewClient(near, modbus.TCP, modbus.LineTiming{})
}

// answerTCP answers a read of one register with value.
func answerTCP(frame []byte, value byte) []byte {
	return []byte{frame[0], frame[1], 0, 0, 0, 5, frame[6], frame[7], 2, 0, value}
}

func TestTransactionIDTellsLateAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var held []byte
		c := attachTCP(t, func(n int, frame []byte) []piece {
			late := held
			held = answerTCP(frame, byte(n))
			switch n {
			case 1:
				return nil
			case 2: // both in one segment
				return []piece{{0, append(late, held...)}}
			}
			return []piece{{0, held[:3]}, {100 * time.Millisecond, held[3:8]}, {100 * time.Millisecond, held[8:]}}
		})
		req := read(t, modbus.FuncReadHoldingRegisters, 100, 1)
		mustFail(t, c, req, modbus.ErrTimeout)
		for n := byte(2); n <= 4; n++ {
			if a := mustDo(t, c, req); a.PDU[3] != n {
				t.Errorf("request %d got the answer to %d", n, a.PDU[3])
			}
		}
		want := modbus.Counters{Requests: 4, OK: 3, Timeouts: 1, LateBytes: 11}
		if diff := cmp.Diff(want, c.Counters()); diff != "" {
			t.Error(diff)
		}
	})
}

func TestWrongAnswerOnTCPIsRefused(t *testing.T) {
	tests := []struct {
		name  string
		spoil func(resp []byte) []byte
		want  error
	}{
		{"transaction", func(b []byte) []byte { b[1]++; return b }, modbus.ErrTimeout},
		{"unit", func(b []byte) []byte { b[6]++; return b }, modbus.ErrDamaged},
		{"function", func(b []byte) []byte { b[7]++; return b }, modbus.ErrDamaged},
		{"count", func(b []byte) []byte { b[8]++; return b }, modbus.ErrDamaged},
		{"length", func(b []byte) []byte { b[5]++; return append(b, 0) }, modbus.ErrDamaged},
		{"exception of another function", func(b []byte) []byte { return append(b[:5], 3, b[6], 0x84, 2) }, modbus.ErrDamaged},
		{"exception", func(b []byte) []byte { return append(b[:5], 3, b[6], 0x83, 2) }, modbus.IllegalDataAddress},
		{"cut", func(b []byte) []byte { return b[:9] }, modbus.ErrTimeout},
		{"protocol", func(b []byte) []byte { b[3]++; return b }, modbus.ErrConn},
		{"no PDU", func(b []byte) []byte { b[5] = 1; return b }, modbus.ErrConn},
		{"too long", func(b []byte) []byte { b[5] = 255; return b }, modbus.ErrConn},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := attachTCP(t, func(_ int, frame []byte) []piece {
					return []piece{{0, tt.spoil(answerTCP(frame, 1))}}
				})
				mustFail(t, c, read(t, modbus.FuncReadHoldingRegisters, 100, 1), tt.want)
			})
		})
	}
}

func TestStreamOutOfStepIsNotUsedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		c := attachTCP(t, func(n int, frame []byte) []piece {
			asked = n
			return []piece{{0, []byte("no Modbus")}}
		})
		for range 3 {
			mustFail(t, c, read(t, modbus.FuncReadHoldingRegisters, 100, 1), modbus.ErrConn)
		}
		if asked != 1 {
			t.Errorf("asked %d times", asked)
		}
	})
}

func TestUnit0IsNoBroadcastOnTCP(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := attachTCP(t, func(_ int, frame []byte) []piece { return []piece{{0, answerTCP(frame, 7)}} })
		a, err := c.Do(t.Context(), 0, read(t, modbus.FuncReadHoldingRegisters, 100, 1), timeout)
		if err != nil || a.PDU[3] != 7 {
			t.Errorf("% X, %v", []byte(a.PDU), err)
		}
	})
}

package modbus_test

import (
	"bytes"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"skyhaul/modbus"
)

// The answer to a write of one item is a copy of the request, as an echo is.
func TestEchoIsNoConfirmation(t *testing.T) {
	write := modbus.WriteRegister(7, 42)
	echo := func(req []byte) piece { return piece{0, bytes.Clone(req)} }
	tests := []struct {
		name  string
		fault func(n int, req, resp []byte) []piece
		want  error
	}{
		{"echo, unit obeys", func(_ int, req, resp []byte) []piece {
			return []piece{echo(req), {time.Millisecond, resp}}
		}, nil},
		{"echo, unit is gone", func(_ int, req, _ []byte) []piece {
			return []piece{echo(req)}
		}, modbus.ErrTimeout},
		{"echo, unit only reads", func(_ int, req, resp []byte) []piece {
			if req[1] > 4 {
				return []piece{echo(req)}
			}
			return []piece{echo(req), {time.Millisecond, resp}}
		}, modbus.ErrTimeout},
		{"first echo damaged, unit only reads", func(n int, req, resp []byte) []piece {
			heard := echo(req)
			if n == 1 {
				heard.bytes[6] ^= 1
			}
			if req[1] > 4 {
				return []piece{heard}
			}
			return []piece{heard, {time.Millisecond, resp}}
		}, modbus.ErrTimeout},
		{"no echo, unit obeys", prompt, nil},
		{"no echo, unit declines to read", func(_ int, req, resp []byte) []piece {
			if req[1] == 3 {
				return promptly(seal([]byte{1, 0x83, 1}))
			}
			return promptly(resp)
		}, nil},
		{"silence", func(int, []byte, []byte) []piece { return nil }, modbus.ErrTimeout},
		{"answers are always behind noise, unit obeys", func(_ int, _, resp []byte) []piece {
			return promptly(append([]byte{0xFF}, resp...))
		}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, heard := attach(t, modbus.RTU, tt.fault)
				for range 3 {
					if _, err := do(t, c, write); !errors.Is(err, tt.want) {
						t.Errorf("got %v, want %v", err, tt.want)
					}
				}
				if first := heard.requests()[0]; first.Function() != modbus.FuncReadHoldingRegisters {
					t.Errorf("% X was sent before it was known whether the line echoes", first)
				}
			})
		})
	}
}

// In this request and this unit the first 7 bytes of the echo are a valid
// answer themselves.
func TestBeginOfAnEchoIsNoAnswer(t *testing.T) {
	req, unit := prefixAnswer(t)
	synctest.Test(t, func(t *testing.T) {
		near, far := cable()
		defer near.Close()
		c := modbus.NewClient(near, modbus.RTU, slow)
		var adapter sync.WaitGroup
		defer adapter.Wait()
		adapter.Go(func() {
			buf := make([]byte, 64)
			n, _ := far.Read(buf)
			far.Write(buf[:n-1])
			time.Sleep(10 * time.Millisecond)
			far.Write(buf[n-1 : n])
		})
		if a, err := c.Do(t.Context(), unit, req, timeout); !errors.Is(err, modbus.ErrTimeout) {
			t.Errorf("% X, %v", []byte(a.PDU), err)
		}
	})
}

func prefixAnswer(t *testing.T) (modbus.PDU, modbus.UnitID) {
	for fc := modbus.FuncReadHoldingRegisters; fc <= modbus.FuncReadInputRegisters; fc++ {
		for unit := 1; unit <= 247; unit++ {
			for addr := 0x0200; addr < 0x0300; addr++ {
				req := read(t, fc, uint16(addr), 1)
				frame := seal(append([]byte{byte(unit)}, req...))
				if bytes.Equal(seal(frame[:5]), frame[:7]) {
					return req, modbus.UnitID(unit)
				}
			}
		}
	}
	t.Fatal("there is none")
	return nil, 0
}

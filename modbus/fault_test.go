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

// outcome counts how reads ended: with the value asked for, with another one
// (which must never be), or with an error.
type outcome struct{ ok, wrong, failed int }

// poll reads the registers of a unit again and again.
func poll(t *testing.T, f modbus.Framing, u *counting, times int, requests ...modbus.PDU) (o outcome, c modbus.Counters, first error) {
	near, far := cable()
	var unit sync.WaitGroup
	unit.Go(func() { u.run(far) })
	defer unit.Wait()
	defer near.Close()
	client := modbus.NewClient(near, f, slow)
	for i := range times {
		req := requests[i%len(requests)]
		a, err := client.Do(t.Context(), 1, req, 300*time.Millisecond)
		switch {
		case err != nil:
			if first == nil {
				first = err
			}
			o.failed++
		case bytes.Equal(a.PDU, pduOf(countingAnswer(near.writes, seal(append([]byte{1}, req...))))):
			o.ok++
		default:
			o.wrong++
		}
	}
	return o, client.Counters(), first
}

func pduOf(frame []byte) modbus.PDU { return frame[1 : len(frame)-2] }

// The rows are those of a comparison in which four other clients returned
// values of earlier requests, or of the wrong unit, without an error.
func TestFaultsNeverGiveAWrongValue(t *testing.T) {
	var held []byte
	faults := []struct {
		name  string
		fault func(n int, req, resp []byte) []piece
		want  outcome
		err   error // of the first failed read
	}{
		{"clean", func(_ int, _, resp []byte) []piece {
			return promptly(resp)
		}, outcome{ok: 10}, nil},
		{"20 ms gap inside the frame", func(_ int, _, resp []byte) []piece {
			return []piece{{5 * time.Millisecond, resp[:4]}, {20 * time.Millisecond, resp[4:]}}
		}, outcome{ok: 10}, nil},
		{"byte by byte, 16 ms apart", func(_ int, _, resp []byte) (p []piece) {
			for _, b := range resp {
				p = append(p, piece{16 * time.Millisecond, []byte{b}})
			}
			return p
		}, outcome{ok: 10}, nil},
		{"noise 00 before", func(_ int, _, resp []byte) []piece {
			return promptly(append([]byte{0x00}, resp...))
		}, outcome{ok: 10}, nil},
		{"noise FF before", func(_ int, _, resp []byte) []piece {
			return promptly(append([]byte{0xFF}, resp...))
		}, outcome{ok: 10}, nil},
		{"noise like the unit id, long before", func(_ int, _, resp []byte) []piece {
			return []piece{{time.Millisecond, []byte{1}}, {200 * time.Millisecond, resp}}
		}, outcome{ok: 10}, nil},
		{"noise after", func(_ int, _, resp []byte) []piece {
			return promptly(append(resp, 0xFF))
		}, outcome{ok: 10}, nil},
		{"echo", func(_ int, req, resp []byte) []piece {
			return []piece{{0, bytes.Clone(req)}, {5 * time.Millisecond, resp}}
		}, outcome{ok: 10}, nil},
		{"echo and answer at once, noise between", func(_ int, req, resp []byte) []piece {
			return promptly(append(append(bytes.Clone(req), 0), resp...))
		}, outcome{ok: 10}, nil},
		{"answer held until the next request", func(_ int, _, resp []byte) []piece {
			late := held
			held = resp
			return promptly(late)
		}, outcome{failed: 10}, modbus.ErrTimeout},
		{"answer after the timeout", func(_ int, _, resp []byte) []piece {
			return []piece{{400 * time.Millisecond, resp}}
		}, outcome{failed: 10}, modbus.ErrTimeout},
		{"first answer late, then prompt", func(n int, _, resp []byte) []piece {
			if n == 1 {
				return []piece{{330 * time.Millisecond, resp}}
			}
			return promptly(resp)
		}, outcome{ok: 9, failed: 1}, modbus.ErrTimeout},
		{"another unit answers", func(_ int, _, resp []byte) []piece {
			return promptly(seal(append([]byte{2}, resp[1:len(resp)-2]...)))
		}, outcome{failed: 10}, modbus.ErrTimeout},
		{"another function", func(_ int, _, resp []byte) []piece {
			return promptly(seal(append([]byte{1, resp[1] ^ 7}, resp[2:len(resp)-2]...)))
		}, outcome{failed: 10}, modbus.ErrDamaged},
		{"another count", func(_ int, _, resp []byte) []piece {
			return promptly(seal(append(append([]byte{1, resp[1], resp[2] + 2}, resp[3:len(resp)-2]...), 9, 9)))
		}, outcome{failed: 10}, modbus.ErrDamaged},
		{"wrong CRC", func(_ int, _, resp []byte) []piece {
			resp[len(resp)-1] ^= 1
			return promptly(resp)
		}, outcome{failed: 10}, modbus.ErrDamaged},
		{"cut short", func(_ int, _, resp []byte) []piece {
			return promptly(resp[:len(resp)-3])
		}, outcome{failed: 10}, modbus.ErrDamaged},
		{"silence", func(int, []byte, []byte) []piece {
			return nil
		}, outcome{failed: 10}, modbus.ErrTimeout},
		{"a stray byte, then silence", func(int, []byte, []byte) []piece {
			return promptly([]byte{0})
		}, outcome{failed: 10}, modbus.ErrTimeout},
	}
	requests := map[string]modbus.PDU{
		"10 registers":                     read(t, modbus.FuncReadHoldingRegisters, 100, 10),
		"1 register":                       read(t, modbus.FuncReadInputRegisters, 65535, 1),
		"24 coils whose echo is an answer": read(t, modbus.FuncReadCoils, 0x0310, 24),
		"1 input":                          read(t, modbus.FuncReadDiscreteInputs, 0, 1),
	}
	for _, tt := range faults {
		for name, req := range requests {
			for _, f := range []modbus.Framing{modbus.RTU, modbus.RTUOverTCP} {
				t.Run(tt.name+"/"+name+"/"+f.String(), func(t *testing.T) {
					held = nil
					synctest.Test(t, func(t *testing.T) {
						got, c, err := poll(t, f, &counting{fault: tt.fault}, 10, req)
						if got != tt.want {
							t.Errorf("got %+v, want %+v\n%+v", got, tt.want, c)
						}
						if !errors.Is(err, tt.err) {
							t.Errorf("first error %v, want %v", err, tt.err)
						}
					})
				})
			}
		}
	}
}

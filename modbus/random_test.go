package modbus_test

import (
	"bytes"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"skyhaul/modbus"
)

// weather is a line and a unit at their worst. The unit answers in the order it
// was asked, as units do; all else is chance.
type weather struct {
	rng   *rand.Rand
	queue [][]byte // answers held back
	lag   int      // how many requests answers are behind just now
}

func (w *weather) fault(_ int, req, resp []byte) []piece {
	if w.rng.IntN(8) == 0 {
		w.lag = w.rng.IntN(4)
	}
	if w.rng.IntN(6) == 0 {
		resp = seal([]byte{req[0], req[1] | 0x80, 6})
	}
	if w.rng.IntN(12) > 0 { // else it never answers
		w.queue = append(w.queue, bytes.Clone(resp))
	}
	var out []piece
	for len(w.queue) > w.lag {
		out = append(out, w.spoil(req, w.queue[0])...)
		w.queue = w.queue[1:]
	}
	return out
}

// spoil makes of an answer what the line lets through.
func (w *weather) spoil(req, b []byte) []piece {
	delay := time.Duration(w.rng.IntN(20)) * time.Millisecond
	switch w.rng.IntN(12) {
	case 0:
		delay = time.Duration(w.rng.IntN(900)) * time.Millisecond
	case 1:
		b[w.rng.IntN(len(b))] ^= 1 << w.rng.IntN(8)
	case 2:
		b = b[w.rng.IntN(len(b)):]
	case 3:
		b = b[:w.rng.IntN(len(b))]
	case 4:
		b = append(noise(w.rng), b...)
	case 5:
		b = append(b, noise(w.rng)...)
	case 6:
		b = append(seal([]byte{2, req[1], 2, 0xBA, 0xD0}), b...)
	case 7:
		cut := w.rng.IntN(len(b))
		return []piece{{delay, b[:cut]}, {time.Duration(w.rng.IntN(80)) * time.Millisecond, b[cut:]}}
	}
	return []piece{{delay, b}}
}

func noise(rng *rand.Rand) []byte {
	b := make([]byte, 1+rng.IntN(20))
	for i := range b {
		b[i] = byte(rng.IntN(5)) // looks like units, functions and counts
	}
	return b
}

func TestInAnyWeatherNoValueIsWrong(t *testing.T) {
	var requests []modbus.PDU
	for fc := modbus.FuncReadCoils; fc <= modbus.FuncReadInputRegisters; fc++ {
		for _, quantity := range []int{1, 2, 3, 17, 24, 125} {
			requests = append(requests, read(t, fc, 0x0301, quantity))
		}
	}
	for seed := range uint64(30) {
		synctest.Test(t, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 1))
			w := &weather{rng: rng}
			some := make([]modbus.PDU, 7)
			for i := range some {
				some[i] = requests[rng.IntN(len(requests))]
			}
			f := []modbus.Framing{modbus.RTU, modbus.RTUOverTCP}[seed%2]
			got, c, _ := poll(t, f, &counting{fault: w.fault}, 500, some...)
			if got.wrong > 0 || got.ok < 5 {
				t.Errorf("seed %d: %+v\n%+v", seed, got, c)
			}
		})
	}
}

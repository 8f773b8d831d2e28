package sim

import (
	"math/rand/v2"
	"slices"
	"time"

	"skyhaul/modbus"
)

// Faults says what goes wrong on a line. Numbers are probabilities, 0 to 1, for
// each answer. The zero value is a healthy line.
type Faults struct {
	Echo bool            // the client hears its own requests, as on two wires
	Dead []modbus.UnitID // silent units

	Drop        float64 // no answer
	Exception   float64 // exception 04 for an answer
	NoiseBefore float64 // one to three random bytes ahead of the answer
	NoiseAfter  float64 // likewise behind it
	Flip        float64 // one bit inverted
	WrongUnit   float64 // another unit id, with a matching checksum
	Late        float64 // held back: see LateBy
	Slow        float64 // a turnaround SlowTimes as long: its long tail
	HangUp      float64 // the port goes away instead of an answer: see Away

	LateBy    time.Duration // how long a late answer is held; 0 is until the next request came in
	SlowTimes float64       // 0 is 10
	Away      time.Duration // until a port that went away is back; 0 is a second
}

// Handle answers as the units do, dead, silent or failing as the faults say.
// With it a line's units can also be served by [ServeTCP].
func (l *Line) Handle(unit modbus.UnitID, req modbus.PDU) (modbus.PDU, bool) {
	l.mu.Lock()
	l.counters.Requests++
	f := l.of(unit).Faults
	drop, exception := l.happens(f.Drop), l.happens(f.Exception)
	l.mu.Unlock()
	if drop || slices.Contains(f.Dead, unit) {
		return nil, false
	}
	answer, ok := l.o.Units.Handle(unit, req)
	if ok && exception {
		answer = modbus.ServerDeviceFailure.Answer(req)
	}
	return answer, ok
}

// rolls throws the dice for one fault.
func (l *Line) rolls(probability float64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.happens(probability)
}

// happens throws the dice for one fault; l.mu is held.
func (l *Line) happens(probability float64) bool {
	if probability <= 0 || l.rng.Float64() >= probability {
		return false
	}
	l.counters.Faults++
	return true
}

// spoiled returns frame as the faults of content leave it.
func (l *Line) spoiled(frame []byte, f Faults) []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	frame = slices.Clone(frame)
	if l.happens(f.WrongUnit) {
		frame[0] ^= byte(1 + l.rng.IntN(255))
		frame = appendCRC(frame[:len(frame)-2])
	}
	if l.happens(f.Flip) {
		frame[l.rng.IntN(len(frame))] ^= 1 << l.rng.IntN(8)
	}
	if l.happens(f.NoiseBefore) {
		frame = append(noise(l.rng), frame...)
	}
	if l.happens(f.NoiseAfter) {
		frame = append(frame, noise(l.rng)...)
	}
	return frame
}

func noise(rng *rand.Rand) []byte {
	bytes := make([]byte, 1+rng.IntN(3))
	for i := range bytes {
		bytes[i] = byte(rng.Uint32())
	}
	return bytes
}

// appendCRC appends the checksum of an RTU frame, low byte first. MODBUS over
// Serial Line V1.02, section 6.2.2.
func appendCRC(frame []byte) []byte {
	crc := uint16(0xFFFF)
	for _, b := range frame {
		crc ^= uint16(b)
		for range 8 {
			low := crc & 1
			crc = crc>>1 ^ low*0xA001
		}
	}
	return append(frame, byte(crc), byte(crc>>8))
}

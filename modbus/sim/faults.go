package sim

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"time"

	"skyhaul/modbus"
)

// Faults says what goes wrong on a line. Numbers are probabilities, 0 to 1, for
// each answer. The zero value is a healthy line.
type Faults struct {
	// These are the line's; a unit's own are not looked at.
	Echo    bool // the client hears its own requests, as on two wires
	Swapped bool // the client's two wires are swapped: each side gets the other's bits inverted

	Dead []modbus.UnitID // silent units

	Drop        float64 // no answer
	Exception   float64 // exception 04 for an answer
	NoiseBefore float64 // one to three random bytes ahead of the answer
	NoiseAfter  float64 // likewise behind it
	Flip        float64 // one bit inverted
	Corrupt     float64 // for each byte of requests and answers: one bit inverted, as on a line without termination
	WrongUnit   float64 // another unit id, with a matching checksum
	Cut         float64 // the end is missing
	Split       float64 // a pause inside: see SplitBy
	Break       float64 // the line is held low for two characters ahead of the answer
	Late        float64 // held back: see LateBy
	Slow        float64 // a turnaround SlowTimes as long: its long tail
	HangUp      float64 // the port goes away instead of an answer: see Away

	SplitBy   time.Duration // length of a pause inside an answer; 0 is 20 ms
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

// spoiled returns the frame of a unit's answer as the faults of content leave it.
func (l *Line) spoiled(unit modbus.UnitID, answer modbus.PDU, f Faults) []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.happens(f.WrongUnit) {
		unit ^= modbus.UnitID(1 + l.rng.IntN(255))
	}
	b := frame(l.o.Framing, unit, answer)
	if l.happens(f.Flip) {
		l.flip(b, l.rng.IntN(len(b)))
	}
	l.corrupt(b, f.Corrupt)
	if l.happens(f.Cut) {
		b = b[:1+l.rng.IntN(len(b)-1)]
	}
	if l.happens(f.NoiseBefore) {
		b = append(noise(l.rng), b...)
	}
	if l.happens(f.NoiseAfter) {
		b = append(b, noise(l.rng)...)
	}
	return b
}

// corrupt inverts a bit of each byte with a probability; l.mu is held.
func (l *Line) corrupt(b []byte, probability float64) {
	for i := range b {
		if l.happens(probability) {
			l.flip(b, i)
		}
	}
}

// flip inverts a bit of one byte; l.mu is held.
func (l *Line) flip(b []byte, i int) { b[i] ^= 1 << l.rng.IntN(8) }

func noise(rng *rand.Rand) []byte {
	bytes := make([]byte, 1+rng.IntN(3))
	for i := range bytes {
		bytes[i] = byte(rng.Uint32())
	}
	return bytes
}

// breakChars is how long a break lasts.
const breakChars = 2

// timed puts the bytes of an answer on the line, with the faults of time.
func (l *Line) timed(b []byte, f Faults) []char {
	l.mu.Lock()
	defer l.mu.Unlock()
	cs := l.settings.chars(b)
	if l.happens(f.Split) && len(cs) > 1 {
		delay(cs[1+l.rng.IntN(len(cs)-1):], cmp.Or(f.SplitBy, 20*time.Millisecond))
	}
	if l.happens(f.Break) {
		held := breakChars * l.settings.Timing().Wire(1)
		delay(cs, held)
		cs = append([]char{{end: held, held: true}}, cs...)
	}
	return cs
}

func delay(cs []char, by time.Duration) {
	for i := range cs {
		cs[i].begin += by
		cs[i].end += by
	}
}

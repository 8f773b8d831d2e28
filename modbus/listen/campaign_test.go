package listen

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"skyhaul/modbus"
)

// campaign is a client that polls units on a line where much goes wrong, and a
// listener whose hearing is bad. Every answer has contents of its own, so that
// its request is known.
type campaign struct {
	rng   *rand.Rand
	t     *testing.T
	d     *Decoder
	now   time.Time
	timed bool // chunks come when they are on the line; else as a network has them
	chunk []byte
	sent  time.Time // when the network last let go

	answers uint16               // so far
	truth   map[string]exchange  // by the answer's bytes
	held    map[byte][]scheduled // what a unit still has to say
	lagging map[byte]bool        // units that answer when the next request comes

	exchanges, paired, wrong int
}

type exchange struct {
	req modbus.PDU
	at  time.Time
}

type scheduled struct {
	frame []byte
	req   modbus.PDU
	at    time.Time
}

// mistakes are probabilities.
type mistakes struct {
	silent  float64 // no answer
	late    float64 // the answer comes after the next request, to whatever unit
	lag     float64 // a unit begins, or ends, to answer when the next request comes
	flip    float64 // a bit of a frame is heard wrong
	lose    float64 // up to five bytes of a frame are not heard
	noise   float64 // up to ten bytes that nobody sent
	glitch  float64 // one or two such bytes right before a frame
	collide float64 // two frames at once
}

func (c *campaign) happens(p float64) bool { return c.rng.Float64() < p }

// hear lets the listener have bytes, in pieces.
func (c *campaign) hear(b []byte) {
	c.chunk = append(c.chunk, b...)
	if !c.timed && c.happens(0.7) && c.now.Sub(c.sent) < 3*time.Second {
		return // the network keeps them together
	}
	c.deliver()
}

func (c *campaign) deliver() {
	c.sent = c.now
	for len(c.chunk) > 0 {
		n := 1 + c.rng.IntN(len(c.chunk))
		c.now = c.now.Add(time.Duration(n) * time.Millisecond / 2)
		c.judge(c.d.Feed(c.now, c.chunk[:n]))
		c.chunk = c.chunk[n:]
	}
}

// frame lets the listener have a frame as the mistakes leave it.
func (c *campaign) frame(m mistakes, b []byte) {
	b = bytes.Clone(b)
	if c.happens(m.flip) {
		b[c.rng.IntN(len(b))] ^= 1 << c.rng.IntN(8)
	}
	if c.happens(m.lose) {
		from := c.rng.IntN(len(b))
		b = append(b[:from], b[min(len(b), from+1+c.rng.IntN(5)):]...)
	}
	if c.happens(m.glitch) {
		b = append(c.garbage(2), b...)
	}
	c.hear(b)
	if c.happens(m.noise) {
		c.hear(c.garbage(10))
	}
}

func (c *campaign) garbage(most int) []byte {
	b := make([]byte, 1+c.rng.IntN(most))
	for i := range b {
		b[i] = byte(c.rng.Uint32())
	}
	return b
}

// judge compares pairs with the truth.
func (c *campaign) judge(frames []Frame) {
	for _, f := range frames {
		if f.Request == nil || !f.Request.Function().Reads() || f.PDU[0]&exceptionBit != 0 {
			continue
		}
		c.paired++
		x, ok := c.truth[string(f.Bytes)]
		if !ok || !bytes.Equal(x.req, f.Request) || x.at.Sub(f.Asked).Abs() > networkLate {
			c.wrong++
			c.t.Errorf("% X asked at %v paired with % X, which answers % X of %v", f.Request, f.Asked, f.Bytes, x.req, x.at)
		}
	}
}

// answer returns what a unit says to a request. Its contents are like no other's.
func (c *campaign) answer(unit byte, req modbus.PDU) []byte {
	c.answers++
	r, err := modbus.ParseRequest(req)
	if err != nil || !r.Function.Reads() {
		return seal(modbus.UnitID(unit), req[:5]...)
	}
	size := 2 + 2*r.Quantity
	if r.Function.Bits() {
		size = 2 + (r.Quantity+7)/8
	}
	p := []byte{req[0], byte(size - 2)}
	for len(p) < size {
		p = binary.BigEndian.AppendUint16(p, c.answers)
		c.answers += uint16(c.rng.IntN(2))
	}
	return seal(modbus.UnitID(unit), p[:size]...)
}

// ask is one request and what comes of it.
func (c *campaign) ask(m mistakes, unit byte, req modbus.PDU) {
	c.exchanges++
	c.now = c.now.Add(time.Duration(5+c.rng.IntN(60)) * time.Millisecond)
	request, asked := seal(modbus.UnitID(unit), req...), c.now
	if c.happens(m.collide) {
		for i := range request {
			request[i] ^= byte(c.rng.Uint32())
		}
	}
	c.frame(m, request)
	if c.happens(m.lag) {
		c.lagging[unit] = !c.lagging[unit]
	}
	c.now = c.now.Add(time.Duration(2+c.rng.IntN(30)) * time.Millisecond)
	due := slices.DeleteFunc(c.held[unit], func(s scheduled) bool { return c.now.Sub(s.at) > 900*time.Millisecond })
	c.held[unit] = nil
	if !c.happens(m.silent) {
		s := scheduled{c.answer(unit, req), req, asked}
		if c.lagging[unit] || c.happens(m.late) {
			c.held[unit] = append(c.held[unit], s)
		} else {
			due = append(due, s)
		}
	}
	if len(due) == 0 {
		c.now = c.now.Add(300 * time.Millisecond) // the client's timeout
	}
	for _, s := range due {
		c.truth[string(s.frame)] = exchange{s.req, s.at}
		c.frame(m, s.frame)
	}
	for other, said := range c.held { // late, while the client asks another unit
		if len(said) > 0 && other != unit && !c.lagging[other] {
			c.truth[string(said[0].frame)] = exchange{said[0].req, said[0].at}
			c.frame(m, said[0].frame)
			c.held[other] = said[1:]
		}
	}
}

func TestNoMistakeOnTheLineMakesAWrongPair(t *testing.T) {
	polls := map[string][]struct {
		unit byte
		req  modbus.PDU
	}{
		"blocks of many lengths": {
			{1, read(t, 3, 0, 10)},
			{1, read(t, 3, 100, 10)},
			{1, read(t, 3, 200, 7)},
			{1, read(t, 4, 0, 1)},
			{2, read(t, 3, 0, 10)},
			{2, read(t, 1, 0x0300, 24)},
			{2, modbus.WriteRegister(3, 4)},
			{3, read(t, 3, 0, 60)},
		},
		"blocks of one length": {{1, read(t, 3, 0, 10)}, {1, read(t, 3, 100, 10)}, {1, read(t, 3, 200, 10)}, {2, read(t, 3, 0, 10)}},
		"coils whose answers may be requests": {
			{1, read(t, 1, 0x0300, 24)}, {1, read(t, 1, 0x0310, 20)}, {1, read(t, 2, 0x0300, 24)}, {1, read(t, 1, 0x0300, 9)},
		},
	}
	kinds := map[string]mistakes{
		"none":          {},
		"units":         {silent: 0.05, late: 0.05, lag: 0.01},
		"hearing":       {flip: 0.02, lose: 0.02, noise: 0.02, glitch: 0.05},
		"all":           {silent: 0.03, late: 0.03, lag: 0.01, flip: 0.02, lose: 0.02, noise: 0.02, glitch: 0.05, collide: 0.01},
		"seldom, all":   {silent: 0.002, late: 0.002, lag: 0.001, flip: 0.002, lose: 0.002, noise: 0.002, glitch: 0.01, collide: 0.001},
		"much, all":     {silent: 0.1, late: 0.1, lag: 0.05, flip: 0.1, lose: 0.1, noise: 0.1, glitch: 0.2, collide: 0.05},
		"glitches only": {glitch: 1},
		"a bad line":    {silent: 0.003, late: 0.001, flip: 0.002, lose: 0.001, noise: 0.001, glitch: 0.05, collide: 0.0005},
	}
	timings := map[bool]modbus.LineTiming{true: line19200}
	const rounds, seed = 500, 1
	for poll, requests := range polls {
		for kind, m := range kinds {
			for _, timed := range []bool{true, false} {
				t.Run(fmt.Sprintf("%s/%s/timed %v", poll, kind, timed), func(t *testing.T) {
					c := campaign{
						rng: rand.New(rand.NewPCG(seed, 0)), t: t, d: NewDecoder(timings[timed]), now: epoch, timed: timed,
						truth: make(map[string]exchange), held: make(map[byte][]scheduled), lagging: make(map[byte]bool),
					}
					for range rounds {
						for _, p := range requests {
							c.ask(m, p.unit, p.req)
						}
						c.deliver()
						c.now = c.now.Add(time.Duration(c.rng.IntN(2000)) * time.Millisecond)
					}
					t.Logf("%d exchanges, %d pairs, %d wrong, %+v", c.exchanges, c.paired, c.wrong, c.d.Counters())
					if timed && (kind == "none" || kind == "glitches only") && c.d.Counters().Pairs < uint64(c.exchanges)*95/100 {
						t.Error("too few pairs")
					}
				})
			}
		}
	}
}

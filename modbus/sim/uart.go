package sim

import (
	"cmp"
	"fmt"
	"math/bits"
	"sort"
	"time"

	"skyhaul/modbus"
	"skyhaul/modbus/serial"
)

// LineSettings is the speed of a line and the form of its characters. A zero
// field is 8 data bits, no parity, 1 stop bit; without Baud nothing is said.
type LineSettings struct {
	Baud     int // bits per second
	DataBits int
	Parity   serial.Parity
	StopBits int
}

// ParseLineSettings reads settings in the notation of engineers, as 19200-8E1.
func ParseLineSettings(s string) (LineSettings, error) {
	var l LineSettings
	var parity rune
	n, err := fmt.Sscanf(s, "%d-%1d%c%1d", &l.Baud, &l.DataBits, &parity, &l.StopBits)
	l.Parity = serial.Parity(parity)
	if n < 4 || err != nil || l.String() != s || !l.valid() {
		return LineSettings{}, fmt.Errorf("%q is no line like 19200-8E1 (50 to 4000000 baud, 7 or 8 data bits, parity N, E, O, M or S, 1 or 2 stop bits)", s)
	}
	return l, nil
}

func (s LineSettings) valid() bool {
	switch s.Parity {
	case serial.NoParity, serial.EvenParity, serial.OddParity, serial.MarkParity, serial.SpaceParity:
	default:
		return false
	}
	return s.Baud >= 50 && s.Baud <= 4_000_000 && (s.DataBits == 7 || s.DataBits == 8) && (s.StopBits == 1 || s.StopBits == 2)
}

// String returns the notation that [ParseLineSettings] reads.
func (s LineSettings) String() string {
	s = s.or(LineSettings{})
	return fmt.Sprintf("%d-%d%c%d", s.Baud, s.DataBits, s.Parity, s.StopBits)
}

// or fills the zero fields of s in from d, and then with the defaults.
func (s LineSettings) or(d LineSettings) LineSettings {
	return LineSettings{
		Baud:     cmp.Or(s.Baud, d.Baud),
		DataBits: cmp.Or(s.DataBits, d.DataBits, 8),
		Parity:   cmp.Or(s.Parity, d.Parity, serial.NoParity),
		StopBits: cmp.Or(s.StopBits, d.StopBits, 1),
	}
}

// Timing returns how long the line takes.
func (s LineSettings) Timing() modbus.LineTiming {
	if s.Baud <= 0 {
		return modbus.LineTiming{}
	}
	c := serial.Config{Baud: s.Baud, DataBits: s.DataBits, Parity: s.Parity, StopBits: s.StopBits}
	return modbus.LineTiming{Bit: c.Bit(), CharBits: c.CharBits()}
}

// char is a character on a line.
type char struct {
	b          byte
	begin, end time.Duration // of the bits of a sent one; a received one is there at its end
	held       bool          // a break: low all the time
}

// chars puts bytes on the line, one after the other.
func (s LineSettings) chars(b []byte) []char {
	took := s.Timing().Wire(1)
	cs := make([]char, len(b))
	for i := range cs {
		cs[i] = char{b: b[i], begin: time.Duration(i) * took, end: time.Duration(i+1) * took}
	}
	return cs
}

// level is the state of a line at a time: high, as in silence, or low.
type level func(time.Duration) bool

// level returns what a sender of these settings makes of a line.
func (s LineSettings) level(cs []char) level {
	t := s.Timing()
	return func(at time.Duration) bool {
		i := sort.Search(len(cs), func(i int) bool { return cs[i].begin > at }) - 1
		if i < 0 {
			return true
		}
		if cs[i].held {
			return at >= cs[i].end
		}
		bit := int((at - cs[i].begin) / t.Bit)
		return bit >= t.CharBits || s.word(cs[i].b)>>bit&1 == 1
	}
}

// word returns the bits of a character, the first one lowest.
func (s LineSettings) word(b byte) uint16 {
	data := uint16(b) & (1<<s.DataBits - 1)
	w, n := data<<1, 1+s.DataBits // after the start bit, which is low
	if s.Parity != serial.NoParity {
		w |= s.parity(byte(data)) << n
		n++
	}
	return w | 0xFFFF<<n
}

// parity returns the parity bit of data.
func (s LineSettings) parity(data byte) uint16 {
	odd := uint16(bits.OnesCount8(data) & 1)
	switch s.Parity {
	case serial.EvenParity:
		return odd
	case serial.OddParity:
		return 1 - odd
	case serial.MarkParity:
		return 1
	}
	return 0
}

// receive returns what a receiver of these settings makes of a line until end,
// as a driver hands it on: where parity is checked, a character with an error
// is 0x00. Like the 16550 it takes the low level that it finds in place of a
// stop bit for the next start bit.
func (s LineSettings) receive(line level, end time.Duration) (cs []char, errs serial.LineErrors) {
	bit := s.Timing().Bit
	tick := bit/16 + 1 // an UART looks 16 times a bit
	at := skip(line, -bit, end, tick, false)
	for {
		at = skip(line, at, end, tick, true)
		if at >= end {
			return cs, errs
		}
		if line(at + bit/2) {
			at += bit / 2 // too short for a start bit
			continue
		}
		c, stop := s.sample(line, at, &errs)
		cs = append(cs, c)
		at = c.end
		switch {
		case c.held:
			at = skip(line, at, end, tick, false)
		case !stop:
			at -= bit / 2
		}
	}
}

// skip returns when a line that has a level leaves it, or end.
func skip(line level, at, end, tick time.Duration, has bool) time.Duration {
	for at < end && line(at) == has {
		at += tick
	}
	return at
}

// sample reads the character whose start bit begins at a time, in the middle of
// each bit.
func (s LineSettings) sample(line level, at time.Duration, errs *serial.LineErrors) (c char, stop bool) {
	bit := s.Timing().Bit
	middle := at + bit/2
	next := func() uint16 {
		middle += bit
		if line(middle) {
			return 1
		}
		return 0
	}
	var data, parity uint16
	for i := range s.DataBits {
		data |= next() << i
	}
	checked := s.Parity != serial.NoParity
	if checked {
		parity = next()
	}
	stop = next() == 1
	c = char{b: byte(data), begin: at, end: middle, held: !stop && data|parity == 0}
	bad := true
	switch {
	case c.held:
		errs.Break++
	case !stop:
		errs.Frame++
	case checked && parity != s.parity(c.b):
		errs.Parity++
	default:
		bad = false
	}
	if bad && checked {
		c.b = 0
	}
	return c, stop
}

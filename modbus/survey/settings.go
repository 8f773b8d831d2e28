package survey

import (
	"cmp"
	"fmt"

	"skyhaul/modbus"
	"skyhaul/modbus/serial"
)

// Settings are what client and units on a line must agree on.
type Settings struct {
	Baud     int // bits per second
	Parity   serial.Parity
	StopBits int            // 0 means 1
	Framing  modbus.Framing // RTU or ASCII
}

// String writes settings as 19200 8E1, or 9600 7E1 ascii.
func (s Settings) String() string {
	text := fmt.Sprintf("%d %d%c%d", s.Baud, s.DataBits(), cmp.Or(s.Parity, serial.NoParity), cmp.Or(s.StopBits, 1))
	if s.Framing == modbus.ASCII {
		text += " ascii"
	}
	return text
}

// DataBits returns 7 for ASCII, where that is usual, and 8 for RTU.
func (s Settings) DataBits() int {
	if s.Framing == modbus.ASCII {
		return 7
	}
	return 8
}

// Serial returns the settings of a port.
func (s Settings) Serial(device string) serial.Config {
	return serial.Config{Device: device, Baud: s.Baud, DataBits: s.DataBits(), Parity: s.Parity, StopBits: s.StopBits}
}

// Timing returns how long the line takes.
func (s Settings) Timing() modbus.LineTiming {
	c := s.Serial("")
	return modbus.LineTiming{Bit: c.Bit(), CharBits: c.CharBits()}
}

// usual are the settings that instruments come with, the commonest first: the
// standard's default is 19200 8E1, most factories' is 9600 8N1. Two stop bits
// are no case of their own, for who sends one is understood by who sends two.
var usual = []struct {
	baud   int
	parity serial.Parity
}{
	{9600, 'N'},
	{19200, 'E'},
	{9600, 'E'},
	{19200, 'N'},
	{38400, 'N'},
	{115200, 'N'},
	{57600, 'N'},
	{4800, 'N'},
	{38400, 'E'},
	{9600, 'O'},
	{2400, 'N'},
	{19200, 'O'},
	{115200, 'E'},
	{1200, 'N'},
}

// rare bauds and parities come after the usual settings in a full scan.
var (
	bauds    = []int{9600, 19200, 38400, 115200, 57600, 4800, 2400, 1200}
	parities = []serial.Parity{serial.NoParity, serial.EvenParity, serial.OddParity}
)

// Usual returns settings in the order of their likelihood. Where bauds or
// parities are given, it is these in all combinations; a full list has all of
// either that are known here.
func Usual(f modbus.Framing, onlyBauds []int, onlyParities []serial.Parity, full bool) (list []Settings) {
	if f == modbus.ASCII && len(onlyParities) == 0 {
		onlyParities = []serial.Parity{serial.EvenParity, serial.NoParity, serial.OddParity}
	}
	seen := map[Settings]bool{}
	add := func(baud int, parity serial.Parity) {
		s := Settings{Baud: baud, Parity: parity, StopBits: 1, Framing: f}
		if f == modbus.ASCII && parity == serial.NoParity {
			s.StopBits = 2 // a character has 10 bits. Serial, section 2.5.2
		}
		if !seen[s] {
			seen[s] = true
			list = append(list, s)
		}
	}
	given := len(onlyBauds)+len(onlyParities) > 0
	for _, u := range usual {
		if allowed(onlyBauds, u.baud) && allowed(onlyParities, u.parity) {
			add(u.baud, u.parity)
		}
	}
	if !given && !full {
		return list
	}
	if len(onlyBauds) == 0 {
		onlyBauds = bauds
	}
	if len(onlyParities) == 0 {
		onlyParities = parities
	}
	for _, b := range onlyBauds {
		for _, p := range onlyParities {
			add(b, p)
		}
	}
	return list
}

// allowed reports whether v is in a list, of which an empty one has all.
func allowed[T comparable](list []T, v T) bool {
	for _, x := range list {
		if x == v {
			return true
		}
	}
	return len(list) == 0
}

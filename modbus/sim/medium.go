package sim

import (
	"slices"
	"time"

	"skyhaul/modbus/serial"
)

// atUnits returns what the units hear when a client of some settings sends b.
func (l *Line) atUnits(b []byte, client LineSettings) []byte {
	l.mu.Lock()
	f := l.faults
	b = slices.Clone(b)
	l.corrupt(b, f.Corrupt)
	l.mu.Unlock()
	if l.o.Lenient || client == l.settings && !f.Swapped {
		return b
	}
	cs := client.chars(b)
	end := cs[len(cs)-1].end
	line := client.level(cs)
	if f.Swapped {
		line = func(at time.Duration) bool { return at < 0 || at >= end || !client.level(cs)(at) }
	}
	heard, _ := l.settings.receive(line, end+l.settings.Timing().Wire(1))
	return bytesOf(heard)
}

// atClient returns what a client of some settings receives when the units send
// cs and, if there are any, others over them.
func (l *Line) atClient(cs, over []char, client LineSettings) []char {
	swapped := l.lineFaults().Swapped
	if client == l.settings && len(over) == 0 && !swapped {
		return cs
	}
	end := cs[len(cs)-1].end
	one, other := l.settings.level(cs), l.settings.level(over)
	if len(over) > 0 {
		end = max(end, over[len(over)-1].end)
	}
	heard, errs := client.receive(func(at time.Duration) bool { return (one(at) && other(at)) != swapped }, end+client.Timing().Wire(1))
	l.count(func(c *Counters) { c.Received = plus(c.Received, errs) })
	return heard
}

func plus(a, b serial.LineErrors) serial.LineErrors {
	a.Frame += b.Frame
	a.Parity += b.Parity
	a.Break += b.Break
	return a
}

func bytesOf(cs []char) []byte {
	b := make([]byte, len(cs))
	for i := range cs {
		b[i] = cs[i].b
	}
	return b
}

package bus

import (
	"slices"
	"time"

	"skyhaul/modbus"
)

// Cost says what a read of one unit costs on its line or endpoint, and what no
// plan may do.
type Cost struct {
	Exchange   time.Duration // what every read takes: request, frame around the values, silence before them
	Turnaround time.Duration // what the unit adds to that, as [UnitStats.Turnaround] counts it
	Byte       time.Duration // what each byte of values adds

	// MaxRegisters is the greatest quantity the unit serves; 0 is 125. Items of
	// its own count by their bytes. MaxBits is likewise for coils and discrete
	// inputs; 0 is 2000.
	MaxRegisters, MaxBits int

	// Longest bounds how long a merged block may hold the line, and so how long
	// an urgent request may wait; 0 is no bound. A single range may take longer.
	Longest time.Duration

	Dialect   modbus.Dialect // no block crosses a border of it
	Avoid     []Range        // no block touches them
	Exclusive []Range        // read alone and whole or not at all, as where a read clears them; may not touch each other
}

// Cost returns what reads cost on this line where a unit begins its answer after
// turnaround.
func (o *Options) Cost(turnaround time.Duration) Cost {
	const (
		request = 5 // function, address, quantity
		answer  = 2 // function, byte count
	)
	c := Cost{Exchange: o.wire(request) + o.wire(answer), Turnaround: turnaround, Byte: o.Timing.Wire(1)}
	if o.ascii() {
		c.Byte *= 2
	} else {
		c.Exchange += o.Timing.T35()
	}
	return c
}

// NewCost returns what reads cost on an RTU line of this timing, the zero value
// for an endpoint, where a unit begins its answer after turnaround.
func NewCost(t modbus.LineTiming, turnaround time.Duration) Cost {
	return (&Options{Timing: t}).Cost(turnaround)
}

// wire returns how long a PDU of n bytes takes with the frame around it. On an
// endpoint, which has no timing, it takes no time.
func (o *Options) wire(n int) time.Duration {
	if o.ascii() {
		return o.Timing.Wire(1 + 2*(1+n+1) + 2) // colon, unit id, PDU, LRC, CR LF. Serial, section 2.5.2
	}
	return o.Timing.Wire(1 + n + 2) // unit id, PDU, CRC
}

func (o *Options) ascii() bool {
	return o.Framing == modbus.ASCII || o.Framing == modbus.ASCIIOverTCP
}

// most returns the greatest quantity of one read of items like those of r.
func (c Cost) most(r Range) int {
	if r.Function.Bits() {
		return least(modbus.MaxReadBits, c.MaxBits)
	}
	most := least(modbus.MaxReadRegisters, c.MaxRegisters)
	if r.ItemBytes > 0 {
		return 2 * most / r.ItemBytes
	}
	return most
}

// least returns the lower of two limits; 0 is none.
func least(most, limit int) int {
	if limit > 0 {
		return min(most, limit)
	}
	return most
}

// allows reports whether one request can read r without touching what is to be
// avoided.
func (c Cost) allows(r Range, avoid []Range) bool {
	return r.Function.Reads() && r.ItemBytes >= 0 && r.Quantity >= 1 && r.Quantity <= c.most(r) && r.end() <= 1<<16 &&
		!touchesAny(r, avoid) && !c.crosses(r)
}

func touchesAny(r Range, avoid []Range) bool {
	return slices.ContainsFunc(avoid, r.Touches)
}

// crosses reports whether r goes over a border of the dialect.
func (c Cost) crosses(r Range) bool {
	return !r.Function.Bits() && slices.ContainsFunc(c.Dialect, func(d modbus.Items) bool {
		first, end := int(d.First), int(d.Last)+1
		touches, inside := int(r.Addr) < end && first < r.end(), int(r.Addr) >= first && r.end() <= end
		return touches && !inside
	})
}

// floor returns the lowest address at which a block that ends with r may begin,
// where r itself is allowed.
func (c Cost) floor(r Range, avoid []Range) int {
	low := r.end() - c.most(r)
	for _, a := range avoid {
		if a.Function == r.Function && a.Addr < r.Addr {
			low = max(low, a.end())
		}
	}
	if r.Function.Bits() {
		return low
	}
	for _, d := range c.Dialect {
		switch {
		case d.Last < r.Addr:
			low = max(low, int(d.Last)+1)
		case d.First <= r.Addr:
			low = max(low, int(d.First))
		}
	}
	return low
}

// Price returns what a read of r takes.
func (c Cost) Price(r Range) time.Duration {
	return c.Exchange + c.Turnaround + time.Duration(r.Bytes())*c.Byte
}

func (c Cost) tooLong(price time.Duration) bool { return c.Longest > 0 && price > c.Longest }

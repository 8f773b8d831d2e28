package bus

import (
	"time"

	"skyhaul/modbus"
)

// Cost prices a read on one line or endpoint, for one unit.
type Cost struct {
	Exchange time.Duration // what every read takes: request, frame around the values, silences, turnaround
	Byte     time.Duration // what each byte of values adds

	MaxRegisters int // greatest quantity the unit serves; 0 is 125
	MaxBits      int // likewise for coils and discrete inputs; 0 is 2000

	// Longest bounds how long a merged block may hold the line, and so how long
	// an urgent request may wait; 0 is no bound. A single range may take longer.
	Longest time.Duration
}

// The greatest quantities of one read. V1.1b3, sections 6.1 and 6.3.
const (
	maxReadBits      = 2000
	maxReadRegisters = 125
)

// most returns the greatest quantity of one read of table f.
func (c Cost) most(f modbus.FunctionCode) int {
	most, limit := maxReadRegisters, c.MaxRegisters
	if f <= 2 {
		most, limit = maxReadBits, c.MaxBits
	}
	if limit > 0 {
		return min(most, limit)
	}
	return most
}

func (c Cost) price(r Range) time.Duration {
	bytes := 2 * r.Quantity
	if r.Function <= 2 {
		bytes = (r.Quantity + 7) / 8
	}
	return c.Exchange + time.Duration(bytes)*c.Byte
}

func (c Cost) tooLong(price time.Duration) bool { return c.Longest > 0 && price > c.Longest }

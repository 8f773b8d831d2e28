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

// NewCost returns what reads cost on a line of this timing, the zero value for
// an endpoint, where a unit begins its answer after turnaround, as
// [UnitStats.Turnaround] counts it.
func NewCost(t modbus.LineTiming, turnaround time.Duration) Cost {
	const (
		request = 8 // unit id, function, address, quantity, CRC
		frame   = 5 // unit id, function, byte count, CRC
	)
	return Cost{Exchange: t.T35() + t.Wire(request+frame) + turnaround, Byte: t.Wire(1)}
}

// most returns the greatest quantity of one read with function f.
func (c Cost) most(f modbus.FunctionCode) int {
	most, limit := modbus.MaxReadRegisters, c.MaxRegisters
	if f.Bits() {
		most, limit = modbus.MaxReadBits, c.MaxBits
	}
	if limit > 0 {
		return min(most, limit)
	}
	return most
}

// Price returns what a read of r takes.
func (c Cost) Price(r Range) time.Duration {
	bytes := 2 * r.Quantity
	if r.Function.Bits() {
		bytes = (r.Quantity + 7) / 8
	}
	return c.Exchange + time.Duration(bytes)*c.Byte
}

func (c Cost) tooLong(price time.Duration) bool { return c.Longest > 0 && price > c.Longest }

package modbus

// Items is a range of the registers of a unit, by the numbers in its requests,
// where quantity and length are not those of plain Modbus.
type Items struct {
	First, Last uint16
	// Bytes is how many each item carries: 2, 4 or 8. With -1 the quantity of a
	// read is no count of items but, for instance, the number of a record, and
	// the answer is as long as its byte count says.
	Bytes int
}

// Dialect is how a unit departs from plain Modbus: a quantity counts items of
// so many bytes each, an item has one address, and no request goes past the end
// of a range or into one. Ranges don't overlap. What lies in none of them, and
// nil as a whole, is plain Modbus. Functions 22 and 23 know no other items than
// of 2 bytes. A Dialect must not change once in use.
type Dialect []Items

// Enron is the dialect of flow computers that follow Enron or Daniel: integers
// of 16 bits are numbered 3001 to 3999, of 32 bits 5001 to 5999, and floats of
// 32 bits 7001 to 7999, each under one address; 701 to 799 are archives, where
// the quantity is the number of the record wanted, and 32 is the log of events
// and alarms, whose read is acknowledged by setting coil 32. Booleans, 1001 to
// 1999, are plain coils. Numbers are those on the wire, from which nothing is
// taken off.
//
// Some instruments let one choose how many addresses an item of 32 bits takes.
// One address is what stands here. With two or four the quantity counts
// registers of 16 bits as in plain Modbus: leave the range out. An archive is
// sometimes said to have -1, and so have its Items here.
func Enron() Dialect {
	return Dialect{
		{First: EnronLog, Last: EnronLog, Bytes: -1},
		{First: 701, Last: 799, Bytes: -1},
		{First: 3001, Last: 3999, Bytes: 2},
		{First: 5001, Last: 5999, Bytes: 4},
		{First: 7001, Last: 7999, Bytes: 4},
	}
}

// EnronLog is the number of the log of an [Enron] unit, and of the coil that
// acknowledges what was read from it.
const EnronLog = 32

// ItemBytes returns how many bytes an item at addr carries under function fc:
// 2, 4, 8 or -1 as its [Items] say, 0 where the dialect says nothing.
func (d Dialect) ItemBytes(fc FunctionCode, addr uint16) int {
	return d.items(fc, addr).Bytes
}

// items returns the range that addr is in under function fc or, outside of all,
// the stretch of plain addresses up to the next.
func (d Dialect) items(fc FunctionCode, addr uint16) Items {
	plain := Items{Last: addresses - 1}
	if fc.Bits() {
		return plain
	}
	for _, r := range d {
		switch {
		case addr >= r.First && addr <= r.Last:
			return r
		case addr < r.First:
			plain.Last = min(plain.Last, r.First-1)
		}
	}
	return plain
}

// size returns how many bytes quantity items of fc from addr on take; -1 where
// the answer tells.
func (d Dialect) size(fc FunctionCode, addr uint16, quantity int) int {
	switch n := d.ItemBytes(fc, addr); {
	case n < 0:
		return -1
	case n > 0:
		return n * quantity
	}
	return fc.size(quantity)
}

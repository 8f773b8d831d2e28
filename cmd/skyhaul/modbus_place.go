package main

import (
	"fmt"
	"math"
	"strconv"

	"skyhaul/modbus"
)

// place is an item in a table of a unit.
type place struct {
	table table
	addr  uint16 // on the wire
}

// table is one of the four address spaces, with the digit that begins its
// numbers in the notation that Modicon gave them.
type table struct {
	name  string
	digit int
	read  modbus.FunctionCode
}

var tables = []table{
	{"holding", 4, modbus.FuncReadHoldingRegisters},
	{"input", 3, modbus.FuncReadInputRegisters},
	{"coil", 0, modbus.FuncReadCoils},
	{"discrete", 1, modbus.FuncReadDiscreteInputs},
}

// tableOf returns the table that a reading function works on.
func tableOf(fc modbus.FunctionCode) table {
	for _, t := range tables {
		if t.read == fc {
			return t
		}
	}
	return tables[0]
}

// number returns the Modicon number of an address: 40001 for the first holding
// register, six digits where five don't reach.
func (t table) number(addr uint16) int {
	if addr < 9999 {
		return t.digit*10_000 + int(addr) + 1
	}
	return t.digit*100_000 + int(addr) + 1
}

// String names a place in both ways of counting.
func (p place) String() string {
	return fmt.Sprintf("%s %d (wire %d)", p.table.name, p.table.number(p.addr), p.addr)
}

// parsePlace reads "holding 40101" or, zero-based, "holding 100". It never
// guesses which of the two is meant.
func parsePlace(name, number string, zeroBased bool) (place, error) {
	p := place{table: table{digit: -1}}
	for _, t := range tables {
		if t.name == name {
			p.table = t
		}
	}
	if p.table.digit < 0 {
		return place{}, usageError{fmt.Errorf("table %q: holding, input, coil or discrete", name)}
	}
	n, err := strconv.ParseUint(number, 10, 32)
	if err != nil {
		return place{}, usageError{fmt.Errorf("address %q is no number", number)}
	}
	if zeroBased {
		if n > math.MaxUint16 {
			return place{}, usageError{fmt.Errorf("address %d: with --zero-based it is the number on the wire, 0 to 65535", n)}
		}
		p.addr = uint16(n)
		return p, nil
	}
	return p.modicon(int(n))
}

func (p place) modicon(n int) (place, error) {
	for _, step := range []int{10_000, 100_000} {
		first := p.table.digit*step + 1
		if n >= first && n < first+min(step-1, math.MaxUint16+1) {
			p.addr = uint16(n - first)
			return p, nil
		}
	}
	for _, t := range tables {
		if t.digit > 0 && n > t.digit*10_000 && n < (t.digit+1)*10_000 {
			return place{}, usageError{fmt.Errorf("address %d is not in table %s, which begins at %d, and %s at %d", n,
				p.table.name, p.table.number(0), t.name, t.number(0))}
		}
	}
	if n > math.MaxUint16 {
		return place{}, usageError{fmt.Errorf("address %d is in no table: %s begins at %d", n, p.table.name, p.table.number(0))}
	}
	return place{}, usageError{fmt.Errorf("address %d is not in table %s, which begins at %d: say %d if it counts from 1, "+
		"or --zero-based if it is the number on the wire", n, p.table.name, p.table.number(0), p.table.number(uint16(max(n-1, 0))))}
}

package survey

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"skyhaul/modbus"
)

// Block is registers that were read.
type Block struct {
	Function  modbus.FunctionCode
	Addr      uint16 // of the first
	Registers []uint16
}

// Expected is a value as an instrument shows it.
type Expected struct {
	value float64
	step  float64 // one unit of the last digit shown
}

// ParseExpected reads what stands on a display, such as "23.5". Zero is
// refused, for it is everywhere.
func ParseExpected(s string) (Expected, error) {
	v, err := strconv.ParseFloat(s, 64)
	switch {
	case err != nil || math.IsInf(v, 0) || math.IsNaN(v):
		return Expected{}, fmt.Errorf("%q is no number such as 23.5", s)
	case v == 0:
		return Expected{}, errors.New("0 is everywhere: wait until the instrument shows something else")
	}
	mantissa, exponent, _ := strings.Cut(strings.ToLower(s), "e")
	power, _ := strconv.Atoi(exponent)
	if _, decimals, ok := strings.Cut(mantissa, "."); ok {
		power -= len(decimals)
	}
	return Expected{v, math.Pow10(power)}, nil
}

// Match is a reading that shows an expected value.
type Match struct {
	Function modbus.FunctionCode
	Addr     uint16
	Encoding Encoding
	Power    int    // the value is what the registers hold times ten to this
	Value    string // what the registers hold
	padded   bool   // it is an integer that would fit fewer registers
}

// maxPower bounds the scales that are tried.
const maxPower = 4

// Find returns the readings of blocks that show what is expected, give or take
// its last digit, the best first: near the address that was meant, in its
// table, in a usual order, without a scale.
func Find(want Expected, meant modbus.FunctionCode, addr uint16, blocks []Block) (ms []Match) {
	for _, b := range blocks {
		for _, width := range []int{1, 2, 4} {
			for _, e := range encodings(width) {
				for at := 0; at+width <= len(b.Registers); at++ {
					if m, ok := want.match(e, b.Registers[at:at+width]); ok {
						m.Function, m.Addr = b.Function, b.Addr+uint16(at)
						ms = append(ms, m)
					}
				}
			}
		}
	}
	slices.SortStableFunc(ms, func(a, b Match) int {
		return cmp.Compare(a.cost(meant, addr), b.cost(meant, addr))
	})
	return ms
}

// match tries all scales.
func (x Expected) match(e Encoding, regs []uint16) (Match, bool) {
	text, v, err := e.Value(regs)
	if err != nil || v == 0 || math.IsNaN(v) || math.IsInf(v, 0) || v > 0 && e.kind.signed() {
		return Match{}, false // what is positive is found unsigned
	}
	for power := -maxPower; power <= maxPower; power++ {
		if math.Abs(v*math.Pow10(power)-x.value) <= x.step*(1+1e-9) {
			return Match{Encoding: e, Power: power, Value: text, padded: padded(e, v)}, true
		}
	}
	return Match{}, false
}

func padded(e Encoding, v float64) bool {
	return !isFloat(e) && !e.kind.bcd && e.kind.registers > 1 && math.Abs(v) < float64(uint64(1)<<(8*e.kind.registers))
}

// cost ranks matches: less is likelier.
func (m Match) cost(meant modbus.FunctionCode, addr uint16) int {
	c := 2 * abs(int(m.Addr)-int(addr))
	if m.Function != meant {
		c += 3
	}
	if m.Power != 0 {
		c += 2 + abs(m.Power)
		if isFloat(m.Encoding) {
			c += 3
		}
	}
	switch order := m.Encoding.order.String(); {
	case order[0] == 'A':
	case order == "CDAB" || order == "GHEFCDAB":
		c++
	default:
		c += 3
	}
	if m.Encoding.kind.bcd || m.Encoding.kind.registers == 4 {
		c += 2
	}
	if m.padded {
		c += 3
	}
	return c
}

func abs(n int) int { return max(n, -n) }

// around is how far a list may be off, in registers.
const around = 2

// Around reads the registers from two before to two behind an address, with
// room for the widest value, from both tables of registers. What the unit
// declines is left out. The error is that of the last request where nothing
// could be read.
func Around(ctx context.Context, ask Ask, unit modbus.UnitID, addr uint16) (blocks []Block, err error) {
	first := max(0, int(addr)-around)
	last := min(math.MaxUint16, int(addr)+around+3)
	for _, fc := range []modbus.FunctionCode{modbus.FuncReadHoldingRegisters, modbus.FuncReadInputRegisters} {
		bs, e := readable(ctx, ask, unit, fc, first, last)
		blocks = append(blocks, bs...)
		err = cmp.Or(e, err)
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
	}
	if len(blocks) > 0 {
		return blocks, nil
	}
	return nil, err
}

// readable reads registers first to last in one block, or in the pieces that
// the unit serves.
func readable(ctx context.Context, ask Ask, unit modbus.UnitID, fc modbus.FunctionCode, first, last int) ([]Block, error) {
	regs, err := ReadRegisters(ctx, ask, unit, fc, uint16(first), last-first+1)
	if err == nil {
		return []Block{{fc, uint16(first), regs}}, nil
	}
	e, declined := errors.AsType[modbus.Exception](err)
	if !declined || e == modbus.IllegalFunction || first == last {
		return nil, err
	}
	// Halves, not single registers: some units serve pairs only.
	middle := first + (last-first)/2
	left, err1 := readable(ctx, ask, unit, fc, first, middle)
	right, err2 := readable(ctx, ask, unit, fc, middle+1, last)
	return joined(append(left, right...)), cmp.Or(err1, err2)
}

// joined puts blocks together that touch.
func joined(bs []Block) (out []Block) {
	for _, b := range bs {
		if n := len(out); n > 0 && int(out[n-1].Addr)+len(out[n-1].Registers) == int(b.Addr) {
			out[n-1].Registers = append(out[n-1].Registers, b.Registers...)
			continue
		}
		out = append(out, b)
	}
	return out
}

// ReadRegisters reads quantity registers with function code 3 or 4.
func ReadRegisters(ctx context.Context, ask Ask, unit modbus.UnitID, fc modbus.FunctionCode, addr uint16, quantity int) ([]uint16, error) {
	req, err := modbus.ReadRequest(fc, addr, quantity)
	if err != nil {
		return nil, err
	}
	a, err := ask(ctx, unit, req)
	if err != nil {
		return nil, err
	}
	return modbus.Registers(a.PDU)
}

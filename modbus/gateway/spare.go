package gateway

import (
	"slices"

	"skyhaul/modbus"
	"skyhaul/modbus/bus"
)

// queueReach is how many registers function 24 reads at most: the count and the
// queue behind it. V1.1b3, section 6.18.
const queueReach = 32

// spares reports whether a request reads what no client may read on the line: any
// of a range to avoid, or an exclusive one but for a whole one by itself.
func (g *Gateway) spares(unit modbus.UnitID, r modbus.Request) bool {
	reads, ok := g.reads(unit, r)
	if !ok {
		return false
	}
	touched := func(o bus.Range) bool { return reads.Touches(o) }
	if slices.ContainsFunc(g.o.Avoid[unit], touched) {
		return true
	}
	return slices.ContainsFunc(g.o.Exclusive[unit], touched) && !g.whole(unit, r)
}

// whole reports whether a request reads an exclusive range by itself.
func (g *Gateway) whole(unit modbus.UnitID, r modbus.Request) bool {
	return slices.ContainsFunc(g.o.Exclusive[unit], func(o bus.Range) bool {
		return o.Function == r.Function && o.Addr == r.Addr && o.Quantity == r.Quantity
	})
}

// reads returns what a request reads of a table; ok is false if it reads none.
func (g *Gateway) reads(unit modbus.UnitID, r modbus.Request) (reads bus.Range, ok bool) {
	switch {
	case r.Function.Reads() && g.o.Dialects[unit].ItemBytes(r.Function, r.Addr) < 0:
		return bus.Range{Function: r.Function, Addr: r.Addr, Quantity: 1}, true // its quantity is no count
	case r.Function.Reads():
		return bus.Range{Function: r.Function, Addr: r.Addr, Quantity: r.Quantity}, true
	case r.Function == modbus.FuncReadWriteRegisters:
		return bus.Range{Function: modbus.FuncReadHoldingRegisters, Addr: r.ReadAddr, Quantity: r.ReadQuantity}, true
	case r.Function == modbus.FuncReadQueue:
		return bus.Range{Function: modbus.FuncReadHoldingRegisters, Addr: r.Addr, Quantity: queueReach}, true
	}
	return reads, false
}

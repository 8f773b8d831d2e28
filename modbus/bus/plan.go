package bus

import (
	"cmp"
	"slices"
	"time"

	"skyhaul/modbus"
)

// Range is a run of coils, discrete inputs or registers that is read by one
// request or not at all: a value of several registers must not be torn.
type Range struct {
	Function modbus.FunctionCode // 1 to 4: it names the table
	Addr     uint16
	Quantity int // at least 1; Addr+Quantity is at most 65536
}

// end is the address after the last one: up to 65536, hence no uint16.
func (r Range) end() int { return int(r.Addr) + r.Quantity }

// Touches reports whether r and o have an address of the same table in common.
func (r Range) Touches(o Range) bool {
	return r.Function == o.Function && int(r.Addr) < o.end() && int(o.Addr) < r.end()
}

// hull returns the smallest range around r and o.
func (r Range) hull(o Range) Range {
	from := min(r.Addr, o.Addr)
	return Range{r.Function, from, max(r.end(), o.end()) - int(from)}
}

// Block is one read request and what it is for.
type Block struct {
	Range
	Holds []int // indexes of the wanted ranges inside, by address
}

// Split cuts a block into two that hold half of its wanted ranges each, to find
// what made the unit refuse the whole; ok is false for a block of one range.
// If the unit answers both halves, the addresses between them are the hole.
// The given ranges are those the block was planned from.
func (b Block) Split(want []Range) (left, right Block, ok bool) {
	if len(b.Holds) < 2 {
		return b, Block{}, false
	}
	half := len(b.Holds) / 2
	return around(want, b.Holds[:half]), around(want, b.Holds[half:]), true
}

func around(want []Range, holds []int) Block {
	r := want[holds[0]]
	for _, i := range holds[1:] {
		r = r.hull(want[i])
	}
	return Block{r, slices.Clone(holds)}
}

// Plan returns the reads that fetch the wanted ranges of one unit in the least
// time, by table and address. Every block spans at most the quantity its cost
// allows, and none touches a range to avoid. A wanted range that can't be read
// (empty, longer than the greatest quantity, past address 65535, not a read
// function, or touching a range to avoid) is in no block.
func Plan(want []Range, cost Cost, avoid []Range) []Block {
	var blocks []Block
	for f := modbus.FuncReadCoils; f <= modbus.FuncReadInputRegisters; f++ {
		holds := readable(want, f, cost, avoid)
		blocks = append(blocks, plan(want, holds, cost, avoid)...)
	}
	return blocks
}

// readable returns the indexes of the ranges of table f that one request can
// fetch, by address, the longer first.
func readable(want []Range, f modbus.FunctionCode, cost Cost, avoid []Range) []int {
	var holds []int
	for i, r := range want {
		if r.Function != f || r.Quantity < 1 || r.Quantity > cost.most(f) || r.end() > 1<<16 || touchesAny(r, avoid) {
			continue
		}
		holds = append(holds, i)
	}
	slices.SortFunc(holds, func(a, b int) int {
		return cmp.Or(cmp.Compare(want[a].Addr, want[b].Addr), cmp.Compare(want[b].Quantity, want[a].Quantity), cmp.Compare(a, b))
	})
	return holds
}

func touchesAny(r Range, avoid []Range) bool {
	return slices.ContainsFunc(avoid, r.Touches)
}

// plan is exact. Ranges inside others ride along for nothing, and what is left
// rises in both start and end. Then some best plan cuts that order into runs:
// where two blocks cross, a range of one lies inside the hull of the other.
func plan(want []Range, holds []int, cost Cost, avoid []Range) []Block {
	starts := outermost(want, holds)
	best := make([]step, len(starts)+1)
	for i := range starts {
		best[i+1] = bestStep(i, best, func(j int) Range { return want[holds[starts[j]]] }, cost, avoid)
	}
	var blocks []Block
	end := len(holds)
	for i := len(starts); i > 0; i = best[i].from {
		start := starts[best[i].from]
		blocks = append(blocks, around(want, holds[start:end]))
		end = start
	}
	slices.Reverse(blocks)
	return blocks
}

// outermost returns the positions in holds of the ranges that no other
// contains; what stands between two of them lies inside the first.
func outermost(want []Range, holds []int) []int {
	var starts []int
	end := 0
	for k, i := range holds {
		if want[i].end() > end {
			starts, end = append(starts, k), want[i].end()
		}
	}
	return starts
}

// step is the cheapest way to read the first ranges: its last block begins
// with range number from.
type step struct {
	from int
	time time.Duration
}

// bestStep finds the cheapest last block that ends with range i.
func bestStep(i int, best []step, outer func(int) Range, cost Cost, avoid []Range) step {
	block := outer(i)
	s := step{i, best[i].time + cost.Price(block)}
	for j := i - 1; j >= 0; j-- {
		block = block.hull(outer(j))
		price := cost.Price(block)
		if block.Quantity > cost.most(block.Function) || cost.tooLong(price) || touchesAny(block, avoid) {
			break // and so is every longer block
		}
		if t := best[j].time + price; t <= s.time {
			s = step{j, t}
		}
	}
	return s
}

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
	Quantity int // items, at least 1; Addr+Quantity is at most 65536

	// ItemBytes is how many bytes an item takes where the unit's dialect counts
	// otherwise than the function; 0: as the function has it. A negative one
	// marks what can't be planned, since its quantity is no count.
	ItemBytes int
}

// end is the address after the last one: up to 65536, hence no uint16.
func (r Range) end() int { return int(r.Addr) + r.Quantity }

// Bytes returns how many bytes of values r takes.
func (r Range) Bytes() int {
	switch {
	case r.ItemBytes != 0:
		return r.Quantity * r.ItemBytes
	case r.Function.Bits():
		return (r.Quantity + 7) / 8
	}
	return 2 * r.Quantity
}

// Touches reports whether r and o have an address of the same table in common.
func (r Range) Touches(o Range) bool {
	return r.Function == o.Function && int(r.Addr) < o.end() && int(o.Addr) < r.end()
}

// Contains reports whether one request for r fetches o as well.
func (r Range) Contains(o Range) bool {
	return r.mixes(o) && r.Addr <= o.Addr && o.end() <= r.end()
}

// mixes reports whether r and o can be in one block.
func (r Range) mixes(o Range) bool { return r.Function == o.Function && r.ItemBytes == o.ItemBytes }

// hull returns the smallest range around r and o.
func (r Range) hull(o Range) Range {
	from := min(r.Addr, o.Addr)
	r.Quantity = max(r.end(), o.end()) - int(from)
	r.Addr = from
	return r
}

// Block is one read request and what it is for.
type Block struct {
	Range
	Holds []int // indexes of the wanted ranges inside, by address
	Alone bool  // it is an exclusive range, to be read as it is
}

// Split cuts a block into two that hold half of its wanted ranges each, to find
// what made the unit refuse the whole; ok is false for a block of one range and
// for an exclusive one.
// If the unit answers both halves, the addresses between them are the hole.
// The given ranges are those the block was planned from.
func (b Block) Split(want []Range) (left, right Block, ok bool) {
	if len(b.Holds) < 2 || b.Alone {
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
	return Block{Range: r, Holds: slices.Clip(holds)}
}

// Plan returns the reads that fetch the wanted ranges of one unit in the least
// time, by table, bytes an item and address. Ranges of different ItemBytes share
// no block. Every block spans at most the quantity its cost allows, crosses no
// border of the dialect, and touches no range to avoid, of the cost or of the
// caller. A wanted range that lies in one of the cost's exclusive ranges is
// fetched by a block that is that range; no other block touches it. A wanted
// range that can't be read (empty, longer than the greatest quantity, past
// address 65535, not a read function, no count, or touching what it mustn't) is
// in no block.
func Plan(want []Range, cost Cost, avoid []Range) []Block {
	avoid = slices.Concat(avoid, cost.Avoid)
	alone := exclusive(want, cost, avoid)
	avoid = append(avoid, cost.Exclusive...)
	var blocks []Block
	for _, holds := range tables(want) {
		holds = slices.DeleteFunc(holds, func(i int) bool { return !cost.allows(want[i], avoid) })
		blocks = plan(blocks, want, holds, cost, avoid)
	}
	if alone != nil {
		blocks = append(blocks, alone...)
		slices.SortFunc(blocks, func(a, b Block) int { return compare(&a.Range, &b.Range) })
	}
	return blocks
}

// exclusive returns the blocks of ranges that are read alone.
func exclusive(want []Range, cost Cost, avoid []Range) (blocks []Block) {
	for _, e := range cost.Exclusive {
		if !cost.allows(e, avoid) {
			continue
		}
		b := Block{Range: e, Alone: true}
		for i, r := range want {
			if r.Quantity > 0 && e.Contains(r) {
				b.Holds = append(b.Holds, i)
			}
		}
		if b.Holds != nil {
			blocks = append(blocks, b)
		}
	}
	return blocks
}

// tables returns the indexes of the ranges that may share a block, by address,
// the longer first.
func tables(want []Range) (ts [][]int) {
	all := make([]int, len(want))
	for i := range all {
		all[i] = i
	}
	slices.SortStableFunc(all, func(a, b int) int { return compare(&want[a], &want[b]) })
	start := 0
	for k := range all {
		if k+1 == len(all) || !want[all[k]].mixes(want[all[k+1]]) {
			ts = append(ts, all[start:k+1:k+1])
			start = k + 1
		}
	}
	return ts
}

// compare orders ranges by table, bytes an item and address, the longer first.
func compare(a, b *Range) int {
	switch {
	case a.Function != b.Function:
		return cmp.Compare(a.Function, b.Function)
	case a.ItemBytes != b.ItemBytes:
		return cmp.Compare(a.ItemBytes, b.ItemBytes)
	case a.Addr != b.Addr:
		return cmp.Compare(a.Addr, b.Addr)
	}
	return cmp.Compare(b.Quantity, a.Quantity)
}

// plan appends the blocks of ranges that may share some. It is exact: ranges inside others ride along for nothing, and what is left
// rises in both start and end. Then some best plan cuts that order into runs:
// where two blocks cross, a range of one lies inside the hull of the other.
func plan(blocks []Block, want []Range, holds []int, cost Cost, avoid []Range) []Block {
	outer, starts := outermost(want, holds)
	best := make([]step, len(outer)+1)
	for i := range outer {
		best[i+1] = bestStep(outer[:i+1], best, cost, avoid)
	}
	first, end := len(blocks), len(holds)
	for i := len(outer); i > 0; i = best[i].from {
		start := starts[best[i].from]
		blocks = append(blocks, around(want, holds[start:end]))
		end = start
	}
	slices.Reverse(blocks[first:])
	return blocks
}

// outermost returns the ranges that no other contains, and their positions in
// holds; what stands between two of them lies inside the first.
func outermost(want []Range, holds []int) (outer []Range, starts []int) {
	outer, starts = make([]Range, 0, len(holds)), make([]int, 0, len(holds))
	end := 0
	for k, i := range holds {
		if want[i].end() > end {
			outer, starts, end = append(outer, want[i]), append(starts, k), want[i].end()
		}
	}
	return outer, starts
}

// step is the cheapest way to read the first ranges: its last block begins
// with range number from.
type step struct {
	from int
	time time.Duration
}

// bestStep finds the cheapest last block that ends with the last of the ranges.
func bestStep(outer []Range, best []step, cost Cost, avoid []Range) step {
	i := len(outer) - 1
	block, end, floor := outer[i], outer[i].end(), cost.floor(outer[i], avoid)
	s := step{i, best[i].time + cost.Price(block)}
	for j := i - 1; j >= 0 && int(outer[j].Addr) >= floor; j-- {
		block.Addr, block.Quantity = outer[j].Addr, end-int(outer[j].Addr)
		price := cost.Price(block)
		if cost.tooLong(price) {
			break // and so is every longer block
		}
		if t := best[j].time + price; t <= s.time {
			s = step{j, t}
		}
	}
	return s
}

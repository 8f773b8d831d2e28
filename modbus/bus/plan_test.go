package bus

import (
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"skyhaul/modbus"
)

// at9600 is the cost at 9600 baud 8N1 where a unit takes 5 ms beyond the silence
// of 3.5 characters.
var at9600 = NewCost(line9600, line9600.T35()+5*time.Millisecond)

func TestCostIsTheTimeOnTheWire(t *testing.T) {
	char := line9600.Wire(1)
	for quantity, chars := range map[int]time.Duration{1: 22, 10: 40, 125: 270} { // 8 + 5 + 2n + 2 * 3.5
		got := at9600.Price(holding(0, quantity))
		if want := chars*char + 5*time.Millisecond; (got - want).Abs() > time.Microsecond {
			t.Errorf("%d registers cost %v, want %v", quantity, got, want)
		}
	}
	ascii := Options{Framing: modbus.ASCII, Timing: line9600}
	if got, want := ascii.Cost(5*time.Millisecond).Price(holding(0, 10)), line9600.Wire(17+11+40)+5*time.Millisecond; got != want {
		t.Errorf("10 registers cost %v in ASCII, want %v", got, want)
	}
	if got, want := NewCost(modbus.LineTiming{}, time.Millisecond).Price(Range{Function: 1, Addr: 0, Quantity: 2000}), time.Millisecond; got != want {
		t.Errorf("2000 coils of an endpoint cost %v, want %v", got, want)
	}
}

func holding(addr, quantity int) Range {
	return Range{Function: 3, Addr: uint16(addr), Quantity: quantity}
}

func TestPlanKeepsWhatItMustKeep(t *testing.T) {
	tests := []struct {
		name  string
		want  []Range
		cost  Cost
		avoid []Range
		plan  []Block
	}{
		{"nothing", nil, at9600, nil, nil},
		{
			"a gap of 12 registers costs less than a request, one of 13 more",
			[]Range{holding(0, 2), holding(14, 2), holding(29, 2)},
			at9600, nil,
			[]Block{{Range: holding(0, 16), Holds: []int{0, 1}}, {Range: holding(29, 2), Holds: []int{2}}},
		},
		{
			"duplicates, overlaps and ranges inside others are read once",
			[]Range{holding(10, 4), holding(10, 4), holding(11, 1), holding(12, 4)},
			at9600, nil,
			[]Block{{Range: holding(10, 6), Holds: []int{0, 1, 2, 3}}},
		},
		{
			"a range inside another follows it across a cut",
			[]Range{holding(0, 100), holding(90, 4), holding(95, 100)},
			at9600, nil,
			[]Block{{Range: holding(0, 100), Holds: []int{0, 1}}, {Range: holding(95, 100), Holds: []int{2}}},
		},
		{
			"125 registers fit, 126 don't",
			[]Range{holding(0, 1), holding(124, 1), holding(125, 1)},
			Cost{Exchange: time.Second},
			nil,
			[]Block{{Range: holding(0, 1), Holds: []int{0}}, {Range: holding(124, 2), Holds: []int{1, 2}}},
		},
		{
			"tables apart",
			[]Range{{Function: 4, Addr: 0, Quantity: 1}, {Function: 3, Addr: 0, Quantity: 1}, {Function: 2, Addr: 0, Quantity: 1}, {Function: 1, Addr: 0, Quantity: 1}},
			at9600, nil,
			[]Block{{Range: Range{Function: 1, Addr: 0, Quantity: 1}, Holds: []int{3}}, {Range: Range{Function: 2, Addr: 0, Quantity: 1}, Holds: []int{2}}, {Range: Range{Function: 3, Addr: 0, Quantity: 1}, Holds: []int{1}}, {Range: Range{Function: 4, Addr: 0, Quantity: 1}, Holds: []int{0}}},
		},
		{
			"the last address",
			[]Range{holding(65530, 2), holding(65534, 2), holding(65535, 2)},
			at9600, nil,
			[]Block{{Range: holding(65530, 6), Holds: []int{0, 1}}},
		},
		{
			"never across a hole, nor what touches one",
			[]Range{holding(0, 2), holding(2, 2), holding(5, 2), holding(6, 2)},
			at9600,
			[]Range{holding(4, 1), holding(7, 9), {Function: 4, Addr: 0, Quantity: 9}},
			[]Block{{Range: holding(0, 4), Holds: []int{0, 1}}, {Range: holding(5, 2), Holds: []int{2}}},
		},
		{
			"what no request can read is in no block",
			[]Range{holding(0, 126), holding(5, 0), {Function: 6, Addr: 1, Quantity: 1}, {Function: 1, Addr: 0, Quantity: 2001}, holding(7, 1)},
			at9600, nil,
			[]Block{{Range: holding(7, 1), Holds: []int{4}}},
		},
		{
			"the unit's own limit",
			[]Range{holding(0, 40), holding(40, 21), {Function: 1, Addr: 0, Quantity: 9}, {Function: 1, Addr: 9, Quantity: 8}},
			Cost{Exchange: time.Second, MaxRegisters: 60, MaxBits: 16},
			nil,
			[]Block{{Range: Range{Function: 1, Addr: 0, Quantity: 9}, Holds: []int{2}}, {Range: Range{Function: 1, Addr: 9, Quantity: 8}, Holds: []int{3}}, {Range: holding(0, 40), Holds: []int{0}}, {Range: holding(40, 21), Holds: []int{1}}},
		},
		{
			"no merged block longer than allowed, but a single range may be",
			[]Range{holding(0, 30), holding(30, 4), holding(34, 4), holding(38, 4)},
			Cost{Exchange: 10, Byte: 1, Longest: 26},
			nil,
			[]Block{{Range: holding(0, 30), Holds: []int{0}}, {Range: holding(30, 4), Holds: []int{1}}, {Range: holding(34, 8), Holds: []int{2, 3}}},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.plan, Plan(tt.want, tt.cost, tt.avoid)); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

func TestPlanIsAsFastAsTheBestOfAllPlans(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 2))
	for range 5000 {
		want, cost, avoid := randomMap(rng)
		got := Plan(want, cost, avoid)
		checkPlan(t, want, cost, avoid, got)
		if got, best := total(got, cost), bestOfAll(want, cost, avoid); got != best {
			t.Fatalf("Plan(%v, %+v, %v) takes %d, the best takes %d", want, cost, avoid, got, best)
		}
	}
}

// randomMap makes ranges of two tables at either end of the address space, some
// with items of four bytes, limits, and ranges to leave alone.
func randomMap(rng *rand.Rand) (want []Range, cost Cost, avoid []Range) {
	base := rng.IntN(2) * (1<<16 - 40)
	randomRange := func(longest int) Range {
		addr := base + rng.IntN(40)
		r := Range{Function: modbus.FunctionCode(2 + rng.IntN(2)), Addr: uint16(addr), Quantity: 1 + rng.IntN(min(longest, 1<<16-addr))}
		if rng.IntN(4) == 0 && !r.Function.Bits() {
			r.ItemBytes = 4
		}
		return r
	}
	for range 1 + rng.IntN(6) {
		want = append(want, randomRange(12))
	}
	for range rng.IntN(3) {
		avoid = append(avoid, randomRange(3))
	}
	cost = Cost{Exchange: time.Duration(rng.IntN(30)), Byte: time.Duration(1 + rng.IntN(3)), MaxRegisters: 5 + rng.IntN(30), MaxBits: 5 + rng.IntN(30)}
	if rng.IntN(3) == 0 {
		cost.Longest = time.Duration(20 + rng.IntN(60))
	}
	if rng.IntN(3) == 0 {
		cost.Avoid = append(cost.Avoid, randomRange(3))
	}
	if rng.IntN(3) == 0 {
		cost.Exclusive = append(cost.Exclusive, randomRange(6))
	}
	if rng.IntN(3) == 0 {
		first := base + rng.IntN(30)
		cost.Dialect = modbus.Dialect{{First: uint16(first), Last: uint16(first + rng.IntN(10)), Bytes: 4}}
	}
	return want, cost, avoid
}

// legal says by the words of the rules whether one request may be for r; alone
// says that r is an exclusive range.
func legal(r Range, cost Cost, avoid []Range, alone bool) bool {
	most := map[bool]int{true: cost.MaxBits, false: cost.MaxRegisters}[r.Function.Bits()]
	if r.ItemBytes == 4 {
		most /= 2
	}
	forbidden := slices.Concat(avoid, cost.Avoid)
	if !alone {
		forbidden = append(forbidden, cost.Exclusive...)
	}
	ok := r.Quantity <= most
	inDialect := map[bool]int{}
	for addr := int(r.Addr); addr < int(r.Addr)+r.Quantity; addr++ {
		for _, f := range forbidden {
			ok = ok && (f.Function != r.Function || addr < int(f.Addr) || addr >= int(f.Addr)+f.Quantity)
		}
		for _, d := range cost.Dialect {
			inDialect[addr >= int(d.First) && addr <= int(d.Last)]++
		}
	}
	return ok && (len(inDialect) < 2 || r.Function.Bits())
}

// aloneIn returns the exclusive range by which r is to be read, if that may be.
func aloneIn(r Range, cost Cost, avoid []Range) (Range, bool) {
	for _, e := range cost.Exclusive {
		if e.Function == r.Function && e.ItemBytes == r.ItemBytes && e.Addr <= r.Addr && r.end() <= e.end() && legal(e, cost, avoid, true) {
			return e, true
		}
	}
	return Range{}, false
}

// checkPlan fails unless each range that can be read is in exactly one block
// that spans it, and every block is allowed.
func checkPlan(t *testing.T, want []Range, cost Cost, avoid []Range, plan []Block) {
	t.Helper()
	held := make([]int, len(want))
	for _, b := range plan {
		for _, i := range b.Holds {
			held[i]++
			if e, alone := aloneIn(want[i], cost, avoid); b.Alone != alone || alone && b.Range != e {
				t.Fatalf("block %+v holds %v, which is to be read by %v: %v", b, want[i], e, alone)
			}
			if b.hull(want[i]) != b.Range || !b.mixes(want[i]) {
				t.Fatalf("block %v holds %v, which it doesn't span", b, want[i])
			}
		}
		// The ranges are short enough that few blocks are longer for one of them.
		tooLong := cost.tooLong(cost.Price(b.Range)) && b.Quantity > 12
		if !legal(b.Range, cost, avoid, b.Alone) || b.end() > 1<<16 || tooLong {
			t.Fatalf("block %v isn't allowed by %+v, %v", b, cost, avoid)
		}
	}
	for i, r := range want {
		_, alone := aloneIn(r, cost, avoid)
		readable := alone || legal(r, cost, avoid, false)
		if readable && held[i] != 1 || !readable && held[i] != 0 {
			t.Fatalf("range %v (can be read: %v) is in %d blocks", r, readable, held[i])
		}
	}
}

func total(plan []Block, cost Cost) (sum time.Duration) {
	for _, b := range plan {
		sum += cost.Price(b.Range)
	}
	return sum
}

// bestOfAll tries every way to share the ranges out among blocks.
func bestOfAll(want []Range, cost Cost, avoid []Range) time.Duration {
	var shared, alone []Range
	for _, r := range want {
		if e, ok := aloneIn(r, cost, avoid); ok {
			if !slices.Contains(alone, e) {
				alone = append(alone, e)
			}
		} else if legal(r, cost, avoid, false) {
			shared = append(shared, r)
		}
	}
	best := time.Duration(1 << 60)
	var share func(i int, blocks []Range)
	share = func(i int, blocks []Range) {
		if i == len(shared) {
			var sum time.Duration
			for _, b := range blocks {
				sum += cost.Price(b)
			}
			best = min(best, sum)
			return
		}
		for k, b := range blocks {
			if b.Function != shared[i].Function || b.ItemBytes != shared[i].ItemBytes {
				continue
			}
			h := b.hull(shared[i])
			short := !cost.tooLong(cost.Price(h)) || h == shared[i] || h == b
			if legal(h, cost, avoid, false) && short {
				blocks[k] = h
				share(i+1, blocks)
				blocks[k] = b
			}
		}
		share(i+1, append(blocks, shared[i]))
	}
	share(0, alone)
	return best
}

func TestSplitFindsTheRangeTheUnitRefuses(t *testing.T) {
	want := []Range{holding(30, 2), holding(0, 9), holding(4, 1), holding(12, 2), holding(20, 2)}
	bad := holding(12, 1)
	var refused, read []int
	var bisect func(Block)
	bisect = func(b Block) {
		if !b.Touches(bad) {
			read = append(read, b.Holds...)
			return
		}
		left, right, ok := b.Split(want)
		if !ok {
			refused = append(refused, b.Holds...)
			return
		}
		bisect(left)
		bisect(right)
	}
	bisect(Plan(want, Cost{Exchange: time.Second}, nil)[0])
	if !cmp.Equal(refused, []int{3}) || !cmp.Equal(read, []int{1, 2, 4, 0}) {
		t.Errorf("refused %v, read %v", refused, read)
	}
}

// tags returns a map of 60 values of one or two registers: half follow the one
// before, the others leave a gap, most of them a small one.
func tags(rng *rand.Rand) (want []Range) {
	for addr := rng.IntN(100); len(want) < 60; {
		r := holding(addr, 1+rng.IntN(2))
		want = append(want, r)
		addr = r.end()
		switch rng.IntN(6) {
		case 0, 1:
			addr += 1 + rng.IntN(15)
		case 2:
			addr += 1 + rng.IntN(120)
		}
	}
	return want
}

func BenchmarkPlan60Points(b *testing.B) {
	want := tags(rand.New(rand.NewPCG(1, 60)))
	for b.Loop() {
		Plan(want, at9600, nil)
	}
}

// greedy merges ranges, which rise, as long as the next may join.
func greedy(want []Range, join func(block, next Range) bool) (plan []Block) {
	for i, r := range want {
		last := len(plan) - 1
		if i > 0 && join(plan[last].Range, r) && r.end()-int(plan[last].Addr) <= modbus.MaxReadRegisters {
			plan[last].Range = plan[last].hull(r)
			continue
		}
		plan = append(plan, Block{Range: r})
	}
	return plan
}

// rules are how other clients of Modbus plan their reads, none of them by the
// speed of the line.
var rules = []struct {
	name string
	join func(block, next Range) bool
}{
	{"per-tag", func(Range, Range) bool { return false }},
	{"consecutive", func(b, next Range) bool { return int(next.Addr) == b.end() }},
	{"hole-50", func(b, next Range) bool { return int(next.Addr)-b.end() <= 50 }},
	{"span", func(Range, Range) bool { return true }},
}

// BenchmarkPolls reports how long polls of 60 tags take by the cost model, with
// a turnaround of 5 ms: the mean of 300 maps planned here, and how many times
// that the same maps take by other rules.
func BenchmarkPolls(b *testing.B) {
	for _, baud := range []int{9600, 19200, 115200} {
		b.Run(strconv.Itoa(baud), func(b *testing.B) {
			timing := modbus.LineTiming{Bit: time.Second / time.Duration(baud), CharBits: 10}
			cost := NewCost(timing, timing.T35()+5*time.Millisecond)
			var ours time.Duration
			theirs := make([]time.Duration, len(rules))
			for b.Loop() {
				ours, theirs = 0, make([]time.Duration, len(rules))
				rng := rand.New(rand.NewPCG(1, 60))
				for range 300 {
					want := tags(rng)
					ours += total(Plan(want, cost, nil), cost)
					for k, r := range rules {
						theirs[k] += total(greedy(want, r.join), cost)
					}
				}
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(ours.Seconds()*1000/300, "ms/poll")
			for k, r := range rules {
				b.ReportMetric(theirs[k].Seconds()/ours.Seconds(), r.name+"-x")
			}
		})
	}
}

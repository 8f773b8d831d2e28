package bus

import (
	"math/rand/v2"
	"slices"
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
	for range 3000 {
		want, cost, avoid := randomMap(rng)
		got := Plan(want, cost, avoid)
		checkPlan(t, want, cost, avoid, got)
		if got, best := total(got, cost), bestOfAll(want, cost, avoid); got != best {
			t.Fatalf("Plan(%v, %+v, %v) takes %d, the best takes %d", want, cost, avoid, got, best)
		}
	}
}

func randomMap(rng *rand.Rand) (want []Range, cost Cost, avoid []Range) {
	base := rng.IntN(2) * (1<<16 - 40)
	randomRange := func(longest int) Range {
		addr := base + rng.IntN(40)
		return Range{Function: modbus.FunctionCode(2 + rng.IntN(2)), Addr: uint16(addr), Quantity: 1 + rng.IntN(min(longest, 1<<16-addr))}
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
	return want, cost, avoid
}

// checkPlan fails unless each range that can be read is in exactly one block
// that spans it, and every block is allowed.
func checkPlan(t *testing.T, want []Range, cost Cost, avoid []Range, plan []Block) {
	t.Helper()
	held := make([]int, len(want))
	for _, b := range plan {
		for _, i := range b.Holds {
			held[i]++
			if b.hull(want[i]) != b.Range || b.Function != want[i].Function {
				t.Fatalf("block %v holds %v, which it doesn't span", b, want[i])
			}
		}
		if touchesAny(b.Range, avoid) || !allowed(b, cost) {
			t.Fatalf("block %v isn't allowed by %+v, %v", b, cost, avoid)
		}
	}
	for i, r := range want {
		readable := r.Quantity <= cost.most(r) && !touchesAny(r, avoid)
		if readable && held[i] != 1 || !readable && held[i] != 0 {
			t.Fatalf("range %v (can be read: %v) is in %d blocks", r, readable, held[i])
		}
	}
}

// allowed grants a block that is no longer than one of its own ranges any
// time; the caller's ranges are short enough to make that rare.
func allowed(b Block, cost Cost) bool {
	return b.Quantity <= cost.most(b.Range) && b.end() <= 1<<16 && (!cost.tooLong(cost.Price(b.Range)) || b.Quantity <= 12)
}

func total(plan []Block, cost Cost) (sum time.Duration) {
	for _, b := range plan {
		sum += cost.Price(b.Range)
	}
	return sum
}

// bestOfAll tries every way to share the ranges out among blocks.
func bestOfAll(want []Range, cost Cost, avoid []Range) time.Duration {
	want = slices.DeleteFunc(slices.Clone(want), func(r Range) bool {
		return r.Quantity > cost.most(r) || touchesAny(r, avoid)
	})
	best := time.Duration(1 << 60)
	var share func(i int, blocks []Range)
	share = func(i int, blocks []Range) {
		if i == len(want) {
			var sum time.Duration
			for _, b := range blocks {
				sum += cost.Price(b)
			}
			best = min(best, sum)
			return
		}
		for k, b := range blocks {
			h := b.hull(want[i])
			legal := h.Quantity <= cost.most(h) && !touchesAny(h, avoid)
			short := !cost.tooLong(cost.Price(h)) || h == want[i] || h == b
			if b.Function == want[i].Function && legal && short {
				blocks[k] = h
				share(i+1, blocks)
				blocks[k] = b
			}
		}
		share(i+1, append(blocks, want[i]))
	}
	share(0, nil)
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

func BenchmarkPlan60Points(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 60))
	var want []Range
	for addr := 0; len(want) < 60; addr += 2 + rng.IntN(30) {
		want = append(want, holding(addr, 2))
	}
	for b.Loop() {
		Plan(want, at9600, nil)
	}
}

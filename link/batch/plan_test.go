package batch

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"skyhaul/edge/point"
)

func TestEveryTransformGivesTheIntegersBack(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	var p planner
	for round := range 3000 {
		step := max(rng.Uint64()>>rng.IntN(64), 1)
		xs := make([]uint64, 1+rng.IntN(40))
		for i := range xs {
			xs[i] = 77 + step*(rng.Uint64()>>rng.IntN(64)/step)
		}
		if round%3 == 0 {
			xs[rng.IntN(len(xs))] = 1 << 63
			xs[rng.IntN(len(xs))] = math.MaxInt64
		}
		best := p.plan(xs)
		for transform := byte(centred); transform < transforms; transform++ {
			q := best
			if q.transform == constant {
				continue
			}
			q.transform, q.base, q.centre = transform, xs[0], 0
			if transform == centred {
				q.centre = int64(rng.Uint64())
				q.base += q.step * uint64(q.centre)
			}
			us := slices.Clone(p.residuals(xs, q))
			if transform != centred {
				us = slices.Insert(us, 0, 0)
			}
			if q.restore(us); !slices.Equal(us, xs) {
				t.Fatalf("transform %d, step %d: %d, want %d", transform, q.step, us, xs)
			}
		}
	}
}

func TestTokensAndBitsGiveTheResidualBack(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 2))
	var w bitWriter
	residuals := []uint64{0, 1, 2, 3, 4, 5, 6, 7, 8, math.MaxUint64, 1 << 63, 1<<32 - 1, 1 << 32}
	for range 1000 {
		residuals = append(residuals, rng.Uint64()>>rng.IntN(64))
	}
	var plane []byte
	for _, u := range residuals {
		tok, rest := token(u)
		plane = append(plane, tok)
		if rest > 0 {
			w.put(u, rest)
		}
	}
	var r bitReader
	r.reset(w.bytes())
	got := make([]uint64, len(plane))
	r.residuals(got, plane)
	if !slices.Equal(got, residuals) || r.bad {
		t.Fatalf("got %d, want %d; bad: %t", got, residuals, r.bad)
	}
	if r.residuals(got[:1], []byte{20}); !r.bad {
		t.Error("bits beyond the last were taken")
	}
	r.reset(make([]byte, 100))
	if r.residuals(got[:1], []byte{tokens}); !r.bad {
		t.Error("a token that is none was taken")
	}
}

func TestLogarithmsAreRight(t *testing.T) {
	for _, x := range []uint32{1, 2, 3, 10, 1000, 1023, 1024, 5000, 1 << 22} {
		want := float64(x) * math.Log2(float64(x)) * bit
		if got := float64(xlog(x)); math.Abs(got-want) > 1.5*float64(x) {
			t.Errorf("xlog(%d) = %v, want about %v", x, got, want)
		}
	}
}

// slowCost is the cost of residuals, counted one by one.
func slowCost(us []uint64) int64 {
	count := map[byte]uint32{}
	sum := xlog(uint32(len(us)))
	for _, u := range us {
		t, rest := token(u)
		count[t]++
		sum += int64(rest) * bit
	}
	for _, c := range count {
		sum += symbolCost - xlog(c)
	}
	return sum
}

func TestThePlanTakenIsTheOneOfLeastCost(t *testing.T) {
	rng := rand.New(rand.NewPCG(6, 6))
	var p planner
	for range 2000 {
		xs := cells(rng, point.Int64, 2+rng.IntN(60))
		best := p.plan(xs)
		if best.transform == constant {
			continue
		}
		if got := slowCost(p.residuals(xs, best)); got != best.cost {
			t.Fatalf("%d: transform %d costs %d, not %d", xs, best.transform, got, best.cost)
		}
		for _, transform := range []byte{delta, delta2} {
			q := plan{transform: transform, base: xs[0], step: best.step}
			if got := slowCost(p.residuals(xs, q)); got < best.cost {
				t.Fatalf("%d: transform %d was taken for %d, %d costs %d", xs, best.transform, best.cost, transform, got)
			}
		}
	}
}

func TestRanksNameTheirValues(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 7))
	var r ranker
	for range 2000 {
		xs := cells(rng, point.Uint64, 1+rng.IntN(100))
		distinct := slices.Clone(xs)
		slices.SortFunc(distinct, func(a, b uint64) int { return cmp.Compare(int64(a), int64(b)) })
		distinct = slices.Compact(distinct)
		limit := rng.IntN(80)
		ok := r.rank(xs, limit)
		if ok != (len(distinct) <= limit) {
			t.Fatalf("%t for %d values and at most %d", ok, len(distinct), limit)
		}
		for i := 0; ok && i < len(xs); i++ {
			if got := uint64(r.palette[r.ranks[i]]); got != xs[i] || distinct[r.ranks[i]] != xs[i] {
				t.Fatalf("cell %d: %d by its rank, want %d", i, got, xs[i])
			}
		}
	}
}

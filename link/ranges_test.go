package link

import (
	"math/rand/v2"
	"testing"

	"skyhaul/bufferstore"
	"skyhaul/link/batch"

	"github.com/google/go-cmp/cmp"
)

// numbers is the same set, the slow way.
type numbers [64]bool

func (n *numbers) ranges() (s ranges) {
	for i, in := range n {
		if !in {
			continue
		}
		if k := len(s); k > 0 && s[k-1].Last == bufferstore.Seq(i-1) {
			s[k-1].Last++
			continue
		}
		s = append(s, batch.Range{First: bufferstore.Seq(i), Last: bufferstore.Seq(i)})
	}
	return s
}

func TestRangesAreSetsOfNumbers(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	random := func() (s ranges, n numbers) {
		for range r.IntN(8) {
			first := 1 + r.IntN(60)
			last := first - 1 + r.IntN(8)
			s.add(bufferstore.Seq(first), bufferstore.Seq(last))
			for i := first; i <= min(last, 63); i++ {
				n[i] = true
			}
		}
		return s.within(1, 63), n
	}
	for range 5000 {
		a, x := random()
		b, y := random()
		var union, both, rest numbers
		for i := range x {
			union[i] = x[i] || y[i]
			both[i] = x[i] && y[i]
			rest[i] = x[i] && !y[i]
		}
		got := append(ranges(nil), a...)
		got.addAll(b)
		for name, c := range map[string]struct{ got, want ranges }{
			"add":     {a, x.ranges()},
			"addAll":  {got, union.ranges()},
			"and":     {a.and(b), both.ranges()},
			"without": {a.without(b), rest.ranges()},
		} {
			if diff := cmp.Diff(c.want, c.got); diff != "" {
				t.Fatalf("%s of %v and %v: %s", name, a, b, diff)
			}
		}
	}
}

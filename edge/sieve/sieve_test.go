package sieve_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"skyhaul/edge/point"
	"skyhaul/edge/sieve"
)

// shape makes the values of a point, one a pass.
type shape func(r *rand.Rand) func(n int) float64

// shapes are what instruments do.
var shapes = map[string]shape{
	"noise": func(r *rand.Rand) func(int) float64 {
		return func(int) float64 { return 50 + r.NormFloat64() }
	},
	"walk": func(r *rand.Rand) func(int) float64 {
		v := 50.0
		return func(int) float64 { v += r.NormFloat64() / 5; return v }
	},
	"ramp": func(r *rand.Rand) func(int) float64 {
		slope := r.NormFloat64() / 10
		return func(n int) float64 { return slope*float64(n) + r.NormFloat64()/50 }
	},
	"wave": func(r *rand.Rand) func(int) float64 {
		period := 20 + 200*r.Float64()
		return func(n int) float64 { return 40 + 30*math.Sin(float64(n)/period) }
	},
	"steps": func(r *rand.Rand) func(int) float64 {
		v := 10.0
		return func(int) float64 {
			if r.IntN(40) == 0 {
				v = 100 * r.Float64()
			}
			return v
		}
	},
	"spikes": func(r *rand.Rand) func(int) float64 {
		return func(int) float64 {
			if r.IntN(60) == 0 {
				return 100 * r.NormFloat64()
			}
			return 20 + r.NormFloat64()/20
		}
	},
	"still": func(*rand.Rand) func(int) float64 { return func(int) float64 { return 7 } },
	"far": func(r *rand.Rand) func(int) float64 { // numbers near the end of a type
		return func(int) float64 { return (r.Float64() - 0.5) * math.MaxFloat64 }
	},
	"no number": func(r *rand.Rand) func(int) float64 {
		return func(int) float64 {
			return []float64{math.NaN(), math.Inf(1), math.Inf(-1), r.NormFloat64(), 0, math.Copysign(0, -1)}[r.IntN(6)]
		}
	},
}

// rawOf returns the bits of a value in the range of a type.
func rawOf(t point.Type, v float64) uint64 {
	switch t {
	case point.Bool:
		if v > 50 {
			return 1
		}
		return 0
	case point.Float32:
		return uint64(math.Float32bits(float32(v)))
	case point.Float64:
		return math.Float64bits(v)
	}
	if math.IsNaN(v) {
		v = 0
	}
	bits := 8 * t.Size()
	n := int64(math.Max(-1e15, math.Min(1e15, v*100)))
	return uint64(n) & (^uint64(0) >> (64 - bits))
}

// plant makes the passes of a group.
type plant struct {
	r      *rand.Rand
	schema *point.Schema
	values []func(int) float64
	faults []point.Quality
	at     point.Stamp
	n      int
}

func newPlant(r *rand.Rand, columns int) *plant {
	p := &plant{r: r, schema: &point.Schema{Group: "g"}, at: point.Stamp{Boot: 1, Boottime: time.Minute, Wall: 1e12}}
	names := slices.Sorted(func(yield func(string) bool) {
		for name := range shapes {
			if !yield(name) {
				return
			}
		}
	})
	for i := range columns {
		name := names[r.IntN(len(names))]
		c := point.Column{
			ID: point.ID(i + 1), Tag: name, Type: point.Bool + point.Type(r.IntN(int(point.Float64))),
			Scale: point.Scale{Factor: []float64{1, 0.01, -0.5}[r.IntN(3)], Offset: float64(r.IntN(3) * 20)},
			Rule: point.Rule{
				Method:  point.OnChange + point.Method(r.IntN(3)),
				Silence: time.Duration(1+r.IntN(120)) * time.Second,
			},
		}
		if c.Rule.Method != point.OnChange {
			c.Rule.Error = math.Pow(10, 4*r.Float64()-3)
		}
		p.schema.Columns = append(p.schema.Columns, c)
		p.values = append(p.values, shapes[name](r))
		p.faults = append(p.faults, 0)
	}
	return p
}

// pass returns the next pass: times that jitter, passes left out, a wall clock
// that jumps, faults that last.
func (p *plant) pass() point.Scan {
	r, n := p.r, len(p.schema.Columns)
	p.n++
	step := time.Duration(800+r.IntN(400)) * time.Millisecond
	if r.IntN(100) == 0 {
		step = time.Duration(r.IntN(300)) * time.Second
	}
	p.at.Boottime += max(step, time.Millisecond)
	p.at.Wall += step.Milliseconds()
	if r.IntN(100) == 0 {
		p.at.Wall += r.Int64N(2e12) - 1e12
	}
	sc := point.Scan{Schema: p.schema.ID(), Stamp: p.at, Values: make([]uint64, n), Quality: make([]point.Quality, n)}
	for i := range sc.Values {
		switch r.IntN(200) {
		case 0:
			p.faults[i] = point.MakeQuality(point.Bad, point.Comm)
		case 1:
			p.faults[i] = point.MakeQuality(point.Bad, point.OverRange)
		case 2:
			p.faults[i] = point.MakeQuality(point.Uncertain, point.Frozen)
		case 3, 4, 5, 6, 7, 8, 9, 10, 11, 12:
			p.faults[i] = 0
		}
		if sc.Quality[i] = p.faults[i]; sc.Quality[i].HasValue() {
			sc.Values[i] = rawOf(p.schema.Columns[i].Type, p.values[i](p.n))
		}
	}
	return sc
}

// told is a recorded reading.
type told struct {
	at      point.Stamp
	raw     uint64
	quality point.Quality
}

// run is what one life of a sieve took in, and recorded of each point.
type run struct {
	schema   *point.Schema
	taken    []point.Scan
	recorded [][]told
	late     bool // the record of a pass comes with the next
	stopped  bool // by Flush, not by a crash
}

// sieved gives passes to a sieve, which a crash or a stop ends.
func sieved(t *testing.T, s *point.Schema, scans []point.Scan, stop bool) *run {
	t.Helper()
	u := &run{schema: s, taken: scans, recorded: make([][]told, len(s.Columns)), stopped: stop}
	u.late = slices.ContainsFunc(s.Columns, func(c point.Column) bool { return c.Rule.Method == point.SwingingDoor })
	var last, now point.Stamp
	v := sieve.New(s, func(sc *point.Scan) {
		if sc.Schema != s.ID() || sc.Stamp.Boot < last.Boot || sc.Stamp.Boot == last.Boot && sc.Stamp.Boottime <= last.Boottime {
			t.Fatalf("%v comes after %v", sc.Stamp, last)
		}
		if !u.late && sc.Stamp != now {
			t.Fatalf("%v comes with the pass of %v", sc.Stamp, now)
		}
		last = sc.Stamp
		some := false
		for i, q := range sc.Quality {
			if q != point.Unrecorded {
				some = true
				u.recorded[i] = append(u.recorded[i], told{sc.Stamp, sc.Values[i], q})
			} else if sc.Values[i] != 0 {
				t.Fatal("a value that is not recorded")
			}
		}
		if !some {
			t.Fatal("a record of nothing")
		}
	})
	for i := range scans {
		now = scans[i].Stamp
		v.Add(&scans[i])
	}
	if stop {
		v.Flush()
	}
	return u
}

// decode returns what the records tell of point i at a pass; ok is false where
// they tell nothing.
func (u *run) decode(i int, at point.Stamp) (value float64, q point.Quality, raw uint64, ok bool) {
	c, list := &u.schema.Columns[i], u.recorded[i]
	next := slices.IndexFunc(list, func(r told) bool {
		return r.at.Boot > at.Boot || r.at.Boot == at.Boot && r.at.Boottime > at.Boottime
	})
	if next < 0 {
		next = len(list)
	}
	if next == 0 || list[next-1].at.Boot != at.Boot {
		return 0, 0, 0, false
	}
	a := list[next-1]
	v := c.Value(a.raw)
	if c.Rule.Method != point.SwingingDoor || a.quality.Status() != point.Good || a.at == at {
		return v, a.quality, a.raw, true
	}
	if next == len(list) || list[next].at.Boot != at.Boot || list[next].quality != a.quality {
		return v, a.quality, a.raw, u.stopped || next < len(list)
	}
	b := list[next]
	part := float64(at.Boottime-a.at.Boottime) / float64(b.at.Boottime-a.at.Boottime)
	return v + part*(c.Value(b.raw)-v), a.quality, a.raw, true
}

// check holds every reading against what is told of it.
func (u *run) check(t *testing.T) {
	t.Helper()
	taken := u.taken
	if u.late && !u.stopped {
		taken = taken[:len(taken)-1] // a crash costs it
	}
	for i := range u.schema.Columns {
		c := &u.schema.Columns[i]
		for _, sc := range taken {
			got, q, raw, ok := u.decode(i, sc.Stamp)
			want := c.Value(sc.Values[i])
			switch {
			case !ok && (c.Rule.Method != point.SwingingDoor || u.stopped):
				t.Fatalf("%s %v %v: nothing is told", c.Tag, c.Rule, sc.Stamp)
			case !ok:
			case q != sc.Quality[i]:
				t.Fatalf("%s %v %v: %v is told, it was %v", c.Tag, c.Rule, sc.Stamp, q, sc.Quality[i])
			case c.Rule.Method == point.OnChange && raw != sc.Values[i]:
				t.Fatalf("%s: %#x is told, it was %#x", c.Tag, raw, sc.Values[i])
			case !q.HasValue():
			case math.IsNaN(want) || math.IsInf(want, 0):
				if raw != sc.Values[i] {
					t.Fatalf("%s %v %v: %#x is told, it was %#x", c.Tag, c.Rule, sc.Stamp, raw, sc.Values[i])
				}
			case !(math.Abs(got-want) <= c.Rule.Error+8e-16*(math.Abs(got)+math.Abs(want))):
				t.Fatalf("%s %v %v: %v is told, it was %v: off by %v", c.Tag, c.Rule, sc.Stamp, got, want, math.Abs(got-want))
			}
		}
	}
}

// checkSilence looks for silence beyond its bound: the first pass after it is recorded.
func (u *run) checkSilence(t *testing.T) {
	t.Helper()
	for i := range u.schema.Columns {
		c := &u.schema.Columns[i]
		for k, r := range u.recorded[i] {
			if k == 0 || r.at.Boot != u.recorded[i][k-1].at.Boot {
				continue
			}
			due := u.recorded[i][k-1].at.Boottime + c.Rule.Silence
			p := slices.IndexFunc(u.taken, func(sc point.Scan) bool { return sc.Stamp.Boot == r.at.Boot && sc.Stamp.Boottime >= due })
			if p >= 0 && r.at.Boottime > u.taken[p].Stamp.Boottime {
				t.Fatalf("%s %v: silent from %v to %v", c.Tag, c.Rule, u.recorded[i][k-1].at, r.at)
			}
		}
	}
}

func TestWhatIsLeftOutIsToldWithinTheBound(t *testing.T) {
	const seeds = 60
	left, all := map[point.Method]int{}, map[point.Method]int{}
	for seed := range uint64(seeds) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 1))
			p := newPlant(r, 1+r.IntN(12))
			for range 3 { // lives of a process
				var scans []point.Scan
				for n := 1 + r.IntN(1500); len(scans) < n; {
					if r.IntN(500) == 0 {
						p.at.Boot++
						if r.IntN(2) == 0 {
							p.at.Boottime = 0
						}
					}
					scans = append(scans, p.pass())
				}
				u := sieved(t, p.schema, scans, r.IntN(2) == 0)
				u.check(t)
				u.checkSilence(t)
				for i, c := range p.schema.Columns {
					all[c.Rule.Method] += len(scans)
					left[c.Rule.Method] += len(u.recorded[i])
				}
			}
		})
	}
	for m, n := range all {
		if left[m] == 0 || left[m] > n*9/10 {
			t.Errorf("method %d: %d of %d readings are recorded: the test tries too little", m, left[m], n)
		}
	}
}

// one is a schema of one float64 with a rule.
func one(u point.Rule) *point.Schema {
	return &point.Schema{Group: "g", Columns: []point.Column{{ID: 1, Tag: "PT-101", Type: point.Float64, Scale: point.NoScale, Rule: u}}}
}

// recorded returns which of some values, one a second, are recorded.
func recorded(t *testing.T, u point.Rule, values ...float64) (kept []float64) {
	t.Helper()
	s := one(u)
	var scans []point.Scan
	for i, v := range values {
		scans = append(scans, point.Scan{
			Stamp:  point.Stamp{Boot: 1, Boottime: time.Duration(i+1) * time.Second},
			Values: []uint64{math.Float64bits(v)}, Quality: []point.Quality{0},
		})
	}
	for _, r := range sieved(t, s, scans, true).recorded[0] {
		kept = append(kept, math.Float64frombits(r.raw))
	}
	return kept
}

func TestRulesRecordNoMoreThanTheyMust(t *testing.T) {
	for _, c := range []struct {
		name         string
		rule         point.Rule
		values, want []float64
	}{
		{"change", point.Rule{Method: point.OnChange, Silence: time.Hour}, []float64{1, 1, 2, 2, 2, 1}, []float64{1, 2, 1}},
		{"a deadband holds at its edge", point.Rule{Method: point.Deadband, Error: 1, Silence: time.Hour}, []float64{10, 11, 9, 11.5, 11, 12.5, 12.6}, []float64{10, 11.5, 12.6}},
		{"a slow drift is not lost in a deadband", point.Rule{Method: point.Deadband, Error: 1, Silence: time.Hour}, []float64{0, 0.6, 1.2, 1.8, 2.4}, []float64{0, 1.2, 2.4}},
		{"silence", point.Rule{Method: point.Deadband, Error: 1, Silence: 3 * time.Second}, []float64{5, 5, 5, 5.5, 5, 5, 5, 5}, []float64{5, 5.5, 5}},
		{"a ramp is its two ends", point.Rule{Method: point.SwingingDoor, Error: 0.5, Silence: time.Hour}, []float64{0, 1, 2.2, 3, 3.9, 5, 6}, []float64{0, 6}},
		{"a bend is three readings", point.Rule{Method: point.SwingingDoor, Error: 0.5, Silence: time.Hour}, []float64{0, 1, 2, 3, 2, 1, 0}, []float64{0, 3, 0}},
		{"a step is four readings", point.Rule{Method: point.SwingingDoor, Error: 0.5, Silence: time.Hour}, []float64{1, 1, 1, 9, 9, 9, 9}, []float64{1, 1, 9, 9}},
		{"silence of a door", point.Rule{Method: point.SwingingDoor, Error: 0.5, Silence: 2 * time.Second}, []float64{0, 1, 2, 3, 4, 5}, []float64{0, 2, 4, 5}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, recorded(t, c.rule, c.values...)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestFaultIsRecordedWithWhatWasHeldBefore(t *testing.T) {
	s := one(point.Rule{Method: point.SwingingDoor, Error: 1, Silence: time.Hour})
	comm := point.MakeQuality(point.Bad, point.Comm)
	var scans []point.Scan
	for i, q := range []point.Quality{0, 0, 0, comm, comm, 0} {
		scans = append(scans, point.Scan{
			Stamp: point.Stamp{Boot: 1, Boottime: time.Duration(i+1) * time.Second}, Values: []uint64{0}, Quality: []point.Quality{q},
		})
	}
	var at []time.Duration
	for _, r := range sieved(t, s, scans, true).recorded[0] {
		at = append(at, r.at.Boottime/time.Second)
	}
	if diff := cmp.Diff([]time.Duration{1, 3, 4, 6}, at); diff != "" {
		t.Error(diff)
	}
}

func TestSieveDoesNotAllocate(t *testing.T) {
	p := newPlant(rand.New(rand.NewPCG(1, 1)), 40)
	v := sieve.New(p.schema, func(*point.Scan) {})
	sc := p.pass()
	if n := testing.AllocsPerRun(1000, func() { sc.Stamp.Boottime += time.Second; v.Add(&sc) }); n != 0 {
		t.Errorf("%v allocations a pass", n)
	}
}

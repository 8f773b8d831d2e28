package scan_test

import (
	"context"
	"encoding/binary"
	"io/fs"
	"log/slog"
	"math"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"skyhaul/edge/point"
	"skyhaul/edge/scan"
	"skyhaul/modbus"
	"skyhaul/modbus/bus"
)

// values is a memory in RAM.
type values struct {
	saved map[string][]byte
	saves int
}

func (v *values) Load(name string) ([]byte, error) {
	if b, ok := v.saved[name]; ok {
		return b, nil
	}
	return nil, fs.ErrNotExist
}

func (v *values) Save(name string, value []byte) error {
	if v.saved == nil {
		v.saved = map[string][]byte{}
	}
	v.saved[name] = value
	v.saves++
	return nil
}

// scanWith runs a scanner with o for d.
func scanWith(t *testing.T, d time.Duration, g scan.Group, l scan.Bus, o scan.Options) *scan.Scanner {
	t.Helper()
	o.Bus, o.Sink, o.Now, o.Logger = l, new(kept), now, slog.New(slog.DiscardHandler)
	s := scan.New(g, o)
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	if err := s.Run(ctx); err != nil {
		t.Errorf("Run: %v", err)
	}
	return s
}

// holed is a unit that has no registers 2, 3 and 12, and points on 0, 4, 8 and 12.
func holed() (*line, scan.Group) {
	exist := map[uint16]uint16{}
	for _, addr := range []uint16{0, 1, 4, 5, 6, 7, 8, 9, 10, 11} {
		exist[addr] = 10 + addr
	}
	g := group(register(1, 1, 0), register(2, 1, 4), register(3, 1, 8), register(4, 1, 12))
	g.Interval = time.Minute
	return newLine(map[modbus.UnitID]*modbus.Bank{1: bank(exist)}), g
}

func TestWhatWasLearntOutlivesTheScanner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var m values
		l, g := holed()
		o := scan.Options{Memory: &m, MemoryName: "learnt"}
		want := []string{"good", "good", "good", "bad: exception"}
		if diff := cmp.Diff(want, qualities(scanWith(t, 10*time.Second, g, l, o))); diff != "" {
			t.Error(diff)
		}
		if len(l.requests) < 5 || m.saves != 1 {
			t.Errorf("%d requests, saved %d times", len(l.requests), m.saves)
		}
		l.requests = nil
		if diff := cmp.Diff(want, qualities(scanWith(t, 10*time.Second, g, l, o))); diff != "" {
			t.Error(diff)
		}
		if len(l.requests) != 2 || m.saves != 1 {
			t.Errorf("the next scanner asked for %+v and saved %d times, want two blocks and nothing new", l.requests, m.saves)
		}
	})
}

func TestWhatIsLearntIsSavedEachHourAtMost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var m values
		l, g := holed()
		scanWith(t, 5*time.Hour+30*time.Minute, g, l, scan.Options{Memory: &m, MemoryName: "learnt"})
		// A refused point is refused anew each hour.
		if m.saves < 5 || m.saves > 6 {
			t.Errorf("saved %d times", m.saves)
		}
	})
}

// What a memory holds may keep points out for their time, and no longer.
func FuzzMemory(f *testing.F) {
	for _, saved := range []string{
		"", "{", `{"1":{"holes":[{"Function":3,"Addr":2,"Quantity":2,"Again":"9999-01-01T00:00:00Z"}]}}`,
		`{"1":{"holes":[{"Function":9,"Addr":7,"Quantity":-1,"ItemBytes":3}],"registers":{"most":-3}}}`,
		`{"1":{"refused":[{"Function":3,"Addr":0,"Quantity":9,"Again":"9999-01-01T00:00:00Z"},{"Function":3,"Addr":4,"Quantity":1,"Again":"9999-01-01T00:00:00Z"}]}}`,
		`{"1":{"holes":[{"Function":3,"Addr":0,"Quantity":65536,"Again":"9999-01-01T00:00:00Z"}],"bits":{"most":1},"registers":{"most":1,"again":"9999-01-01T00:00:00Z"}}}`,
	} {
		f.Add([]byte(saved))
	}
	f.Fuzz(func(t *testing.T, saved []byte) {
		synctest.Test(t, func(t *testing.T) {
			m := values{saved: map[string][]byte{"learnt": saved}}
			l, g := holed()
			g.Interval = time.Hour
			s := scanWith(t, 25*time.Hour+time.Minute, g, l, scan.Options{Memory: &m, MemoryName: "learnt"})
			if diff := cmp.Diff([]string{"good", "good", "good", "bad: exception"}, qualities(s)); diff != "" {
				t.Errorf("%q: %s", saved, diff)
			}
		})
	})
}

func TestHoleIsTriedAgainAfterADay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := values{}
		o := scan.Options{Memory: &m, MemoryName: "learnt"}
		b := bank(map[uint16]uint16{0: 10, 4: 14})
		l := newLine(map[modbus.UnitID]*modbus.Bank{1: b})
		g := group(register(1, 1, 0), register(2, 1, 4))
		g.Interval = time.Minute
		scanWith(t, 12*time.Hour, g, l, o)
		b.Set(modbus.HoldingRegisters, 1, 11, 12, 13)
		if last := l.requests[len(l.requests)-1]; last.Addr != 4 {
			t.Errorf("before: the last request was %+v", last)
		}
		scanWith(t, 13*time.Hour, g, l, o)
		if last := l.requests[len(l.requests)-1]; last.Addr != 0 || last.Quantity != 5 {
			t.Errorf("after: the last request was %+v, want one for all", last)
		}
	})
}

func TestPlanFollowsTheTurnaround(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := new(modbus.Bank)
		b.Set(modbus.HoldingRegisters, 0, make([]uint16, 100)...)
		l := newLine(map[modbus.UnitID]*modbus.Bank{1: b})
		g := group(register(1, 1, 0), register(2, 1, 20))
		timing := modbus.LineTiming{Bit: time.Second / 9600, CharBits: 10}
		g.Costs[1] = bus.NewCost(timing, 10*time.Millisecond) // a gap of 19 registers takes 40 ms
		learnt := 10 * time.Millisecond
		var blocks []int
		tick := func() { // after each request and each pass
			switch len(l.requests) {
			case 4:
				learnt = 12 * time.Millisecond // not enough to plan anew
			case 6:
				learnt = 60 * time.Millisecond
			}
		}
		scanWith(t, 4500*time.Millisecond, g, l, scan.Options{
			Turnaround: func(modbus.UnitID) time.Duration { return learnt }, Tick: tick,
		})
		for _, r := range l.requests {
			blocks = append(blocks, r.Quantity)
		}
		if want := []int{1, 1, 1, 1, 1, 1, 21, 21}; !slices.Equal(blocks, want) {
			t.Errorf("read blocks of %v registers, want %v", blocks, want)
		}
	})
}

// items is a unit that holds floats at 7001 and on, one address each.
type items struct{ requests []modbus.Request }

func (l *items) Do(_ context.Context, _ bus.Class, _ modbus.UnitID, req modbus.PDU) (modbus.Answer, error) {
	r, err := modbus.ParseRequest(req)
	if err != nil {
		return modbus.Answer{}, err
	}
	l.requests = append(l.requests, r)
	answer := modbus.PDU{byte(r.Function), byte(4 * r.Quantity)}
	for k := range r.Quantity {
		answer = binary.BigEndian.AppendUint32(answer, math.Float32bits(float32(int(r.Addr)+k)))
	}
	return modbus.Answer{PDU: answer, Sent: time.Now()}, nil
}

func TestItemsOfADialectAreSlicedByTheirBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var points []scan.Point
		for i, addr := range []uint16{7001, 7002, 7004} {
			p := register(point.ID(i+1), 1, addr)
			p.Type, p.ItemBytes = point.Float32, 4
			p.Format.Order, _ = modbus.ParseOrder("ABCD")
			points = append(points, p)
		}
		l := new(items)
		s := scanWith(t, time.Second/2, group(points...), l, scan.Options{})
		for i, want := range []float64{7001, 7002, 7004} {
			if r := s.Latest()[i]; r.Quality != 0 || r.Value(r.Raw) != want {
				t.Errorf("%v is %v, %v", want, r.Value(r.Raw), r.Quality)
			}
		}
		if len(l.requests) != 1 || l.requests[0].Quantity != 4 {
			t.Errorf("asked for %+v, want four items at once", l.requests)
		}
	})
}

// short answers every read with one register.
type short struct{}

func (short) Do(context.Context, bus.Class, modbus.UnitID, modbus.PDU) (modbus.Answer, error) {
	return modbus.Answer{PDU: modbus.PDU{3, 2, 0, 0}}, nil
}

func TestAnswerThatIsTooShortIsNoValue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := scanWith(t, time.Second/2, group(register(1, 1, 0), register(2, 1, 1)), short{}, scan.Options{})
		if diff := cmp.Diff([]string{"bad: comm", "bad: comm"}, qualities(s)); diff != "" {
			t.Error(diff)
		}
	})
}

func TestExclusiveRangeIsReadAloneAndWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := new(modbus.Bank)
		b.Set(modbus.HoldingRegisters, 0, 10, 11, 12, 13, 14, 15)
		l := newLine(map[modbus.UnitID]*modbus.Bank{1: b, 2: bank(map[uint16]uint16{0: 10, 5: 15})})
		g := group(register(1, 1, 0), register(2, 1, 3), register(3, 1, 4), register(4, 1, 5),
			register(5, 2, 0), register(6, 2, 3), register(7, 2, 4), register(8, 2, 5))
		for unit, c := range g.Costs {
			c.Exclusive = []bus.Range{{Function: 3, Addr: 2, Quantity: 3}}
			g.Costs[unit] = c
		}
		g.Interval = 40 * time.Minute
		s := scanWith(t, 90*time.Minute, g, l, scan.Options{})
		want := []string{"good", "good", "good", "good", "good", "bad: exception", "bad: exception", "good"}
		if diff := cmp.Diff(want, qualities(s)); diff != "" {
			t.Error(diff)
		}
		n := 0
		for _, r := range l.requests {
			end := int(r.Addr) + r.Quantity
			if r.Addr < 5 && end > 2 {
				n++
				if r.Addr != 2 || r.Quantity != 3 {
					t.Errorf("asked for %+v", r)
				}
			}
		}
		if n != 5 { // one in each of three passes of unit 1, and of the first and third of unit 2
			t.Errorf("the ranges were read %d times", n)
		}
	})
}

func TestHoleInOneHalfTeachesNothingOfTheOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// Registers 1 to 3 don't exist. The first cut is between 5 and 6.
		l := newLine(map[modbus.UnitID]*modbus.Bank{1: bank(map[uint16]uint16{0: 10, 4: 14, 5: 15, 6: 16, 7: 17, 8: 18, 9: 19})})
		g := group(register(1, 1, 0), register(2, 1, 4), register(3, 1, 5), register(4, 1, 6), register(5, 1, 8), register(6, 1, 9))
		s, _ := scanFor(t, 3500*time.Millisecond, g, l, nil)
		for i, r := range s.Latest() {
			if r.Quality != 0 || r.Raw != 10+uint64(g.Points[i].Addr) {
				t.Errorf("register %d is %v, %v", g.Points[i].Addr, r.Raw, r.Quality)
			}
		}
		last := l.requests[len(l.requests)-2:]
		if last[0].Addr != 0 || last[0].Quantity != 1 || last[1].Addr != 4 || last[1].Quantity != 6 {
			t.Errorf("the last pass asked for %+v, want 0 and 4 to 9", last)
		}
	})
}

func TestRefusalOfAMomentTeachesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := new(modbus.Bank)
		l := newLine(map[modbus.UnitID]*modbus.Bank{1: b})
		time.AfterFunc(5*time.Millisecond, func() { // while the first request is under way
			time.AfterFunc(6*time.Millisecond, func() { b.Set(modbus.HoldingRegisters, 0, make([]uint16, 10)...) })
		})
		s, _ := scanFor(t, 1500*time.Millisecond, group(register(1, 1, 0), register(2, 1, 4)), l, nil)
		if diff := cmp.Diff([]string{"good", "good"}, qualities(s)); diff != "" {
			t.Error(diff)
		}
		if last := l.requests[len(l.requests)-1]; last.Quantity != 5 {
			t.Errorf("the last request was %+v, want one for all", last)
		}
	})
}

func TestLimitIsLearntAndExcludesNoValue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := new(modbus.Bank)
		b.Set(modbus.HoldingRegisters, 0, make([]uint16, 20)...)
		l := &limited{line: *newLine(map[modbus.UnitID]*modbus.Bank{1: b})}
		double := register(9, 1, 10)
		double.Type = point.Float64
		double.Format.Order, _ = modbus.ParseOrder("ABCDEFGH")
		points := []scan.Point{double}
		for i := range 6 {
			points = append(points, register(point.ID(i+1), 1, uint16(i)))
		}
		g := group(points...)
		g.Interval = time.Hour
		s := scanWith(t, 25*time.Hour+time.Minute, g, l, scan.Options{})
		for _, r := range s.Latest() {
			if r.Quality != 0 {
				t.Errorf("%s is %v", r.Tag, r.Quality)
			}
		}
		if l.declined > 30 {
			t.Errorf("declined %d requests", l.declined)
		}
	})
}

// limited is a unit that serves three registers at once, and a value of four.
type limited struct {
	line
	declined int
}

func (l *limited) Do(ctx context.Context, c bus.Class, unit modbus.UnitID, req modbus.PDU) (modbus.Answer, error) {
	if r, err := modbus.ParseRequest(req); err != nil || r.Quantity > 3 && r.Addr < 10 {
		l.declined++
		return modbus.Answer{}, modbus.IllegalDataValue
	}
	return l.line.Do(ctx, c, unit, req)
}

// What another configuration left out is no hole any more where a point or an
// exclusive range came in.
func TestNoHoleOfBeforeHidesANewPoint(t *testing.T) {
	tests := []struct {
		name      string
		exclusive []bus.Range
		blocks    []modbus.Request // of the last pass
	}{
		{"a point", nil, []modbus.Request{{Function: 3, Addr: 0, Quantity: 5}}},
		{"an exclusive range", []bus.Range{{Function: 3, Addr: 1, Quantity: 2}}, []modbus.Request{
			{Function: 3, Addr: 0, Quantity: 1}, {Function: 3, Addr: 1, Quantity: 2}, {Function: 3, Addr: 4, Quantity: 1},
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var m values
				o := scan.Options{Memory: &m, MemoryName: "learnt"}
				b := bank(map[uint16]uint16{0: 1, 4: 2})
				l := newLine(map[modbus.UnitID]*modbus.Bank{1: b})
				g := group(register(1, 1, 0), register(2, 1, 4))
				scanWith(t, 10*time.Second, g, l, o)
				b.Set(modbus.HoldingRegisters, 1, 7, 8, 9)
				g = group(register(1, 1, 0), register(2, 1, 4), register(3, 1, 2))
				c := g.Costs[1]
				c.Exclusive = tt.exclusive
				g.Costs[1] = c
				s := scanWith(t, 3500*time.Millisecond, g, l, o)
				if diff := cmp.Diff([]string{"good", "good", "good"}, qualities(s)); diff != "" {
					t.Error(diff)
				}
				last := l.requests[len(l.requests)-len(tt.blocks):]
				if diff := cmp.Diff(tt.blocks, last); diff != "" {
					t.Error(diff)
				}
			})
		})
	}
}

// A limit outlives the configuration that it was learnt with.
func TestNoLimitOfBeforeHidesALongerPoint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := values{saved: map[string][]byte{"learnt": []byte(`{"1":{"registers":{"most":1,"again":"9999-01-01T00:00:00Z"}}}`)}}
		b := new(modbus.Bank)
		b.Set(modbus.HoldingRegisters, 0, make([]uint16, 20)...)
		l := newLine(map[modbus.UnitID]*modbus.Bank{1: b})
		double := register(2, 1, 4)
		double.Type = point.Float64
		double.Format.Order, _ = modbus.ParseOrder("ABCDEFGH")
		g := group(register(1, 1, 0), double, register(3, 1, 12))
		c := g.Costs[1]
		c.Exclusive = []bus.Range{{Function: 3, Addr: 12, Quantity: 2}}
		g.Costs[1] = c
		s := scanWith(t, 10*time.Second, g, l, scan.Options{Memory: &m, MemoryName: "learnt"})
		if diff := cmp.Diff([]string{"good", "good", "good"}, qualities(s)); diff != "" {
			t.Error(diff)
		}
	})
}

package scan_test

import (
	"context"
	"log/slog"
	"math"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"skyhaul/edge/point"
	"skyhaul/edge/scan"
	"skyhaul/modbus"
	"skyhaul/modbus/bus"
)

// line answers from banks; a unit that is not there times out.
type line struct {
	units    map[modbus.UnitID]*modbus.Bank
	latency  time.Duration
	lost     atomic.Bool
	requests []modbus.Request
	asked    chan struct{} // serialises, as a line does
}

func newLine(units map[modbus.UnitID]*modbus.Bank) *line {
	return &line{units: units, latency: 10 * time.Millisecond, asked: make(chan struct{}, 1)}
}

func (l *line) Do(ctx context.Context, _ bus.Class, unit modbus.UnitID, req modbus.PDU) (modbus.Answer, error) {
	l.asked <- struct{}{}
	defer func() { <-l.asked }()
	if l.lost.Load() {
		return modbus.Answer{}, bus.ErrNotConnected
	}
	sent := time.Now()
	r, err := modbus.ParseRequest(req)
	if err != nil {
		return modbus.Answer{}, err
	}
	l.requests = append(l.requests, r)
	select {
	case <-time.After(l.latency):
	case <-ctx.Done():
		return modbus.Answer{}, ctx.Err()
	}
	bank := l.units[unit]
	if bank == nil {
		return modbus.Answer{}, modbus.ErrTimeout
	}
	resp, _ := bank.Handle(unit, req)
	if resp.Function() != req.Function() {
		return modbus.Answer{Sent: sent}, modbus.Exception(resp[1])
	}
	return modbus.Answer{PDU: resp, Sent: sent}, nil
}

// kept holds the records that a scanner put.
type kept []struct {
	lane point.Lane
	rec  []byte
}

func (k *kept) Put(lane point.Lane, rec []byte) {
	*k = append(*k, struct {
		lane point.Lane
		rec  []byte
	}{lane, append([]byte(nil), rec...)})
}

// events returns the condition and direction of each alarm transition.
func (k *kept) events(t *testing.T) (names []string) {
	t.Helper()
	for _, r := range *k {
		if r.lane != point.Alarm {
			continue
		}
		var e point.Event
		if err := e.Decode(r.rec); err != nil {
			t.Fatal(err)
		}
		end := " ends"
		if e.Active {
			end = " begins"
		}
		names = append(names, e.Condition+end)
	}
	return names
}

// boot lies before the time at which a bubble begins.
var boot = time.Date(1999, 12, 31, 23, 0, 0, 0, time.UTC)

func now() point.Stamp {
	return point.Stamp{Boot: 1, Boottime: time.Since(boot).Truncate(time.Millisecond), Wall: time.Now().UnixMilli()}
}

// register is a uint16 in a holding register.
func register(id point.ID, unit modbus.UnitID, addr uint16) scan.Point {
	return scan.Point{
		Column: point.Column{ID: id, Tag: string(rune('a' + id)), Type: point.Uint16, Scale: point.NoScale},
		Lane:   point.History, Unit: unit, Function: modbus.FuncReadHoldingRegisters, Addr: addr,
	}
}

// cheap makes the planner merge whatever it may.
var cheap = bus.Cost{Exchange: time.Second, Byte: time.Millisecond}

func group(points ...scan.Point) scan.Group {
	g := scan.Group{Name: "g", Interval: time.Second, Points: points, Costs: map[modbus.UnitID]bus.Cost{}}
	for _, p := range points {
		g.Costs[p.Unit] = cheap
	}
	return g
}

func bank(values map[uint16]uint16) *modbus.Bank {
	b := new(modbus.Bank)
	for addr, v := range values {
		b.Set(modbus.HoldingRegisters, addr, v)
	}
	return b
}

// scanFor runs a scanner for d in a bubble of its own time.
func scanFor(t *testing.T, d time.Duration, g scan.Group, l *line, during func(*scan.Scanner)) (s *scan.Scanner, k *kept) {
	t.Helper()
	k = new(kept)
	s = scan.New(g, scan.Options{Bus: l, Sink: k, Now: now, Logger: slog.New(slog.DiscardHandler)})
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	done := make(chan error)
	go func() { done <- s.Run(ctx) }()
	if during != nil {
		during(s)
	}
	if err := <-done; err != nil {
		t.Errorf("Run: %v", err)
	}
	return s, k
}

// qualities returns those of the latest readings.
func qualities(s *scan.Scanner) (qs []string) {
	for _, r := range s.Latest() {
		qs = append(qs, r.Quality.String())
	}
	return qs
}

func TestOnePassIsOneRecordALane(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		custody, local := register(2, 1, 1), register(3, 1, 2)
		custody.Lane, local.Local = point.Custody, true
		g := group(register(1, 1, 0), custody, local)
		l := newLine(map[modbus.UnitID]*modbus.Bank{1: bank(map[uint16]uint16{0: 10, 1: 11, 2: 12})})
		s, k := scanFor(t, 2500*time.Millisecond, g, l, nil)

		var lanes []string
		for _, r := range *k {
			lanes = append(lanes, r.lane.String())
		}
		want := []string{"custody", "history", "custody", "history", "custody", "history"}
		if diff := cmp.Diff(want, lanes); diff != "" {
			t.Fatal(diff)
		}
		schemas := s.Schemas()
		var sc point.Scan
		if err := sc.Decode((*k)[1].rec, schemas[1]); err != nil {
			t.Fatal(err)
		}
		if sc.Values[0] != 10 || sc.Quality[0] != 0 {
			t.Errorf("history holds %v %v, want 10 good", sc.Values, sc.Quality)
		}
		if got := s.Latest()[2]; got.Raw != 12 || got.Quality != 0 {
			t.Errorf("the local point is %v %v, want 12 good", got.Raw, got.Quality)
		}
	})
}

func TestStampIsWhenTheFirstRequestLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine(map[modbus.UnitID]*modbus.Bank{1: bank(map[uint16]uint16{0: 1})})
		l.latency = 300 * time.Millisecond
		start := now()
		s, _ := scanFor(t, 500*time.Millisecond, group(register(1, 1, 0)), l, nil)
		got := s.Latest()[0].Stamp
		if got.Boottime != start.Boottime || got.Wall != start.Wall {
			t.Errorf("stamped %v after it left", got.Boottime-start.Boottime)
		}
	})
}

func TestBadBlockCostsItsOwnPointsOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// Register 3 lies in the middle of the block and does not exist.
		l := newLine(map[modbus.UnitID]*modbus.Bank{1: bank(map[uint16]uint16{0: 10, 1: 11, 2: 12, 4: 14, 5: 15})})
		g := group(register(1, 1, 0), register(2, 1, 1), register(3, 1, 3), register(4, 1, 4), register(5, 1, 5))
		s, _ := scanFor(t, 5500*time.Millisecond, g, l, nil)
		want := []string{"good", "good", "bad: exception", "good", "good"}
		if diff := cmp.Diff(want, qualities(s)); diff != "" {
			t.Error(diff)
		}
		// What was learnt is kept: later passes ask for two blocks and are not refused.
		last := l.requests[len(l.requests)-2:]
		if last[0].Addr != 0 || last[0].Quantity != 2 || last[1].Addr != 4 || last[1].Quantity != 2 {
			t.Errorf("the last pass asked for %+v", last)
		}
	})
}

func TestHoleBetweenPointsIsLearnt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine(map[modbus.UnitID]*modbus.Bank{1: bank(map[uint16]uint16{0: 10, 4: 14})})
		s, _ := scanFor(t, 3500*time.Millisecond, group(register(1, 1, 0), register(2, 1, 4)), l, nil)
		if diff := cmp.Diff([]string{"good", "good"}, qualities(s)); diff != "" {
			t.Error(diff)
		}
		// 4 requests in the first pass, then 2 in each of three.
		if len(l.requests) != 10 {
			t.Errorf("%d requests, want 10: %+v", len(l.requests), l.requests)
		}
	})
}

func TestRefusedPointIsTriedAgainAfterAnHour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := bank(map[uint16]uint16{0: 10})
		l := newLine(map[modbus.UnitID]*modbus.Bank{1: b})
		g := group(register(1, 1, 0), register(2, 1, 1))
		g.Interval = time.Minute
		s, _ := scanFor(t, 63*time.Minute, g, l, func(s *scan.Scanner) {
			time.Sleep(30 * time.Minute)
			if got := s.Latest()[1].Quality.Reason(); got != point.Exception {
				t.Errorf("before: %v", got)
			}
			b.Set(modbus.HoldingRegisters, 1, 11)
		})
		if got := s.Latest()[1]; got.Quality != 0 || got.Raw != 11 {
			t.Errorf("after: %v %v", got.Raw, got.Quality)
		}
	})
}

func TestDeadUnitLeavesTheOthersAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine(map[modbus.UnitID]*modbus.Bank{1: bank(map[uint16]uint16{0: 10})})
		s, _ := scanFor(t, 500*time.Millisecond, group(register(1, 1, 0), register(2, 9, 0)), l, nil)
		if diff := cmp.Diff([]string{"good", "bad: comm"}, qualities(s)); diff != "" {
			t.Error(diff)
		}
		if s.Latest()[1].Quality.HasValue() {
			t.Error("a dead unit has a value")
		}
	})
}

func TestMissingPortIsToldAsSuch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine(nil)
		l.lost.Store(true)
		s, k := scanFor(t, 1500*time.Millisecond, group(register(1, 1, 0)), l, nil)
		if diff := cmp.Diff([]string{"bad: not connected"}, qualities(s)); diff != "" {
			t.Error(diff)
		}
		if len(*k) != 2 {
			t.Errorf("%d records: that nothing could be read is a reading too", len(*k))
		}
	})
}

func TestSlowPassGivesSignsOfLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine(nil) // nobody answers
		l.latency = time.Minute
		var ticks atomic.Int64
		s := scan.New(group(register(1, 1, 0), register(2, 2, 0), register(3, 3, 0)), scan.Options{
			Bus: l, Sink: new(kept), Now: now, Tick: func() { ticks.Add(1) }, Logger: slog.New(slog.DiscardHandler),
		})
		ctx, cancel := context.WithTimeout(t.Context(), 150*time.Second)
		defer cancel()
		s.Run(ctx)
		if n := ticks.Load(); n < 2 {
			t.Errorf("%d ticks in a pass over three silent units, want one for each", n)
		}
	})
}

func TestSlowPassLeavesOutPlacesOfTheGrid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine(map[modbus.UnitID]*modbus.Bank{1: bank(map[uint16]uint16{0: 10})})
		l.latency = 2300 * time.Millisecond
		start := now()
		s, _ := scanFor(t, 5500*time.Millisecond, group(register(1, 1, 0)), l, nil)
		if got := s.Latest()[0].Stamp.Boottime - start.Boottime; got != 3*time.Second {
			t.Errorf("the second pass began after %v, want at place 3 of the grid", got)
		}
		if s.Overruns() != 4 {
			t.Errorf("%d places left out, want 4", s.Overruns())
		}
	})
}

func TestPassCutShortMakesNoRecord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine(map[modbus.UnitID]*modbus.Bank{1: bank(map[uint16]uint16{0: 10})})
		l.latency = time.Hour
		_, k := scanFor(t, 5*time.Second, group(register(1, 1, 0)), l, nil)
		if len(*k) != 0 {
			t.Errorf("%d records of values that were never asked for", len(*k))
		}
	})
}

func TestValueIsJudgedAndKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		low, high, frozen, nan := register(1, 1, 0), register(2, 1, 1), register(3, 1, 2), register(4, 1, 3)
		low.Valid, high.Valid = &scan.Bounds{Low: 100, High: 200}, &scan.Bounds{Low: 0, High: 5}
		frozen.FrozenAfter = 2 * time.Second
		nan.Type = point.Float32
		nan.Format.Order, _ = modbus.ParseOrder("ABCD")
		bits := math.Float32bits(float32(math.NaN()))
		l := newLine(map[modbus.UnitID]*modbus.Bank{1: bank(map[uint16]uint16{0: 10, 1: 11, 2: 12, 3: uint16(bits >> 16), 4: uint16(bits)})})
		s, _ := scanFor(t, 2500*time.Millisecond, group(low, high, frozen, nan), l, nil)
		want := []string{"bad: under range", "bad: over range", "uncertain: frozen", "bad: scale error"}
		if diff := cmp.Diff(want, qualities(s)); diff != "" {
			t.Error(diff)
		}
		for i, raw := range []uint64{10, 11, 12, uint64(bits)} {
			if got := s.Latest()[i].Raw; got != raw {
				t.Errorf("value %d is %#x, want it kept as %#x", i, got, raw)
			}
		}
	})
}

func TestAlarmBeginsAfterItsDelayAndEndsInsideItsDeadband(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := register(1, 1, 0)
		p.Alarms = []scan.Alarm{
			{Condition: "hi", Limit: 50, Deadband: 5, Delay: 2 * time.Second},
			{Condition: "lo", Below: true, Limit: 10},
		}
		b := bank(map[uint16]uint16{0: 20})
		l := newLine(map[modbus.UnitID]*modbus.Bank{1: b})
		values := []uint16{20, 51, 20, 51, 52, 53, 49, 46, 45, 9, 10}
		_, k := scanFor(t, time.Duration(len(values))*time.Second, group(p), l, func(*scan.Scanner) {
			time.Sleep(500 * time.Millisecond)
			for _, v := range values[1:] {
				b.Set(modbus.HoldingRegisters, 0, v)
				time.Sleep(time.Second)
			}
		})
		want := []string{"hi begins", "hi ends", "lo begins", "lo ends"}
		if diff := cmp.Diff(want, k.events(t)); diff != "" {
			t.Error(diff)
		}
	})
}

func TestAlarmStaysWhileNobodyKnowsBetter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := register(1, 1, 0)
		p.Alarms = []scan.Alarm{{Condition: "hi", Limit: 50}}
		l := newLine(map[modbus.UnitID]*modbus.Bank{1: bank(map[uint16]uint16{0: 60})})
		s, k := scanFor(t, 4*time.Second, group(p), l, func(*scan.Scanner) {
			time.Sleep(1500 * time.Millisecond)
			l.lost.Store(true)
		})
		if diff := cmp.Diff([]string{"hi begins"}, k.events(t)); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff([]string{"hi"}, s.Latest()[0].Alarms); diff != "" {
			t.Error(diff)
		}
	})
}

// rows returns the values of the records in a lane that a schema reads; nil
// where nothing is recorded.
func (k *kept) rows(t *testing.T, l point.Lane, s *point.Schema) (rows [][]any) {
	t.Helper()
	for _, r := range *k {
		id, ok := point.ScanSchema(r.rec)
		if r.lane != l || !ok || id != s.ID() {
			continue
		}
		var sc point.Scan
		if err := sc.Decode(r.rec, s); err != nil {
			t.Fatal(err)
		}
		var row []any
		for i, q := range sc.Quality {
			switch {
			case q == point.Unrecorded:
				row = append(row, nil)
			default:
				row = append(row, s.Columns[i].Value(sc.Values[i]))
			}
		}
		rows = append(rows, row)
	}
	return rows
}

// play gives holding register 0 a value each second, and scans g.
func play(t *testing.T, g scan.Group, values ...uint16) (*scan.Scanner, *kept) {
	t.Helper()
	b := bank(map[uint16]uint16{0: values[0], 1: 7})
	l := newLine(map[modbus.UnitID]*modbus.Bank{1: b})
	return scanFor(t, time.Duration(len(values))*time.Second, g, l, func(*scan.Scanner) {
		time.Sleep(500 * time.Millisecond)
		for _, v := range values[1:] {
			b.Set(modbus.HoldingRegisters, 0, v)
			time.Sleep(time.Second)
		}
	})
}

func TestPointsWithARuleHaveRecordsOfTheirOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		whole, change, still, door := register(1, 1, 0), register(2, 1, 0), register(3, 1, 1), register(4, 1, 0)
		change.Rule = point.Rule{Method: point.OnChange, Silence: time.Hour}
		still.Rule = point.Rule{Method: point.Deadband, Error: 1, Silence: 3 * time.Second}
		door.Rule = point.Rule{Method: point.SwingingDoor, Error: 0.1, Silence: time.Hour}
		door.Alarms = []scan.Alarm{{Condition: "hi", Limit: 13}}
		s, k := play(t, group(whole, change, still, door), 10, 11, 12, 13, 14, 14)
		schemas := s.Schemas()
		if len(schemas) != 3 {
			t.Fatalf("%d schemas, want one of whole points, one of those with a rule, one of doors", len(schemas))
		}
		for i, want := range [][][]any{
			{{10.}, {11.}, {12.}, {13.}, {14.}, {14.}},
			{{10., 7.}, {11., nil}, {12., nil}, {13., 7.}, {14., nil}},
			{{10.}, {14.}, {14.}},
		} {
			if diff := cmp.Diff(want, k.rows(t, point.History, schemas[i])); diff != "" {
				t.Errorf("schema %d: %s", i, diff)
			}
		}
		if diff := cmp.Diff([]string{"hi begins"}, k.events(t)); diff != "" {
			t.Errorf("an alarm is judged at every pass: %s", diff)
		}
		for _, r := range s.Latest() {
			if r.Quality != 0 || r.Stamp.Boot == 0 {
				t.Errorf("%s is shown as %v", r.Tag, r.Quality)
			}
		}
	})
}

func TestSummarisedPointSendsItsSummariesAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := register(1, 1, 0)
		p.Lane = point.Trend
		p.Summary = scan.Summary{Interval: 4 * time.Second, Statistics: point.Weighted.With(point.Last)}
		s, k := play(t, group(p), 10, 11, 12, 13, 20, 30)
		want := [][]any{{4., 10., 11.5, 13., 13.}, {2., 20., 25., 30., 30.}}
		if diff := cmp.Diff(want, k.rows(t, point.Trend, s.Schemas()[0])); diff != "" {
			t.Error(diff)
		}
		if len(*k) != 2 || len(s.Schemas()) != 1 {
			t.Errorf("%d records of %d schemas", len(*k), len(s.Schemas()))
		}
	})
}

package scan

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"skyhaul/edge/point"
)

// at is a stamp so many seconds after a start.
func at(seconds float64) point.Stamp {
	return point.Stamp{Boot: 1, Boottime: time.Duration(seconds * float64(time.Second))}
}

// loop is a point of an analogue input that counts 0 to 27648 for 4 to 20 mA.
func loop() *Point {
	return &Point{
		Column: point.Column{ID: 1, Tag: "PT-101", Type: point.Int16, Scale: point.NoScale},
		Signal: &Signal{Raw4: 0, Raw20: 27648},
	}
}

// counts returns what such an input counts at a current, in raw bits.
func counts(current float64) uint64 {
	return uint64(uint16(int16(math.Round((current - 4) / 16 * 27648))))
}

func TestCurrentIsJudgedByNE43(t *testing.T) {
	for _, c := range []struct {
		current       float64
		first, lasted string // when it comes, and after more than four seconds
	}{
		{4, "good", "good"},
		{3.801, "good", "good"},
		{20.499, "good", "good"},
		{3.79, "uncertain: under range", "uncertain: under range"},
		{3.63, "uncertain: under range", "uncertain: under range"},
		{3.6, "uncertain: under range", "bad: sensor failure"},
		{0, "uncertain: under range", "bad: sensor failure"},
		{20.51, "uncertain: over range", "uncertain: over range"},
		{20.97, "uncertain: over range", "uncertain: over range"},
		{21, "uncertain: over range", "bad: sensor failure"},
		{22.5, "uncertain: over range", "bad: sensor failure"},
	} {
		j := newJudge(loop())
		j.judge(at(0), counts(12), 0)
		first, _ := j.judge(at(1), counts(c.current), 0)
		before, _ := j.judge(at(4.9), counts(c.current), 0)
		lasted, _ := j.judge(at(5), counts(c.current), 0)
		if first.String() != c.first || before != first || lasted.String() != c.lasted {
			t.Errorf("%v mA: %v, %v, %v; want %s, then %s", c.current, first, before, lasted, c.first, c.lasted)
		}
	}
}

func TestFailureToldByNoisyLimitStays(t *testing.T) {
	j := newJudge(loop())
	for i, current := range []float64{12, 3.6, 3.62, 3.59, 3.61, 3.62, 3.63, 12, 3.5} {
		q, _ := j.judge(at(float64(i)), counts(current), 0)
		want := "uncertain: under range"
		switch {
		case current == 12:
			want = "good"
		case i >= 5 && i < 7:
			want = "bad: sensor failure"
		}
		if q.String() != want {
			t.Errorf("second %d, %v mA: %v, want %s", i, current, q, want)
		}
	}
}

func TestBrokenWireRaisesNoAlarm(t *testing.T) {
	p := loop()
	p.Alarms = []Alarm{{Condition: "lo", Below: true, Limit: 1000}, {Condition: "hi", Limit: 27648}}
	j := newJudge(p)
	var got []string
	for i, current := range []float64{12, 0, 0, 0, 0, 0, 0, 12, 20.6} {
		_, events := j.judge(at(float64(i)), counts(current), 0)
		for _, e := range events {
			got = append(got, e.Condition)
		}
	}
	// A transmitter in saturation measures still: that alarm must come.
	if want := []string{"hi"}; !slices.Equal(got, want) {
		t.Errorf("alarms %v, want %v", got, want)
	}
}

func TestSentinelIsSensorFailure(t *testing.T) {
	j := newJudge(&Point{Column: point.Column{Type: point.Int16, Scale: point.NoScale}, Sentinels: []uint64{0x7FFF, 0x8000}})
	for raw, want := range map[uint64]string{0x7FFF: "bad: sensor failure", 0x8000: "bad: sensor failure", 0x7FFE: "good"} {
		if q, _ := j.judge(at(0), raw, 0); q.String() != want {
			t.Errorf("%#x: %v, want %s", raw, q, want)
		}
	}
	f := newJudge(&Point{Column: point.Column{Type: point.Float32, Scale: point.NoScale}, Sentinels: []uint64{uint64(math.Float32bits(float32(math.NaN())))}})
	for raw, want := range map[uint64]string{0x7FC00000: "bad: sensor failure", 0xFFFFFFFF: "bad: sensor failure", 0x7F800000: "bad: scale error", 0: "good"} {
		if q, _ := f.judge(at(0), raw, 0); q.String() != want {
			t.Errorf("float32 %#x: %v, want %s", raw, q, want)
		}
	}
}

func TestWorstReasonIsGiven(t *testing.T) {
	p := loop()
	p.Valid = &Bounds{Low: 0, High: 27648}
	p.FrozenAfter = 2 * time.Second
	p.Sentinels = []uint64{0x7FFF}
	j := newJudge(p)
	var got []string
	for i, raw := range []uint64{counts(12), counts(12), counts(12), counts(3.7), counts(3.7), counts(3.7), counts(0), 0x7FFF} {
		q, _ := j.judge(at(float64(i)), raw, 0)
		got = append(got, q.String())
	}
	want := []string{
		"good", "good", "uncertain: frozen", "bad: under range", "bad: under range", "bad: under range", "bad: under range", "bad: sensor failure",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestFrozenIsTheSameBitsForTooLong(t *testing.T) {
	type step struct {
		second float64
		raw    uint64
		want   string
	}
	p := &Point{Column: point.Column{Type: point.Uint16, Scale: point.NoScale}, Valid: &Bounds{High: 100}, FrozenAfter: 10 * time.Second}
	j := newJudge(p)
	for _, s := range []step{
		{0, 50, "good"},
		{9.9, 50, "good"},
		{10, 50, "uncertain: frozen"},
		{11, 51, "good"},
		{20, 101, "bad: over range"}, // it moved
		{21, 51, "good"},
		{30.9, 51, "good"},
		{31, 51, "uncertain: frozen"},
	} {
		if q, _ := j.judge(at(s.second), s.raw, 0); q.String() != s.want {
			t.Errorf("second %v: %v, want %s", s.second, q, s.want)
		}
	}
	restarted := newJudge(p)
	if q, _ := restarted.judge(at(32), 51, 0); q != 0 {
		t.Errorf("after a restart: %v", q)
	}
	later := at(40)
	later.Boot = 2
	if q, _ := j.judge(later, 51, 0); q != 0 {
		t.Errorf("after a boot: %v", q)
	}
}

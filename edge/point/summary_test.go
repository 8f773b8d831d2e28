package point_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	. "skyhaul/edge/point"
)

func TestSummarySchemaBytesAreFrozen(t *testing.T) {
	source := &Schema{Group: "fast", Columns: station.Columns[1:2]}
	s := NewSummary(source, time.Minute, Weighted).Schemas()[0]
	checkGolden(t, s.Append(nil), `
		02 04 66617374 e0d403 04
		02 05 00 3ff0000000000000 0000000000000000 0f 54542d3130312e636f756e742e316d 00 00 01
		02 02 01 3fb999999999999a c044000000000000 0d 54542d3130312e6d696e2e316d 04 64656743 00 02
		02 08 01 3fb999999999999a c044000000000000 0e 54542d3130312e6d65616e2e316d 04 64656743 00 03
		02 02 01 3fb999999999999a c044000000000000 0d 54542d3130312e6d61782e316d 04 64656743 00 04`)
	back, rest, err := ParseSchema(s.Append(nil))
	if err != nil || len(rest) > 0 || !cmp.Equal(s, back) {
		t.Errorf("%v, %d bytes over, %s", err, len(rest), cmp.Diff(s, back))
	}
}

// scans makes scans of s as a group of an unsteady rhythm leaves them: reboots,
// pauses, wall times that jump, values that are bad or not there.
func scans(r *rand.Rand, s *Schema, n int) (all []Scan) {
	at := Stamp{Boot: 1, Boottime: time.Duration(r.IntN(7_200_000)) * time.Millisecond}
	for range n {
		sc := randomScan(r, s)
		for i, c := range s.Columns {
			switch {
			case c.Type == Float32 && r.IntN(20) > 0: // else any bits: NaN among them
				sc.Values[i] = uint64(math.Float32bits(float32(r.NormFloat64())))
			case c.Type == Float64:
				sc.Values[i] = math.Float64bits(r.NormFloat64())
			}
			if v := c.Type.Float(sc.Values[i]); math.IsInf(v, 0) || math.Abs(v) > 1e30 {
				sc.Values[i] = 0
			}
			if !sc.Quality[i].HasValue() {
				sc.Values[i] = 0
			}
		}
		switch r.IntN(100) {
		case 0:
			at.Boot, at.Boottime = at.Boot+1, time.Duration(r.IntN(90_000))*time.Millisecond
		case 1:
			at.Boottime += time.Duration(r.IntN(7_200_000)) * time.Millisecond
		default:
			at.Boottime += time.Duration(1+r.IntN(4_000)) * time.Millisecond
		}
		sc.Stamp.Boot, sc.Stamp.Boottime = at.Boot, at.Boottime
		all = append(all, sc)
	}
	return all
}

// summed gives scans to a summary and returns what comes out.
func summed(t *testing.T, s *Schema, interval time.Duration, all []Scan) (out []Scan) {
	t.Helper()
	m := NewSummary(s, interval, Weighted)
	flush := func() {
		for i, rec := range m.Records() {
			var sc Scan
			if err := sc.Decode(rec, m.Schemas()[i]); err != nil {
				t.Fatal(err)
			}
			out = append(out, sc)
		}
	}
	for i := range all {
		if !m.Add(&all[i]) {
			flush()
			if !m.Add(&all[i]) {
				t.Fatal("an empty summary takes no scan")
			}
		}
	}
	flush()
	return out
}

// plain is the summary of the readings of one column, computed the plain way.
func plain(c *Column, all []Scan, i int) (count int, least, mean, greatest float64) {
	var good []float64
	for _, sc := range all {
		if v := c.Value(sc.Values[i]); sc.Quality[i].Status() == Good && sc.Quality[i] != Unrecorded && !math.IsNaN(v) {
			good = append(good, v)
			mean += v
		}
	}
	if len(good) == 0 {
		return 0, 0, 0, 0
	}
	return len(good), slices.Min(good), mean / float64(len(good)), slices.Max(good)
}

// lastOf returns the last reading of one column.
func lastOf(all []Scan, i int) (raw uint64, q Quality) {
	for _, sc := range slices.Backward(all) {
		if sc.Quality[i] != Unrecorded {
			return sc.Values[i], sc.Quality[i]
		}
	}
	return 0, Unrecorded
}

func near(a, b float64) bool { return math.Abs(a-b) <= 1e-6*(1+math.Abs(a)+math.Abs(b)) }

func checkSummary(t *testing.T, s *Schema, parts *Schema, all []Scan, got *Scan) {
	t.Helper()
	if got.Stamp != all[0].Stamp {
		t.Errorf("stamped %v, the first scan %v", got.Stamp, all[0].Stamp)
	}
	for i := range s.Columns {
		k := 4 * i
		value := func(st Statistic) float64 {
			if c := parts.Columns[k+int(st)-1]; c.Statistic != st || c.ID != s.Columns[i].ID {
				t.Fatalf("column %d holds %v of point %d", k+int(st)-1, c.Statistic, c.ID)
			}
			return parts.Columns[k+int(st)-1].Value(got.Values[k+int(st)-1])
		}
		count, least, mean, greatest := plain(&s.Columns[i], all, i)
		if value(Count) != float64(count) {
			t.Errorf("%v good readings, want %d", value(Count), count)
		}
		if count > 0 {
			if value(Min) != least || value(Max) != greatest || !near(value(Mean), mean) || got.Quality[k+1] != 0 {
				t.Errorf("type %v: min %v mean %v max %v %v, want %v %v %v", s.Columns[i].Type, value(Min), value(Mean), value(Max), got.Quality[k+1], least, mean, greatest)
			}
			continue
		}
		raw, q := lastOf(all, i)
		if good := got.Quality[k+2].Status() == Good && q != Unrecorded; got.Values[k+1] != raw || got.Values[k+3] != raw || good {
			t.Errorf("none is good: %#x %v, the last was %#x %v", got.Values[k+1], got.Quality[k+2], raw, q)
		}
	}
}

func TestSummaryIsWhatAPlainComputationGives(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	for range 30 {
		s := randomSchema(r)
		for i := range s.Columns {
			s.Columns[i].Scale.Factor -= 0.5 // also negative: the least is the greatest raw number
		}
		all := scans(r, s, 400)
		for _, interval := range []time.Duration{time.Minute, time.Hour} {
			parts := NewSummary(s, interval, Weighted).Schemas()[0]
			out := summed(t, s, interval, all)
			rest := all
			for k := range out {
				n := 0
				for n < len(rest) && rest[n].Stamp.Boot == rest[0].Stamp.Boot && rest[n].Stamp.Boottime/interval == rest[0].Stamp.Boottime/interval {
					n++
				}
				checkSummary(t, s, parts, rest[:n], &out[k])
				rest = rest[n:]
			}
			if len(rest) > 0 || t.Failed() {
				t.Fatalf("%v: %d scans are in no summary", interval, len(rest))
			}
		}
	}
}

func TestSummaryGivesTheStatisticsThatAreWanted(t *testing.T) {
	r := rand.New(rand.NewPCG(13, 14))
	s := randomSchema(r)
	all := scans(r, s, 300)
	for i := range all {
		all[i].Stamp.Boot, all[i].Stamp.Boottime = 1, time.Duration(i)*time.Second
	}
	which := Statistics(0).With(Last).With(Count)
	m := NewSummary(s, time.Hour, which)
	for i := range all {
		m.Add(&all[i])
	}
	var got Scan
	p := m.Schemas()[0]
	if err := got.Decode(m.Records()[0], p); err != nil {
		t.Fatal(err)
	}
	if which.Len() != 2 || len(p.Columns) != 2*len(s.Columns) {
		t.Fatalf("%d columns of %d points", len(p.Columns), len(s.Columns))
	}
	for i := range s.Columns {
		count, _, _, _ := plain(&s.Columns[i], all, i)
		raw, q := lastOf(all, i)
		if c := &p.Columns[2*i+1]; c.Statistic != Last || c.Type != s.Columns[i].Type || c.Rule != (Rule{}) || !strings.HasSuffix(c.Tag, ".last.1h") {
			t.Errorf("column %+v", c)
		}
		if got.Values[2*i] != uint64(count) || got.Values[2*i+1] != raw || got.Quality[2*i+1] != q {
			t.Errorf("count %d last %#x %v, want %d %#x %v", got.Values[2*i], got.Values[2*i+1], got.Quality[2*i+1], count, raw, q)
		}
	}
	if NewSummary(p, 24*time.Hour, Weighted) != nil {
		t.Error("a summary without min, mean and max is summed up")
	}
	back, _, err := ParseSchema(p.Append(nil))
	if err != nil || !cmp.Equal(p, back) {
		t.Errorf("%v %s", err, cmp.Diff(p, back))
	}
}

func TestStatisticNamesComeBack(t *testing.T) {
	for st := Count; st <= Last; st++ {
		if got, ok := ParseStatistic(st.String()); !ok || got != st {
			t.Errorf("%v: %v, %v", st, got, ok)
		}
	}
	for _, name := range []string{"", "median"} {
		if _, ok := ParseStatistic(name); ok {
			t.Errorf("%q is a statistic", name)
		}
	}
}

func TestSummaryOfMinutesIsTheSummaryOfTheirReadings(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	s := randomSchema(r)
	all := scans(r, s, 5000)
	of := NewSummary(s, time.Minute, Weighted).Schemas()[0]
	minutes := summed(t, s, time.Minute, all)
	direct := NewSummary(s, time.Hour, Weighted).Schemas()
	if diff := cmp.Diff(direct, NewSummary(of, time.Hour, Weighted).Schemas()); diff != "" {
		t.Fatal(diff)
	}
	want, got := summed(t, s, time.Hour, all), summed(t, of, time.Hour, minutes)
	if len(got) != len(want) {
		t.Fatalf("%d summaries, want %d", len(got), len(want))
	}
	for n := range want {
		for i, c := range direct[0].Columns {
			if c.Statistic != Mean {
				continue
			}
			// A mean of means that were rounded is off by a part of what they range over.
			a, b := want[n].Values[i], got[n].Values[i]
			raw := s.Columns[i/4].Type.Float
			span := math.Abs(raw(want[n].Values[i-1])) + math.Abs(raw(want[n].Values[i+1]))
			if off := math.Abs(c.Type.Float(a) - c.Type.Float(b)); a != b && !(off <= 1e-6*span) {
				t.Fatalf("summary %d column %d: mean %v, want %v", n, i, c.Type.Float(b), c.Type.Float(a))
			}
			got[n].Values[i] = a
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestSummaryThatWasMadeAgainCountsOnce(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 12))
	s := randomSchema(r)
	minutes := summed(t, s, time.Minute, scans(r, s, 50))
	once := NewSummary(NewSummary(s, time.Minute, Weighted).Schemas()[0], 24*time.Hour, Weighted)
	twice := NewSummary(NewSummary(s, time.Minute, Weighted).Schemas()[0], 24*time.Hour, Weighted)
	for i := range minutes {
		minutes[i].Stamp.Boot, minutes[i].Stamp.Boottime = 1, time.Duration(i)*time.Minute
		once.Add(&minutes[i])
		twice.Add(&minutes[i])
	}
	for i := range minutes {
		twice.Add(&minutes[i])
	}
	if diff := cmp.Diff(once.Records(), twice.Records()); diff != "" {
		t.Error(diff)
	}
	if len(once.Records()) > 0 {
		t.Error("a summary that gave its records is not empty")
	}
}

func TestSummaryOfVeryManyPointsIsSeveralRecords(t *testing.T) {
	s := &Schema{Group: "wide", Columns: make([]Column, 3000)}
	sc := Scan{Schema: s.ID(), Values: make([]uint64, 3000), Quality: make([]Quality, 3000)}
	for i := range s.Columns {
		s.Columns[i] = Column{ID: ID(i + 1), Tag: fmt.Sprint(i), Type: Uint16, Scale: NoScale}
		sc.Values[i] = uint64(i)
	}
	m := NewSummary(s, time.Minute, Weighted)
	m.Add(&sc)
	i := 0
	for k, rec := range m.Records() {
		p := m.Schemas()[k]
		var got Scan
		if err := got.Decode(rec, p); err != nil || len(p.Columns) > MaxColumns {
			t.Fatalf("%d columns: %v", len(p.Columns), err)
		}
		for c := 3; c < len(p.Columns); c += 4 {
			if got.Values[c] != uint64(i) || p.Columns[c].ID != ID(i+1) {
				t.Fatalf("point %d: max %d of point %d", i+1, got.Values[c], p.Columns[c].ID)
			}
			i++
		}
	}
	if i != 3000 {
		t.Errorf("%d points in the records, want 3000", i)
	}
}

func TestSummaryIsOfShorterIntervalsOnly(t *testing.T) {
	minutes := NewSummary(station, time.Minute, Weighted).Schemas()[0]
	for _, s := range []*Schema{
		minutes, NewSummary(station, time.Hour, Weighted).Schemas()[0],
		{Group: "g", Interval: time.Second, Columns: minutes.Columns[1:]},
	} {
		if NewSummary(s, time.Minute, Weighted) != nil {
			t.Errorf("interval %v, %d columns: there is a summary of a minute", s.Interval, len(s.Columns))
		}
	}
}

func TestLongTagKeepsItsEnding(t *testing.T) {
	s := &Schema{Columns: []Column{{ID: 1, Tag: strings.Repeat("x", 255), Type: Bool, Scale: NoScale}}}
	minutes := NewSummary(s, time.Minute, Weighted).Schemas()[0]
	if tag := minutes.Columns[2].Tag; len(tag) != 255 || !strings.HasSuffix(tag, "x.mean.1m") {
		t.Errorf("tag of %d bytes: %s", len(tag), tag)
	}
	if tag := NewSummary(minutes, time.Hour, Weighted).Schemas()[0].Columns[2].Tag; len(tag) != 255 || !strings.HasSuffix(tag, "x.mean.1h") {
		t.Errorf("tag of %d bytes: %s", len(tag), tag)
	}
}

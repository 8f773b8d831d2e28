package point_test

import (
	"encoding/hex"
	"errors"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	. "skyhaul/edge/point"
)

var station = &Schema{
	Group: "fast",
	Columns: []Column{
		{ID: 1, Tag: "PT-101", Description: "line pressure", Unit: "bar", Type: Float32, Scale: NoScale, Decimals: 2},
		{ID: 2, Tag: "TT-101", Unit: "degC", Type: Int16, Scale: Scale{Factor: 0.1, Offset: -40}, Decimals: 1},
		{ID: 300, Tag: "XV-7", Type: Bool, Scale: NoScale, Decimals: -1},
		{ID: 4, Tag: "FQ-1", Unit: "m3", Type: Float64, Scale: NoScale, Decimals: 3},
	},
}

var stamp = Stamp{Boot: 7, Boottime: 90061001 * time.Millisecond, Wall: 1795360800123, Quality: Holdover, BoundExp: 6}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.NewReplacer(" ", "", "\n", "", "\t", "").Replace(s))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func checkGolden(t *testing.T, got []byte, want string) {
	t.Helper()
	if diff := cmp.Diff(hex.EncodeToString(unhex(t, want)), hex.EncodeToString(got)); diff != "" {
		t.Errorf("the frozen bytes differ (-want +got):\n%s", diff)
	}
}

func TestSchemaBytesAreFrozen(t *testing.T) {
	checkGolden(t, station.Append(nil), `
		01 04 66617374 04
		01 08 02 3ff0000000000000 0000000000000000 06 50542d313031 03 626172 0d 6c696e65207072657373757265
		02 02 01 3fb999999999999a c044000000000000 06 54542d313031 04 64656743 00
		ac02 01 ff 3ff0000000000000 0000000000000000 04 58562d37 00 00
		04 09 03 3ff0000000000000 0000000000000000 04 46512d31 02 6d33 00`)
	if got, want := station.ID().String(), "f2ad1e0622fea296"; got != want {
		t.Errorf("schema id %s, want %s", got, want)
	}
}

// ruled is a schema of points with rules.
var ruled = &Schema{
	Group: "fast",
	Columns: []Column{
		{ID: 2, Tag: "TT-101", Type: Int16, Scale: NoScale, Rule: Rule{Method: SwingingDoor, Error: 0.5, Silence: 15 * time.Minute}},
		{ID: 3, Tag: "XV-7", Type: Bool, Scale: NoScale, Rule: Rule{Method: OnChange, Silence: time.Hour}},
	},
}

func TestRuledSchemaBytesAreFrozen(t *testing.T) {
	checkGolden(t, ruled.Append(nil), `
		03 04 66617374 02
		02 02 00 3ff0000000000000 0000000000000000 06 54542d313031 00 00 03 3fe0000000000000 a0f736
		03 01 00 3ff0000000000000 0000000000000000 04 58562d37 00 00 01 0000000000000000 80dddb01`)
	back, rest, err := ParseSchema(ruled.Append(nil))
	if err != nil || len(rest) > 0 || !cmp.Equal(ruled, back) {
		t.Errorf("%v, %d bytes over, %s", err, len(rest), cmp.Diff(ruled, back))
	}
}

func TestSchemaOfARuleThatCanNotBeIsMalformed(t *testing.T) {
	for _, u := range []Rule{
		{Method: SwingingDoor + 1, Error: 1, Silence: time.Hour},
		{Method: Deadband, Silence: time.Hour},
		{Method: Deadband, Error: -1, Silence: time.Hour},
		{Method: Deadband, Error: math.Inf(1), Silence: time.Hour},
		{Method: SwingingDoor, Error: math.NaN(), Silence: time.Hour},
		{Method: SwingingDoor, Error: 1},
		{Method: OnChange, Error: 1, Silence: time.Hour},
		{Error: 1},
		{Silence: time.Hour},
	} {
		s := Schema{Columns: []Column{{ID: 1, Type: Int16, Rule: u}}}
		if _, _, err := ParseSchema(s.Append(nil)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%+v: %v", u, err)
		}
	}
	if _, _, err := ParseSchema([]byte{3, 0, 0}); !errors.Is(err, ErrMalformed) {
		t.Errorf("version 3 without a rule: %v", err)
	}
}

func TestScanBytesAreFrozen(t *testing.T) {
	sc := Scan{
		Schema: station.ID(), Stamp: stamp,
		Values:  []uint64{uint64(math.Float32bits(61.25)), 0xfff6, 1, math.Float64bits(1234.5)},
		Quality: []Quality{0, MakeQuality(Bad, SensorFailure), MakeQuality(Bad, SensorFailure), 0},
	}
	checkGolden(t, sc.Append(nil, station), `
		01 f2ad1e0622fea296
		01 06 07 c9f1f82a f6f5bdbdc068
		03 01 00 02 84 01 00
		42750000 fff6 01 40934a0000000000`)
	clear(sc.Quality)
	sc.Stamp = Stamp{}
	checkGolden(t, sc.Append(nil, station), `
		01 f2ad1e0622fea296  00 00 00 00 00  00  42750000 fff6 01 40934a0000000000`)
}

func TestEventAndNoteBytesAreFrozen(t *testing.T) {
	e := Event{
		Stamp: stamp, Point: 2, Tag: "TT-101", Condition: "hi", Active: true, Type: Int16, Raw: 1250,
		Value: 85, Limit: 80,
	}
	checkGolden(t, e.Append(nil), `
		02 01 06 07 c9f1f82a f6f5bdbdc068 02 01 02 00 00000000000004e2 4055400000000000 4054000000000000 06 54542d313031 02 6869`)
	n := Note{Stamp: stamp, Topic: "clock", Text: "step of +3 s"}
	checkGolden(t, n.Append(nil), `06 01 06 07 c9f1f82a f6f5bdbdc068 05 636c6f636b 73746570206f66202b332073`)
}

func TestEventAndNoteComeBack(t *testing.T) {
	want := Event{Stamp: stamp, Point: 2, Tag: "TT-101", Condition: "lo", Type: Float32, Raw: 5, Quality: MakeQuality(Bad, Frozen), Value: 1.5, Limit: 2}
	var got Event
	if err := got.Decode(want.Append(nil)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	wantNote := Note{Stamp: stamp, Topic: "start", Text: strings.Repeat("x", MaxNote+1)}
	var gotNote Note
	if err := gotNote.Decode(wantNote.Append(nil)); err != nil {
		t.Fatal(err)
	}
	wantNote.Text = wantNote.Text[:MaxNote]
	if diff := cmp.Diff(wantNote, gotNote); diff != "" {
		t.Error(diff)
	}
}

func TestEveryKindTellsItsStamp(t *testing.T) {
	sc := Scan{Schema: station.ID(), Stamp: stamp, Values: make([]uint64, 4), Quality: make([]Quality, 4)}
	for _, rec := range [][]byte{
		sc.Append(nil, station), (&Event{Stamp: stamp, Type: Bool}).Append(nil), (&Note{Stamp: stamp}).Append(nil),
		(&Archive{Stamp: stamp}).Append(nil),
	} {
		if got, ok := StampOf(rec); !ok || got != stamp {
			t.Errorf("kind %d: %+v, %v", KindOf(rec), got, ok)
		}
		if _, ok := StampOf(rec[:5]); ok {
			t.Errorf("kind %d: a cut record has a stamp", KindOf(rec))
		}
	}
	if _, ok := StampOf([]byte{byte(KindMessage), 1, 2, 3}); ok {
		t.Error("a message has a stamp")
	}
}

// randomSchema has 1 to 40 columns of every type.
func randomSchema(r *rand.Rand) *Schema {
	s := &Schema{Group: "g", Columns: make([]Column, 1+r.IntN(40))}
	for i := range s.Columns {
		s.Columns[i] = Column{
			ID: ID(1 + r.Uint32N(1000)), Tag: strings.Repeat("t", r.IntN(20)), Unit: "bar",
			Type: Type(1 + r.IntN(int(Float64))), Scale: Scale{Factor: r.Float64(), Offset: r.Float64()},
		}
		if r.IntN(10) == 0 {
			s.Columns[i].Rule = Rule{Method: Deadband, Error: 1 + r.Float64(), Silence: time.Duration(1+r.IntN(1e6)) * time.Millisecond}
		}
	}
	return s
}

func randomScan(r *rand.Rand, s *Schema) Scan {
	sc := Scan{
		Schema: s.ID(),
		Stamp: Stamp{
			Boot: r.Uint32(), Boottime: time.Duration(r.Int64N(1e12)) * time.Millisecond,
			Wall: r.Int64() - math.MaxInt64/2, Quality: TimeQuality(r.IntN(5)), BoundExp: uint8(r.IntN(256)),
		},
		Values:  make([]uint64, len(s.Columns)),
		Quality: make([]Quality, len(s.Columns)),
	}
	for i := range sc.Values {
		size := s.Columns[i].Type.Size()
		sc.Values[i] = r.Uint64() >> (64 - 8*size)
		if s.Columns[i].Type == Bool {
			sc.Values[i] &= 1
		}
		switch r.IntN(6) {
		case 0, 1:
			sc.Quality[i] = MakeQuality(Status(r.IntN(3)), Reason(r.IntN(int(Clock)+1)))
		case 2:
			sc.Quality[i] = Unrecorded
		}
	}
	return sc
}

func TestScanComesBackBitForBit(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var got Scan
	for range 2000 {
		s := randomSchema(r)
		want := randomScan(r, s)
		rec := want.Append(nil, s)
		if err := got.Decode(rec, s); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatal(diff)
		}
		back, rest, err := ParseSchema(s.Append(nil))
		if err != nil || len(rest) != 0 || !cmp.Equal(s, back) {
			t.Fatalf("schema: %v, %d bytes over, %s", err, len(rest), cmp.Diff(s, back))
		}
	}
}

func TestDamagedScanIsMalformed(t *testing.T) {
	sc := randomScan(rand.New(rand.NewPCG(3, 4)), station)
	rec := sc.Append(nil, station)
	for n := range rec {
		if err := new(Scan).Decode(rec[:n], station); !errors.Is(err, ErrMalformed) {
			t.Errorf("cut to %d bytes: %v", n, err)
		}
	}
	if err := new(Scan).Decode(append(rec, 0), station); !errors.Is(err, ErrMalformed) {
		t.Errorf("a byte too many: %v", err)
	}
}

func TestSchemaWithTooManyColumnsAllocatesNothing(t *testing.T) {
	b := []byte{1, 0, 0xff, 0xff, 0xff, 0x7f}
	if _, _, err := ParseSchema(b); !errors.Is(err, ErrMalformed) {
		t.Errorf("got %v", err)
	}
}

func TestRenamedPointMakesAnotherSchema(t *testing.T) {
	other := *station
	other.Columns = append([]Column(nil), station.Columns...)
	other.Columns[0].Tag = "PT-102"
	if other.ID() == station.ID() {
		t.Error("the schema id did not change with a tag")
	}
}

func TestValueText(t *testing.T) {
	for _, c := range []struct {
		typ   Type
		raw   uint64
		text  string
		float float64
	}{
		{Bool, 1, "1", 1},
		{Int16, 0xffff, "-1", -1},
		{Uint16, 0xffff, "65535", 65535},
		{Int32, 0x80000000, "-2147483648", -2147483648},
		{Uint32, 0xffffffff, "4294967295", 4294967295},
		{Int64, 1 << 63, "-9223372036854775808", -9223372036854775808},
		{Uint64, 1<<64 - 1, "18446744073709551615", 18446744073709551615},
		{Float32, uint64(math.Float32bits(0.1)), "0.1", float64(float32(0.1))},
		{Float64, math.Float64bits(0.1), "0.1", 0.1},
	} {
		if got := c.typ.Format(c.raw); got != c.text {
			t.Errorf("%v.Format(%#x) = %s, want %s", c.typ, c.raw, got, c.text)
		}
		if got := c.typ.Float(c.raw); got != c.float {
			t.Errorf("%v.Float(%#x) = %v, want %v", c.typ, c.raw, got, c.float)
		}
		if got, err := c.typ.Parse(c.text); err != nil || got != c.raw {
			t.Errorf("%v.Parse(%s) = %#x, %v, want %#x", c.typ, c.text, got, err, c.raw)
		}
	}
	if _, err := Uint16.Parse("65536"); err == nil {
		t.Error("uint16 took 65536")
	}
}

func TestNamesComeBack(t *testing.T) {
	for _, l := range Lanes() {
		if got, ok := ParseLane(l.String()); !ok || got != l {
			t.Errorf("lane %v: %v, %v", l, got, ok)
		}
	}
	for typ := Bool; typ <= Float64; typ++ {
		if got, ok := ParseType(typ.String()); !ok || got != typ {
			t.Errorf("type %v: %v, %v", typ, got, ok)
		}
	}
	if got, want := MakeQuality(Bad, SensorFailure).String(), "bad: sensor failure"; got != want {
		t.Errorf("quality %q, want %q", got, want)
	}
}

func TestQualityKeepsTheValueRead(t *testing.T) {
	for q, want := range map[Quality]bool{
		0:                               true,
		MakeQuality(Uncertain, Frozen):  true,
		MakeQuality(Bad, SensorFailure): true,
		MakeQuality(Bad, Comm):          false,
		MakeQuality(Bad, Exception):     false,
		MakeQuality(Bad, NotConnected):  false,
		Unrecorded:                      false,
	} {
		if got := q.HasValue(); got != want {
			t.Errorf("%v: HasValue %v, want %v", q, got, want)
		}
	}
}

func TestOnlyTheGoodIsLeftOut(t *testing.T) {
	if !Unrecorded.Valid() || Unrecorded.String() != "good: not recorded" {
		t.Errorf("%v", Unrecorded)
	}
	for _, s := range []Status{Uncertain, Bad} {
		if q := MakeQuality(s, NotRecorded); q.Valid() {
			t.Errorf("%v is valid", q)
		}
	}
}

func TestBoundCoversTheError(t *testing.T) {
	for _, d := range []time.Duration{0, time.Millisecond, 1001 * time.Microsecond, time.Second, 24 * time.Hour} {
		s := Stamp{BoundExp: BoundExp(d)}
		got, ok := s.Bound()
		if !ok || got < d || (got > 2*d && got > time.Millisecond) {
			t.Errorf("bound of %v is %v, %v", d, got, ok)
		}
	}
	if _, ok := (Stamp{BoundExp: UnknownBound}).Bound(); ok {
		t.Error("an unknown bound is known")
	}
}

func FuzzScan(f *testing.F) {
	sc := randomScan(rand.New(rand.NewPCG(5, 6)), station)
	f.Add(sc.Append(nil, station))
	f.Fuzz(func(t *testing.T, b []byte) {
		var sc Scan
		if sc.Decode(b, station) != nil {
			return
		}
		if back := sc.Append(nil, station); !cmp.Equal(b, back) {
			t.Errorf("% x\ncame back as\n% x", b, back)
		}
	})
}

func FuzzSchema(f *testing.F) {
	f.Add(station.Append(nil))
	f.Add(ruled.Append(nil))
	f.Add(NewSummary(station, time.Minute, Weighted).Schemas()[0].Append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, rest, err := ParseSchema(b)
		if err != nil {
			return
		}
		if back := s.Append(nil); !cmp.Equal(b[:len(b)-len(rest)], back) {
			t.Errorf("% x\ncame back as\n% x", b, back)
		}
	})
}

func FuzzEvent(f *testing.F) {
	f.Add((&Event{Stamp: stamp, Point: 1, Type: Bool, Tag: "a", Condition: "hi"}).Append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		var e Event
		if e.Decode(b) != nil {
			return
		}
		if back := e.Append(nil); !cmp.Equal(b, back) {
			t.Errorf("% x\ncame back as\n% x", b, back)
		}
	})
}

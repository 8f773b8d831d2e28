package archive

import (
	"math"
	"testing"
	"time"

	"skyhaul/edge/point"
)

// words makes a record of float32 fields.
func words(vs ...float32) (b []byte) {
	for _, v := range vs {
		bits := math.Float32bits(v)
		b = append(b, byte(bits>>24), byte(bits>>16), byte(bits>>8), byte(bits))
	}
	return b
}

func TestTimeOfARecord(t *testing.T) {
	both := layout("date float32 mmddyy", "time float32 hhmmss")
	nan := float32(math.NaN())
	for name, c := range map[string]struct {
		l    point.Layout
		raw  []byte
		want string
	}{
		"of the reference":            {both, words(120304, 80000), "2004-12-03 08:00:00"},
		"day first":                   {layout("date float32 ddmmyy", "time float32 hhmmss"), words(31204, 80000), "2004-12-03 08:00:00"},
		"year first":                  {layout("date float32 yymmdd", "time float32 hhmmss"), words(41203, 80000), "2004-12-03 08:00:00"},
		"time first":                  {layout("time float32 hhmmss", "date float32 mmddyy"), words(235959, 22924), "2024-02-29 23:59:59"},
		"integers":                    {layout("date uint32 mmddyy", "time uint32 hhmmss"), []byte{0, 1, 0xd5, 0xf0, 0, 1, 0x38, 0x80}, "2004-12-03 08:00:00"},
		"other fields between":        {layout("- uint16", "date float32 mmddyy", "P float32", "time float32 hhmmss"), append([]byte{9, 9}, words(10170, nan, 1)...), "1970-01-01 00:00:01"},
		"the contract hour":           {layout("date float32 mmddyy"), words(120304), "2004-12-03 09:30:00"},
		"last of this century":        {layout("date float32 mmddyy"), words(123168), "2068-12-31 09:30:00"},
		"first of the last":           {layout("date float32 mmddyy"), words(10169), "1969-01-01 09:30:00"},
		"seconds":                     {layout("at uint32 unix"), []byte{0x41, 0xB0, 0x1D, 0x00}, "2004-12-03 08:00:00"},
		"seconds never set":           {layout("at uint32 unix"), []byte{0, 0, 0, 0}, "time unknown"},
		"seconds over all":            {layout("at uint64 unix"), []byte{1, 0, 0, 0, 0, 0, 0, 0}, "time unknown"},
		"seconds that are none":       {layout("at float32 unix"), words(nan), "time unknown"},
		"no date":                     {layout("time float32 hhmmss"), words(80000), "time unknown"},
		"no time in the layout":       {layout("P float32 kPa"), words(80000), "time unknown"},
		"cut":                         {both, words(120304)[:3], "time unknown"},
		"13th month":                  {both, words(130304, 80000), "time unknown"},
		"30 February":                 {both, words(23004, 80000), "time unknown"},
		"29 February of no leap year": {both, words(22905, 80000), "time unknown"},
		"0":                           {both, words(0, 80000), "time unknown"},
		"24 o'clock":                  {both, words(120304, 240000), "time unknown"},
		"minute 60":                   {both, words(120304, 86000), "time unknown"},
		"second 60":                   {both, words(120304, 80060), "time unknown"},
		"negative":                    {both, words(-120304, 80000), "time unknown"},
		"too long":                    {both, words(1e6, 80000), "time unknown"},
		"a fraction":                  {both, words(120304.5, 80000), "time unknown"},
		"not a number":                {both, words(nan, 80000), "time unknown"},
		"infinite":                    {both, words(120304, float32(math.Inf(1))), "time unknown"},
	} {
		k := clock{time.UTC, 9*time.Hour + 30*time.Minute}
		got := k.read(c.l, c.raw)
		if got.String() != c.want {
			t.Errorf("%s: %v, want %s", name, got, c.want)
		}
		if known := c.want != "time unknown"; known != (got.quality == 0) || (got.utc != 0) != known || got.utc != got.local {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestLocalTimesThatAreTwiceOrNotAtAll(t *testing.T) {
	denver, err := time.LoadLocation("America/Denver")
	if err != nil {
		t.Fatal(err)
	}
	uncertain := point.MakeQuality(point.Uncertain, point.Clock)
	for local, want := range map[string]struct {
		utc string
		q   point.Quality
	}{
		"2026-01-15 12:00:00": {"2026-01-15 19:00:00", 0},
		"2026-07-15 12:00:00": {"2026-07-15 18:00:00", 0},
		"2026-03-08 01:59:59": {"2026-03-08 08:59:59", 0},
		"2026-03-08 02:00:00": {"2026-03-08 09:00:00", uncertain},
		"2026-03-08 02:59:59": {"2026-03-08 09:59:59", uncertain},
		"2026-03-08 03:00:00": {"2026-03-08 09:00:00", 0},
		"2026-11-01 00:59:59": {"2026-11-01 06:59:59", 0},
		"2026-11-01 01:00:00": {"2026-11-01 07:00:00", uncertain},
		"2026-11-01 01:59:59": {"2026-11-01 07:59:59", uncertain},
		"2026-11-01 02:00:00": {"2026-11-01 09:00:00", 0},
	} {
		date, err := time.Parse(time.DateTime, local)
		if err != nil {
			t.Fatal(err)
		}
		k := clock{location: denver}
		got := k.at(date)
		if utc := time.UnixMilli(got.utc).UTC().Format(time.DateTime); utc != want.utc || got.quality != want.q || got.local != date.UnixMilli() {
			t.Errorf("%s is %s, %v; want %s, %v", local, utc, got.quality, want.utc, want.q)
		}
	}
}

func TestMinuteOfEveryDayComesBack(t *testing.T) {
	for _, zone := range []string{"Europe/Oslo", "Australia/Lord_Howe", "America/Sao_Paulo", "Asia/Kolkata", "Etc/GMT+7"} {
		loc, err := time.LoadLocation(zone)
		if err != nil {
			t.Fatal(err)
		}
		k := clock{location: loc}
		for at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC); at.Year() < 2028; at = at.Add(7 * time.Minute) {
			_, offset := at.In(loc).Zone()
			got := k.at(at.Add(time.Duration(offset) * time.Second))
			if got.quality == 0 && got.utc != at.UnixMilli() {
				t.Fatalf("%s: %v is read as %v", zone, at, time.UnixMilli(got.utc).UTC())
			}
		}
	}
}

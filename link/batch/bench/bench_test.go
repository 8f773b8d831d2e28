package bench

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"skyhaul/edge/point"
)

// The ceilings are the figures reached, and 2 %: of batches that stand alone, and
// of such that lean on each other.
func TestRecordingsComeBackBitForBitAndShort(t *testing.T) {
	for _, c := range []struct {
		file           string
		length         time.Duration
		alone, leaning float64
	}{
		{"rig1s", time.Minute, 1.19, 0.828},
		{"rig1s", 15 * time.Minute, 0.91, 0.810},
		{"comp10s", time.Minute, 1.52, 0.269},
		{"comp10s", 15 * time.Minute, 0.30, 0.186},
		{"comp10s", 6 * time.Hour, 0.192, 0.179},
		{"plant5m", 15 * time.Minute, 1.78, 0.769},
		{"plant5m", 6 * time.Hour, 0.655, 0.743},
	} {
		r, err := Load("testdata/"+c.file+".csv.zst", "")
		if err != nil {
			t.Fatal(err)
		}
		for ceiling, o := range map[float64]Options{c.alone: {Alone: true}, c.leaning: {}} {
			res, err := r.Measure(t.Context(), c.length, o)
			if err != nil {
				t.Fatal(err)
			}
			if res.BytesPerReading > ceiling || res.BytesPerReading == 0 {
				t.Errorf("%s %s %+v: %.4f bytes a reading, at most %.3f", c.file, res.Batch, o, res.BytesPerReading, ceiling)
			}
		}
	}
}

func TestResultHasTheNamesThatScriptsRead(t *testing.T) {
	const want = `{"file":"f","batch":"15m","readings":0,"bytes":0,"bytes_per_reading":0,"encode_ns_per_reading":0,"decode_ns_per_reading":0,"state_bytes_per_point":0`
	for end, peers := range map[string]map[string]float64{`}`: nil, `,"peers":{"a":1.5}}`: {"a": 1.5}} {
		b, err := json.Marshal(Result{File: "f", Batch: "15m", Peers: peers})
		if err != nil || string(b) != want+end {
			t.Errorf("%v, got\n%s, want\n%s", err, b, want+end)
		}
	}
	for d, want := range map[time.Duration]string{time.Minute: "1m", 6 * time.Hour: "6h", 90 * time.Minute: "1h30m", 30 * time.Second: "30s", 10 * time.Minute: "10m"} {
		if got := name(d); got != want {
			t.Errorf("%v is %q, want %q", d, got, want)
		}
	}
}

func TestColumnGetsTheFirstTypeThatHoldsIt(t *testing.T) {
	for cells, want := range map[string]point.Type{
		"0 1 - 1": point.Bool, "0 2": point.Uint16, "-1 2": point.Int16, "70000": point.Uint32, "-70000": point.Int32,
		"5000000000": point.Uint64, "-5000000000": point.Int64, "18446744073709551615 0": point.Uint64,
		"1.5 2": point.Float32, "0.1": point.Float32, "0.100000000000001": point.Float64, "-0": point.Int16,
		"1.50": point.Float32, "16777217.5": point.Float64, "- -": point.Bool, "off": point.Float64,
	} {
		var rows [][]string
		for c := range strings.FieldsSeq(cells) {
			rows = append(rows, []string{"", strings.TrimSuffix(c, " ")})
		}
		for i := range rows {
			if rows[i][1] == "-" {
				rows[i][1] = ""
			}
		}
		if got := guess(rows, 1); got != want {
			t.Errorf("%s: %v, want %v", cells, got, want)
		}
	}
}

func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestMapGivesTheTypes(t *testing.T) {
	csv := write(t, "x.csv", "ts_ms,a,b\n1000,1,2\n2000,,3\n")
	m := write(t, "x.map.json", `[{"tag": "b", "type": "float32", "scale": 0.5}, {"tag": "a", "type": "int16"}]`)
	r, err := Load(csv, m)
	if err != nil {
		t.Fatal(err)
	}
	got := []point.Type{r.schema.Columns[0].Type, r.schema.Columns[1].Type}
	if !slices.Equal(got, []point.Type{point.Int16, point.Float32}) || r.schema.Columns[1].Scale.Factor != 0.5 {
		t.Errorf("columns %+v", r.schema.Columns)
	}
	res, err := r.Measure(t.Context(), time.Minute, Options{})
	if err != nil || res.Readings != 4 || res.File != csv || res.Bytes == 0 {
		t.Errorf("%+v, %v", res, err)
	}
}

func TestFirstBatchIsOfFullLength(t *testing.T) {
	// The minute ends after the first scan, the first batch after the third.
	r, err := Load(write(t, "x.csv", "ts_ms,a,b\n59000,1,2\n60000,1,3\n118999,1,2\n119000,1,2\n"), "")
	if err != nil {
		t.Fatal(err)
	}
	for first, want := range map[bool]int{true: 6, false: 8} {
		res, err := r.Measure(t.Context(), time.Minute, Options{First: first})
		if err != nil || res.Readings != want {
			t.Errorf("first %v: %d readings, want %d; %v", first, res.Readings, want, err)
		}
	}
}

func TestProgressIsOfScansAndEnds(t *testing.T) {
	r, err := Load(write(t, "x.csv", "ts_ms,a\n1,2\n2,2\n1001,2\n"), "")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var done []int
	o := Options{Progress: func(n, scans int) { done = append(done, n, scans) }}
	if _, err := r.Measure(ctx, time.Second, o); err != nil || !slices.Equal(done, []int{2, 3, 3, 3}) {
		t.Errorf("%v, %v", done, err)
	}
	o.Progress = func(int, int) { cancel() }
	if _, err := r.Measure(ctx, time.Second, o); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %v", err)
	}
}

func TestIntervalIsTheUsualOne(t *testing.T) {
	for walls, want := range map[string]time.Duration{"5": 0, "0 1000 2001 90000": 1001 * time.Millisecond, "0 60000": time.Minute} {
		r, err := Load(write(t, "x.csv", "ts_ms,a\n"+strings.ReplaceAll(walls, " ", ",1\n")+",1\n"), "")
		if err != nil {
			t.Fatal(err)
		}
		if got := r.Interval(); got != want {
			t.Errorf("%s: %v, want %v", walls, got, want)
		}
	}
}

func TestErrorsSayWhere(t *testing.T) {
	good := write(t, "good.csv", "ts_ms,a\n1,2\n")
	for _, c := range []struct{ csv, types, want string }{
		{"t,a\n1,2\n", "", "line 1"},
		{"ts_ms,a\n", "", "line 1"},
		{"ts_ms,a\n1,2\nx,2\n", "", "line 3: column ts_ms"},
		{"ts_ms,a\n1,2\n2,off\n", "", "line 3: column a"},
		{"ts_ms,a\n1,2\n2\n", "", "line 3"},
		{"ts_ms,a\n5,2\n4,2\n", "", "line 3: ts_ms 4"},
		{"ts_ms,a\n1,2\n", `[{"tag": "b", "type": "bool"}]`, `column "a"`},
		{"ts_ms,a\n1,2\n", `[{"tag": "a", "type": "real"}]`, `type "real"`},
		{"ts_ms,a\n1,70000\n", `[{"tag": "a", "type": "int16"}]`, "line 2: column a"},
		{"ts_ms,a\n1,2\n", `{`, "map.json"},
	} {
		types := ""
		if c.types != "" {
			types = write(t, "map.json", c.types)
		}
		if _, err := Load(write(t, "x.csv", c.csv), types); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q with map %q: %v, want %q in it", c.csv, c.types, err, c.want)
		}
	}
	if _, err := Load(filepath.Join(t.TempDir(), "none.csv"), ""); err == nil {
		t.Error("a file that isn't there was loaded")
	}
	if _, err := Load(good+".zst", ""); err == nil {
		t.Error("a file that isn't there was loaded")
	}
	r, err := Load(good, "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Measure(t.Context(), 0, Options{}); err == nil {
		t.Error("batches of no length were made")
	}
}

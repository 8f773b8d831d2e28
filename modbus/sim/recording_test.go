package sim

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"

	"skyhaul/modbus"
)

const stationMap = `[
 {"tag": "count", "address": 40001, "registers": 1, "type": "uint16", "scale": 0.5, "offset": -10, "note": "ADC counts"},
 {"tag": "level", "address": 40002, "registers": 1, "type": "int16"},
 {"tag": "flow", "address": 40003, "registers": 2, "type": "float32"},
 {"tag": "total", "unit": 2, "address": 400001, "registers": 2, "type": "uint32"},
 {"tag": "net", "unit": 2, "address": 465535, "registers": 2, "type": "int32"}
]`

const stationCSV = `ts_ms,total,note,flow,level,count,net
1000,4000000000,x,0.202394,-1,65535,-2
2000,,x,,,,
4500,70000,x,-3e38,32767,0,2147483647
`

func points(t testing.TB) []Point {
	t.Helper()
	points, err := ReadMap(strings.NewReader(stationMap))
	if err != nil {
		t.Fatal(err)
	}
	return points
}

func station(t testing.TB) *Recording {
	t.Helper()
	rec, err := ReadRecording(strings.NewReader(stationCSV), points(t))
	if err != nil {
		t.Fatal(err)
	}
	return rec
}

func TestMapNamesRegistersAsEngineersDo(t *testing.T) {
	want := []Point{
		{"count", 1, 0, "uint16", 0.5, -10},
		{"level", 1, 1, "int16", 1, 0},
		{"flow", 1, 2, "float32", 1, 0},
		{"total", 2, 0, "uint32", 1, 0},
		{"net", 2, 65534, "int32", 1, 0},
	}
	if diff := cmp.Diff(want, points(t)); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestRowsHoldValuesAsWritten(t *testing.T) {
	want := []uint16{
		65535, 0xFFFF, 0x3E4F, 0x405F, 0xEE6B, 0x2800, 0xFFFF, 0xFFFE,
		0, 0, 0x7FC0, 0, 0, 0, 0, 0,
		0, 32767, 0xFF61, 0xB1E6, 1, 70000 - 65536, 0x7FFF, 0xFFFF,
	}
	rec := station(t)
	if diff := cmp.Diff(want, rec.words); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if diff := cmp.Diff([]int{8, 9, 12, 13, 14, 15}, rec.empty); diff != "" {
		t.Errorf("cells without a value: -want +got\n%s", diff)
	}
}

func TestLoadReadsPlainAndCompressedAlike(t *testing.T) {
	dir := t.TempDir()
	var z bytes.Buffer
	w, _ := zstd.NewWriter(&z)
	w.Write([]byte(stationCSV))
	w.Close()
	for name, content := range map[string]string{"r.csv": stationCSV, "r.csv.zst": z.String(), "m.json": stationMap} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"r.csv", "r.csv.zst"} {
		rec, err := Load(filepath.Join(dir, name), filepath.Join(dir, "m.json"))
		if err != nil {
			t.Fatal(err)
		}
		if !cmp.Equal(rec.words, station(t).words) || !cmp.Equal(rec.Points(), points(t)) {
			t.Errorf("%s: differs from the CSV itself", name)
		}
	}
}

func TestBadFilesAreRefusedWithTheirFault(t *testing.T) {
	maps := []struct{ in, want string }{
		{`{}`, "map: json"},
		{`[{"tag": "a", "adress": 40001}]`, `unknown field "adress"`},
		{`[{"address": 40001, "registers": 1, "type": "int16"}]`, "entry 1, tag \"\": no tag"},
		{`[{"tag": "a", "address": 30001, "registers": 1, "type": "int16"}]`, "address 30001 is no holding register"},
		{`[{"tag": "a", "address": 465536, "registers": 2, "type": "int32"}]`, "address 465536 is no"},
		{`[{"tag": "a", "address": 40001, "registers": 1, "type": "float32"}]`, "float32 takes 2 registers, not 1"},
		{`[{"tag": "a", "address": 40001, "registers": 1, "type": "word"}]`, `type "word" is not`},
		{`[{"tag": "a", "unit": 248, "address": 40001, "registers": 1, "type": "int16"}]`, "unit 248"},
		{
			`[{"tag": "a", "address": 40001, "registers": 1, "type": "int16"}, {"tag": "a", "address": 40002, "registers": 1, "type": "int16"}]`,
			`two points with tag "a"`,
		},
		{
			`[{"tag": "a", "address": 40002, "registers": 1, "type": "int16"}, {"tag": "b", "address": 40001, "registers": 2, "type": "int32"}]`,
			`"b" and "a" share a register of unit 1`,
		},
	}
	for _, tt := range maps {
		if _, err := ReadMap(strings.NewReader(tt.in)); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("map %s: got %v, want %q", tt.in, err, tt.want)
		}
	}
	level := []Point{{"level", 1, 0, "int16", 1, 0}}
	recordings := []struct{ in, want string }{
		{"", "header: EOF"},
		{"time,level\n", `first column is "time"`},
		{"ts_ms,flow\n", `no column for tag "level"`},
		{"ts_ms,level\n", "no rows"},
		{"ts_ms,level\n1,1\nx,1\n", `line 3: time "x"`},
		{"ts_ms,level\n2,1\n2,1\n", "line 3: time 2 is not after 2"},
		{"ts_ms,level\n1,40000\n", `line 2: tag "level": "40000" is no int16`},
		{"ts_ms,level\n1,1.0\n", `"1.0" is no int16`},
		{"ts_ms,level\n1\n", "wrong number of fields"},
	}
	for _, tt := range recordings {
		if _, err := ReadRecording(strings.NewReader(tt.in), level); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("recording %q: got %v, want %q", tt.in, err, tt.want)
		}
	}
}

func FuzzRecording(f *testing.F) {
	f.Add(stationMap, stationCSV)
	f.Add(`[{"tag":"a","address":40001,"registers":1,"type":"int16"}]`, "ts_ms,a\n0,-32768\n1,\n")
	f.Fuzz(func(t *testing.T, m, csv string) {
		points, err := ReadMap(strings.NewReader(m))
		if err != nil {
			return
		}
		rec, err := ReadRecording(strings.NewReader(csv), points)
		if err != nil {
			return
		}
		// Whatever was read can be served, every register of it, to the end.
		r := NewReplay(rec, ReplayOptions{})
		r.row(1 << 62)
		for _, p := range points {
			req, err := modbus.ReadRequest(modbus.FuncReadHoldingRegisters, p.Addr, types[p.Type].registers)
			if err != nil {
				t.Fatal(err)
			}
			a, ok := r.Handle(p.Unit, req)
			if !ok || a.Function() != req.Function() && a[1] != byte(modbus.ServerDeviceFailure) {
				t.Fatalf("%v: answer % X", p, a)
			}
		}
	})
}

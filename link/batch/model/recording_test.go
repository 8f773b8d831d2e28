package model

import (
	"encoding/csv"
	"encoding/json"
	"flag"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
)

var data = flag.String("data", "", "folder of recordings (*.csv.zst) to measure")

// header is what a batch costs beside the stream.
const header = 8

// recording is a file as rows of cells: five columns of stamps, then its own.
type recording struct {
	name    string
	columns []Column
	cells   [][]uint64
	skip    [][]bool
	walls   []int64
}

// TestRecordings prints what the recordings under -data come to, each in
// batches of three lengths, with the state carried from the first on.
func TestRecordings(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(*data, "*.csv.zst"))
	if *data == "" || err != nil {
		t.Skip("no -data")
	}
	lengths := []time.Duration{time.Minute, 15 * time.Minute, 6 * time.Hour}
	var all, seconds [3]float64
	for _, file := range files {
		r := load(t, file)
		var per [3]float64
		var ns [2]float64
		var size float64
		for i, l := range lengths {
			per[i], ns, size = r.measure(t, l)
			all[i] += math.Log(per[i]) / float64(len(files))
			if strings.Contains(r.name, "1s") {
				seconds[i] += math.Log(per[i]) / 4
			}
		}
		t.Logf("%-14s  %.4f %.4f %.4f  encode %4.0f ns decode %4.0f ns  %6.0f bytes a column", r.name, per[0], per[1], per[2], ns[0], ns[1], size)
	}
	t.Logf("%-14s  %.4f %.4f %.4f", "all", math.Exp(all[0]), math.Exp(all[1]), math.Exp(all[2]))
	t.Logf("%-14s  %.4f %.4f %.4f", "four of 1 Hz", math.Exp(seconds[0]), math.Exp(seconds[1]), math.Exp(seconds[2]))
}

// measure plays r through both ends, batch by batch.
func (r *recording) measure(t *testing.T, length time.Duration) (bytes float64, ns [2]float64, size float64) {
	w, rd := NewTable(r.columns, Options{}), NewTable(r.columns, Options{})
	var c Coder
	buf := make([]uint64, len(r.columns))
	readings := float64(len(r.cells) * (len(r.columns) - 5))
	for at, end := 0, 0; at < len(r.cells); at = end {
		for end = at; end < len(r.cells) && r.walls[end]/length.Milliseconds() == r.walls[at]/length.Milliseconds(); end++ {
		}
		begin := time.Now()
		c.Encode(nil)
		for i := at; i < end; i++ {
			copy(buf, r.cells[i])
			w.Row(&c, buf, r.skip[i])
		}
		b := c.Finish()
		ns[0] += float64(time.Since(begin)) / readings
		bytes += float64(len(b)+header) / readings
		begin = time.Now()
		c.Decode(b)
		for i := at; i < end; i++ {
			rd.Row(&c, buf, r.skip[i])
			for j, v := range buf {
				if v != r.cells[i][j] {
					t.Fatalf("%s row %d column %d: %x, want %x", r.name, i, j, v, r.cells[i][j])
				}
			}
		}
		ns[1] += float64(time.Since(begin)) / readings
		if c.Bad() {
			t.Fatalf("%s: a whole stream is called bad", r.name)
		}
	}
	return bytes, ns, float64(w.Size()) / float64(len(r.columns))
}

func load(t *testing.T, path string) *recording {
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	z, err := zstd.NewReader(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	if b, err = z.DecodeAll(b, nil); err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(strings.NewReader(string(b))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	r := &recording{name: strings.TrimSuffix(filepath.Base(path), ".csv.zst")}
	types := map[string]string{}
	if b, err := os.ReadFile(strings.TrimSuffix(path, ".csv.zst") + ".map.json"); err == nil {
		var list []struct{ Tag, Type string }
		if err := json.Unmarshal(b, &list); err != nil {
			t.Fatal(err)
		}
		for _, m := range list {
			types[m.Tag] = m.Type
		}
	}
	stamp := Column{Unsigned, 64}
	r.columns = []Column{stamp, stamp, stamp, stamp, stamp}
	for i, tag := range rows[0][1:] {
		r.columns = append(r.columns, guess(rows[1:], i+1, types[tag]))
	}
	for _, row := range rows[1:] {
		wall, err := strconv.ParseInt(row[0], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		r.walls = append(r.walls, wall)
		cells := []uint64{1, 0, 1, uint64(wall - r.walls[0]), uint64(r.walls[0])}
		skip := make([]bool, 5)
		for i, s := range row[1:] {
			v, _ := parseCell(r.columns[i+5], s)
			cells = append(cells, v)
			skip = append(skip, s == "")
		}
		r.cells, r.skip = append(r.cells, cells), append(r.skip, skip)
	}
	return r
}

// guess returns the type that a column has, or most likely had in its registers.
func guess(rows [][]string, i int, name string) Column {
	order := []Column{
		{Unsigned, 1}, {Unsigned, 16}, {Signed, 16}, {Unsigned, 32}, {Signed, 32}, {Unsigned, 64}, {Signed, 64}, {Float, 32},
	}
	names := []string{"bool", "uint16", "int16", "uint32", "int32", "uint64", "int64", "float32"}
	for j, c := range order {
		ok := name == "" || name == names[j]
		for k := 0; k < len(rows) && ok; k++ {
			_, ok = parseCell(c, rows[k][i])
			ok = ok || rows[k][i] == ""
		}
		if ok {
			return c
		}
	}
	return Column{Float, 64}
}

func parseCell(c Column, s string) (uint64, bool) {
	switch c.Kind {
	case Unsigned:
		v, err := strconv.ParseUint(s, 10, int(c.Width))
		return v, err == nil
	case Signed:
		v, err := strconv.ParseInt(s, 10, int(c.Width))
		return uint64(v) & (1<<c.Width - 1), err == nil
	}
	v, err := strconv.ParseFloat(s, 64)
	if err != nil || c.Width == 64 {
		return math.Float64bits(v), err == nil
	}
	short, _ := strconv.ParseFloat(strconv.FormatFloat(float64(float32(v)), 'f', -1, 32), 64)
	return uint64(math.Float32bits(float32(v))), short == v
}

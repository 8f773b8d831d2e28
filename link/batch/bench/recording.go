package bench

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"

	"skyhaul/edge/point"
)

// Recording is recorded data as the scans of one group. It is not safe for
// concurrent use.
type Recording struct {
	path    string
	schema  point.Schema
	id      point.SchemaID
	plain   []int // decimals of each column, see decimalsOf; nil until a comparison asks
	scans   []point.Scan
	records [][]byte // of each scan
}

// Load reads a CSV file, which may be packed as .zst: a line of column names,
// then one scan a line. The first column is ts_ms, Unix milliseconds; an empty
// cell has no value (bad: comm).
//
// mapPath, if not empty, names a JSON file with the type of each column:
//
//	[{"tag": "flow", "type": "float32", "scale": 1, "offset": 0}, ...]
//
// Where mapPath is empty, and a FILE.map.json lies beside FILE.csv, it is taken.
// Without any a column gets the type in which a Modbus unit would most likely
// deliver it: integers the first that holds them of bool, uint16, int16,
// uint32, int32, uint64, int64; decimals float32 if each cell is the shortest
// decimal of a float32, else float64.
func Load(path, mapPath string) (*Recording, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var src io.Reader = f
	if strings.HasSuffix(path, ".zst") {
		z, err := zstd.NewReader(f)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		defer z.Close()
		src = z
	}
	if mapPath == "" {
		mapPath = mapBeside(path)
	}
	var types map[string]mapped
	if mapPath != "" {
		if types, err = loadMap(mapPath); err != nil {
			return nil, err
		}
	}
	r, err := parse(src, types)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	r.path = path
	return r, nil
}

// Thin keeps of the scans the first in each span of wall time of the given
// length; 0 keeps all.
func (r *Recording) Thin(every time.Duration) {
	if every < time.Millisecond {
		return
	}
	kept, last := 0, int64(-1)
	for i, sc := range r.scans {
		if span := sc.Stamp.Wall / every.Milliseconds(); span != last {
			r.scans[kept], r.records[kept], last = sc, r.records[i], span
			kept++
		}
	}
	r.scans, r.records = r.scans[:kept], r.records[:kept]
}

// Interval returns the median time from scan to scan; 0 for a single one.
func (r *Recording) Interval() time.Duration {
	var steps []int64
	for i := range r.scans[1:] {
		steps = append(steps, r.scans[i+1].Stamp.Wall-r.scans[i].Stamp.Wall)
	}
	if len(steps) == 0 {
		return 0
	}
	slices.Sort(steps)
	return time.Duration(steps[len(steps)/2]) * time.Millisecond
}

// mapped is what a map says of a column.
type mapped struct {
	Tag           string
	Type          string
	Scale, Offset float64
}

// mapBeside returns the map that lies beside a recording, "" for none.
func mapBeside(path string) string {
	beside := strings.TrimSuffix(strings.TrimSuffix(path, ".zst"), ".csv") + ".map.json"
	if _, err := os.Stat(beside); err != nil {
		return ""
	}
	return beside
}

func loadMap(path string) (map[string]mapped, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var list []mapped
	if err := json.Unmarshal(b, &list); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	types := make(map[string]mapped)
	for _, m := range list {
		types[m.Tag] = m
	}
	return types, nil
}

func parse(src io.Reader, types map[string]mapped) (*Recording, error) {
	rows, err := csv.NewReader(src).ReadAll()
	if err != nil {
		return nil, err
	}
	if len(rows) < 2 || rows[0][0] != "ts_ms" || len(rows[0]) < 2 || len(rows[0])-1 > point.MaxColumns {
		return nil, fmt.Errorf("line 1: want ts_ms and 1 to %d tags, and scans below", point.MaxColumns)
	}
	r := &Recording{schema: point.Schema{Group: "recording"}}
	for i, tag := range rows[0][1:] {
		c, err := column(rows[1:], i+1, tag, types)
		if err != nil {
			return nil, err
		}
		r.schema.Columns = append(r.schema.Columns, c)
	}
	r.id = r.schema.ID()
	for i, row := range rows[1:] {
		if err := r.scan(row); err != nil {
			return nil, fmt.Errorf("line %d: %w", i+2, err)
		}
	}
	return r, nil
}

// column returns column i of the schema; types is nil where there is no map.
func column(rows [][]string, i int, tag string, types map[string]mapped) (point.Column, error) {
	c := point.Column{ID: point.ID(i), Tag: tag, Scale: point.NoScale, Decimals: -1}
	if types == nil {
		c.Type = guess(rows, i)
		return c, nil
	}
	m, ok := types[tag]
	if !ok {
		return c, fmt.Errorf("column %q is not in the map", tag)
	}
	if c.Type, ok = point.ParseType(m.Type); !ok {
		return c, fmt.Errorf("column %q: type %q in the map is not known", tag, m.Type)
	}
	c.Scale = point.Scale{Factor: m.Scale, Offset: m.Offset}
	return c, nil
}

// guess returns the first type that gives every cell of column i back.
func guess(rows [][]string, i int) point.Type {
	order := []point.Type{
		point.Bool, point.Uint16, point.Int16, point.Uint32, point.Int32, point.Uint64, point.Int64,
		point.Float32,
	}
	for _, t := range order {
		holds := true
		for k := 0; k < len(rows) && holds; k++ {
			holds = rows[k][i] == "" || exact(t, rows[k][i])
		}
		if holds {
			return t
		}
	}
	return point.Float64
}

// exact reports whether t gives a cell back as it is written.
func exact(t point.Type, cell string) bool {
	raw, err := t.Parse(cell)
	if err != nil {
		return false
	}
	if t == point.Float32 {
		short := strconv.FormatFloat(t.Float(raw), 'f', -1, 32)
		return short == cell || sameNumber(short, cell)
	}
	return true
}

// sameNumber reports whether two decimals differ in writing only.
func sameNumber(a, b string) bool {
	x, err := strconv.ParseFloat(a, 64)
	if err != nil {
		return false
	}
	y, err := strconv.ParseFloat(b, 64)
	return err == nil && x == y
}

// scan appends the record of one line.
func (r *Recording) scan(row []string) error {
	wall, err := strconv.ParseInt(row[0], 10, 64)
	if err != nil {
		return fmt.Errorf("column ts_ms: %w", err)
	}
	first := wall
	if len(r.scans) > 0 {
		first = r.scans[0].Stamp.Wall
	}
	if wall < first {
		return fmt.Errorf("ts_ms %d is before the first", wall)
	}
	sc := point.Scan{
		Schema:  r.id,
		Stamp:   point.Stamp{Boot: 1, Wall: wall, Boottime: time.Duration(wall-first) * time.Millisecond},
		Values:  make([]uint64, len(row)-1),
		Quality: make([]point.Quality, len(row)-1),
	}
	for i, cell := range row[1:] {
		if cell == "" {
			sc.Quality[i] = point.MakeQuality(point.Bad, point.Comm)
			continue
		}
		if sc.Values[i], err = r.schema.Columns[i].Type.Parse(cell); err != nil {
			return fmt.Errorf("column %s: %w", r.schema.Columns[i].Tag, err)
		}
	}
	r.scans = append(r.scans, sc)
	r.records = append(r.records, sc.Append(nil, &r.schema))
	return nil
}

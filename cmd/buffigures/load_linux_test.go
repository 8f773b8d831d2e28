package buffigures

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"

	"skyhaul/edge/point"
)

const (
	groups = 10
	points = 100 // of a group
	// slowest is how far apart the scans of a recording may be to be replayed
	// each second: a faster replay of slower ones would be no plant.
	slowest = 10 * time.Second
	// passes is after how many passes a recording begins again as it is.
	passes = 1000
)

// recording is what some instruments gave, row by row.
type recording struct {
	name    string
	rows    int64
	columns []column
}

// column is one point of a recording.
type column struct {
	tag    string
	typ    point.Type // Uint16, Int16 or Float32
	cells  []float64  // NaN: no good value
	digits float64    // 10 to the power of the most decimals written
	rise   float64    // of a pass, in units of the last decimal; 0 for an on-off signal
}

// load makes records, each out of its number alone.
type load struct {
	names   []string
	schemas [groups]*point.Schema
	ids     [groups]point.SchemaID
	tiles   [groups][]tile
}

// tile is a recording beside others in a group.
type tile struct {
	*recording
	width int   // columns used, from the first on
	phase int64 // the row of second 0
}

// newLoad reads the recordings in a folder.
func newLoad(dir string) (*load, error) {
	names, err := filepath.Glob(filepath.Join(dir, "*.csv*"))
	if err != nil {
		return nil, err
	}
	var recs []*recording
	l := new(load)
	for _, name := range names {
		r, err := readRecording(name)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		if r != nil {
			recs = append(recs, r)
			l.names = append(l.names, r.name)
		}
	}
	if len(recs) == 0 {
		return nil, fmt.Errorf("no recording with scans at most %v apart in %s", slowest, dir)
	}
	for g := range groups {
		l.lay(g, recs)
	}
	return l, nil
}

// lay fills the columns of a group with recordings.
func (l *load) lay(g int, recs []*recording) {
	s := &point.Schema{Group: fmt.Sprintf("group %d", g)}
	for k := g; len(s.Columns) < points; k++ {
		r := recs[k%len(recs)]
		t := tile{r, min(len(r.columns), points-len(s.Columns)), (int64(g)*7919 + int64(k)*104729) % r.rows}
		l.tiles[g] = append(l.tiles[g], t)
		for _, c := range r.columns[:t.width] {
			n := len(s.Columns)
			s.Columns = append(s.Columns, point.Column{
				ID: point.ID(g*points + n + 1), Tag: fmt.Sprintf("%s-%d", c.tag, n),
				Type: c.typ, Scale: point.NoScale, Decimals: -1,
			})
		}
	}
	l.schemas[g], l.ids[g] = s, s.ID()
}

// began is the wall time of second 0 in Unix milliseconds.
const began = 1_760_000_000_000

// append appends record n of the lane to dst, n from 1 on; sc is scratch memory.
func (l *load) append(dst []byte, sc *point.Scan, n int64) []byte {
	second, g := (n-1)/groups, (n-1)%groups
	sc.Schema = l.ids[g]
	sc.Stamp = point.Stamp{
		Boot: 1, Boottime: time.Duration(second) * time.Second, Wall: began + 1000*second,
		Quality: point.Synced, BoundExp: 4,
	}
	sc.Values, sc.Quality = sc.Values[:0], sc.Quality[:0]
	for _, t := range l.tiles[g] {
		at := second + t.phase
		row, pass := at%t.rows, at/t.rows%passes
		for i := range t.columns[:t.width] {
			v, q := t.columns[i].value(row, pass)
			sc.Values, sc.Quality = append(sc.Values, v), append(sc.Quality, q)
		}
	}
	return sc.Append(dst, l.schemas[g])
}

// value returns the raw bits of a cell in a pass over the recording.
func (c *column) value(row, pass int64) (raw uint64, q point.Quality) {
	v := c.cells[row]
	if math.IsNaN(v) {
		return 0, point.MakeQuality(point.Bad, point.Comm)
	}
	if rise := c.rise * float64(pass); rise > 0 {
		v = (math.Round(v*c.digits) + rise) / c.digits
	}
	switch c.typ {
	case point.Uint16:
		return uint64(min(v, math.MaxUint16)), 0
	case point.Int16:
		return uint64(uint16(int16(min(v, math.MaxInt16)))), 0
	}
	return uint64(math.Float32bits(float32(v))), 0
}

// readRecording reads a CSV file: ts_ms and a column a tag. It returns nil for
// one that is too slow.
func readRecording(path string) (*recording, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var src io.Reader = f
	if strings.HasSuffix(path, ".zst") {
		z, err := zstd.NewReader(f)
		if err != nil {
			return nil, err
		}
		defer z.Close()
		src = z
	}
	rows, err := csv.NewReader(src).ReadAll()
	if err != nil {
		return nil, err
	}
	if len(rows) < 3 || rows[0][0] != "ts_ms" {
		return nil, errors.New("want a column ts_ms and two scans")
	}
	t0, err0 := strconv.ParseInt(rows[1][0], 10, 64)
	t1, err1 := strconv.ParseInt(rows[2][0], 10, 64)
	if err := errors.Join(err0, err1); err != nil {
		return nil, err
	}
	if time.Duration(t1-t0)*time.Millisecond > slowest {
		return nil, nil
	}
	r := &recording{name: filepath.Base(path), rows: int64(len(rows) - 1)}
	for i, tag := range rows[0][1:] {
		c, err := newColumn(tag, rows[1:], i+1)
		if err != nil {
			return nil, err
		}
		r.columns = append(r.columns, c)
	}
	return r, nil
}

func newColumn(tag string, rows [][]string, i int) (column, error) {
	c := column{tag: tag, cells: make([]float64, len(rows))}
	least, most, decimals := math.Inf(1), math.Inf(-1), 0
	for k, row := range rows {
		if row[i] == "" {
			c.cells[k] = math.NaN()
			continue
		}
		v, err := strconv.ParseFloat(row[i], 64)
		if err != nil {
			return c, fmt.Errorf("line %d: %w", k+2, err)
		}
		c.cells[k], least, most = v, min(least, v), max(most, v)
		if _, after, ok := strings.Cut(row[i], "."); ok {
			decimals = max(decimals, len(after))
		}
	}
	switch {
	case decimals == 0 && least >= 0 && most <= math.MaxUint16:
		c.typ = point.Uint16
	case decimals == 0 && least >= math.MinInt16 && most <= math.MaxInt16:
		c.typ = point.Int16
	default:
		c.typ = point.Float32
	}
	c.digits = math.Pow10(decimals)
	if most > 1 || least < 0 || decimals > 0 {
		c.rise = math.Pow10(max(decimals-3, 0))
	}
	return c, nil
}

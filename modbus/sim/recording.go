package sim

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/klauspost/compress/zstd"
)

// Recording holds register values row by row. It is immutable.
type Recording struct {
	points []Point
	width  int      // registers of a row
	times  []int64  // of the rows, Unix milliseconds, rising
	words  []uint16 // width per row, point after point
	empty  []int    // indexes of the words that stand for no value, rising
}

// Rows returns the number of rows, at least 1.
func (r *Recording) Rows() int { return len(r.times) }

// Points returns the points in the order of the map.
func (r *Recording) Points() []Point { return slices.Clone(r.points) }

// offset returns when row i comes, counted from row 0.
func (r *Recording) offset(i int) time.Duration {
	return time.Duration(r.times[i]-r.times[0]) * time.Millisecond
}

// Load reads the recording in the CSV file, which may be compressed by zstd,
// through the map file.
func Load(csvName, mapName string) (*Recording, error) {
	m, err := os.Open(mapName)
	if err != nil {
		return nil, err
	}
	defer m.Close()
	points, err := ReadMap(m)
	if err != nil {
		return nil, fmt.Errorf("%s: %v", mapName, err)
	}
	f, err := os.Open(csvName)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	rec, err := ReadRecording(f, points)
	if err != nil {
		return nil, fmt.Errorf("%s: %v", csvName, err)
	}
	return rec, nil
}

const (
	timeColumn = "ts_ms"
	maxWords   = 1 << 27 // 256 MB of registers
)

// ReadRecording reads CSV, plain or compressed by zstd: first column ts_ms (Unix
// milliseconds, rising), then a column for each tag, with raw values as the
// instrument holds them. Columns that no point names are left out.
func ReadRecording(r io.Reader, points []Point) (*Recording, error) {
	plain := bufio.NewReader(r)
	if magic, _ := plain.Peek(4); string(magic) != zstdMagic {
		return readCSV(plain, points)
	}
	z, err := zstd.NewReader(plain, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(64<<20))
	if err != nil {
		return nil, err
	}
	defer z.Close()
	return readCSV(z, points)
}

// zstdMagic begins a frame. RFC 8878, section 3.1.1.
const zstdMagic = "\x28\xB5\x2F\xFD"

func readCSV(r io.Reader, points []Point) (*Recording, error) {
	rows := csv.NewReader(r)
	rows.ReuseRecord = true
	head, err := rows.Read()
	if err != nil {
		return nil, fmt.Errorf("header: %v", err)
	}
	columns, err := findColumns(head, points)
	if err != nil {
		return nil, err
	}
	rec := newRecording(points)
	for {
		cells, err := rows.Read()
		switch {
		case err == io.EOF && rec.Rows() == 0:
			return nil, errors.New("no rows")
		case err == io.EOF:
			return rec, nil
		case err != nil:
			return nil, err // csv names the line
		}
		if err := rec.add(cells, columns); err != nil {
			line, _ := rows.FieldPos(0)
			return nil, fmt.Errorf("line %d: %v", line, err)
		}
	}
}

func newRecording(points []Point) *Recording {
	r := &Recording{points: slices.Clone(points)}
	for _, p := range points {
		r.width += types[p.Type].registers
	}
	return r
}

// findColumns returns the column of each point.
func findColumns(head []string, points []Point) ([]int, error) {
	if head[0] != timeColumn {
		return nil, fmt.Errorf("first column is %q, not %q", head[0], timeColumn)
	}
	columns := make([]int, len(points))
	for i, p := range points {
		columns[i] = slices.Index(head, p.Tag)
		if columns[i] < 1 {
			return nil, fmt.Errorf("no column for tag %q", p.Tag)
		}
	}
	return columns, nil
}

// add appends a row of cells.
func (r *Recording) add(cells []string, columns []int) error {
	ts, err := strconv.ParseInt(cells[0], 10, 64)
	if err != nil || ts < 0 || ts >= 1<<42 { // the year 2109: offsets fit a time.Duration
		return fmt.Errorf("time %q is no number of milliseconds", cells[0])
	}
	if n := len(r.times); n > 0 && ts <= r.times[n-1] {
		return fmt.Errorf("time %d is not after %d", ts, r.times[n-1])
	}
	if len(r.words)+r.width > maxWords {
		return fmt.Errorf("more than %d registers", maxWords)
	}
	r.times = append(r.times, ts)
	for i, p := range r.points {
		if err := r.addCell(cells[columns[i]], types[p.Type]); err != nil {
			return fmt.Errorf("tag %q: %q is no %s", p.Tag, cells[columns[i]], p.Type)
		}
	}
	return nil
}

func (r *Recording) addCell(cell string, t valueType) error {
	var bits uint32
	switch {
	case cell != "":
		var err error
		if bits, err = t.parse(cell); err != nil {
			return err
		}
	case t.hasNaN:
		bits = 0x7FC00000 // what a transmitter reports when its sensor breaks
	default:
		for i := range t.registers {
			r.empty = append(r.empty, len(r.words)+i)
		}
	}
	if t.registers == 2 {
		r.words = append(r.words, uint16(bits>>16))
	}
	r.words = append(r.words, uint16(bits))
	return nil
}

// valueType says how a cell becomes registers.
type valueType struct {
	registers int
	hasNaN    bool
	parse     func(cell string) (uint32, error)
}

var types = map[string]valueType{
	"uint16":  {1, false, parseUnsigned(16)},
	"int16":   {1, false, parseSigned(16)},
	"uint32":  {2, false, parseUnsigned(32)},
	"int32":   {2, false, parseSigned(32)},
	"float32": {2, true, parseFloat32},
}

func parseUnsigned(bits int) func(string) (uint32, error) {
	return func(cell string) (uint32, error) {
		v, err := strconv.ParseUint(cell, 10, bits)
		return uint32(v), err
	}
}

func parseSigned(bits int) func(string) (uint32, error) {
	return func(cell string) (uint32, error) {
		v, err := strconv.ParseInt(cell, 10, bits)
		return uint32(v), err
	}
}

func parseFloat32(cell string) (uint32, error) {
	v, err := strconv.ParseFloat(cell, 32)
	return math.Float32bits(float32(v)), err
}

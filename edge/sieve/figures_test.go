package sieve_test

import (
	"encoding/csv"
	"encoding/json"
	"flag"
	"fmt"
	"iter"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/klauspost/compress/zstd"

	"skyhaul/bufferstore"
	"skyhaul/edge/point"
	"skyhaul/edge/sieve"
	"skyhaul/link/batch"
)

var recordings = flag.String("recordings", "../../link/batch/bench/testdata/*.csv.zst",
	"recorded `FILES` for TestFigures: Unix milliseconds, then a column a point; FILE.map.json beside one gives the types")

// TestFigures prints how many readings of recorded data stay, and what they
// take in batches of an hour, for errors in percent of what each point's
// readings range over:
//
//	go test -run Figures -v ./edge/sieve -recordings 'FOLDER/*.csv.zst'
func TestFigures(t *testing.T) {
	files, err := filepath.Glob(*recordings)
	if err != nil || len(files) == 0 {
		t.Fatalf("no recordings: %v", err)
	}
	w := tabwriter.NewWriter(t.Output(), 0, 0, 2, ' ', tabwriter.AlignRight)
	defer w.Flush()
	fmt.Fprintln(w, "recording\trule\tof span\treadings\trecords\tbytes\tbytes/reading\t")
	for _, file := range files {
		s, scans := load(t, file)
		name := strings.TrimSuffix(filepath.Base(file), ".csv.zst")
		whole, cells := payload(t, s, scans), len(scans)*len(s.Columns)
		fmt.Fprintf(w, "%s\tall\t\t100 %%\t100 %%\t100 %%\t%.2f\t\n", name, float64(whole)/float64(cells))
		for _, v := range variants {
			ruled := &point.Schema{Group: s.Group, Columns: slices.Clone(s.Columns)}
			for i := range ruled.Columns {
				ruled.Columns[i].Rule = v.of(&ruled.Columns[i], i, scans)
			}
			rows, kept := thinned(ruled, scans)
			bytes := payload(t, ruled, rows)
			fmt.Fprintf(w, "%s\t%s\t%v %%\t%.1f %%\t%.1f %%\t%.1f %%\t%.2f\t\n", name, v.method, v.percent,
				share(kept, cells), share(len(rows), len(scans)), share(bytes, whole), float64(bytes)/float64(kept))
		}
	}
}

// variant is a rule with an error in percent of what a point's readings range over.
type variant struct {
	method  point.Method
	percent float64
}

var variants = []variant{
	{point.OnChange, 0},
	{point.Deadband, 0.1},
	{point.Deadband, 0.5},
	{point.Deadband, 1},
	{point.SwingingDoor, 0.1},
	{point.SwingingDoor, 0.5},
	{point.SwingingDoor, 1},
}

func share(n, of int) float64 { return 100 * float64(n) / float64(of) }

// of returns the rule for column i; what has no range is recorded on change.
func (v variant) of(c *point.Column, i int, scans []point.Scan) point.Rule {
	least, most := math.Inf(1), math.Inf(-1)
	for _, sc := range scans {
		if sc.Quality[i] == 0 {
			least, most = min(least, c.Value(sc.Values[i])), max(most, c.Value(sc.Values[i]))
		}
	}
	u := point.Rule{Method: v.method, Error: (most - least) * v.percent / 100, Silence: 15 * time.Minute}
	if c.Type == point.Bool || !(u.Error > 0) {
		u.Method, u.Error = point.OnChange, 0
	}
	return u
}

func thinned(s *point.Schema, scans []point.Scan) (rows []point.Scan, kept int) {
	v := sieve.New(s, func(sc *point.Scan) {
		c := *sc
		c.Values, c.Quality = slices.Clone(sc.Values), slices.Clone(sc.Quality)
		for _, q := range sc.Quality {
			if q != point.Unrecorded {
				kept++
			}
		}
		rows = append(rows, c)
	})
	for i := range scans {
		v.Add(&scans[i])
	}
	v.Flush()
	return rows, kept
}

// payload returns the bytes of scans in batches of an hour each, without the schema.
func payload(t *testing.T, s *point.Schema, scans []point.Scan) (n int) {
	t.Helper()
	id := s.ID()
	enc := batch.NewEncoder(func(point.SchemaID) (*point.Schema, bool) { return s, true })
	h := batch.Header{Lane: point.History, Epoch: bufferstore.Epoch{1}}
	records := func(from, to int) iter.Seq2[bufferstore.Record, error] {
		return func(yield func(bufferstore.Record, error) bool) {
			for i := from; i < to; i++ {
				sc := scans[i]
				sc.Schema = id
				seq := bufferstore.Seq(i + 1)
				if !yield(bufferstore.Record{Epoch: h.Epoch, First: seq, Last: seq, Data: sc.Append(nil, s)}, nil) {
					return
				}
			}
		}
	}
	_, last, err := enc.Encode(nil, h, records(0, 1), math.MaxInt)
	if err != nil {
		t.Fatal(err)
	}
	enc.Acked(last)
	enc.Carry(true) // each batch leans on the one before
	for at := 0; at < len(scans); {
		end := at
		for end < len(scans) && scans[end].Stamp.Boottime/time.Hour == scans[at].Stamp.Boottime/time.Hour {
			end++
		}
		p, last, err := enc.Encode(nil, h, records(at, end), math.MaxInt)
		if err != nil {
			t.Fatal(err)
		}
		n += len(p)
		h.Acked, at = bufferstore.Seq(at), int(last)
	}
	return n
}

// load reads a recording. An empty cell has no value (bad: comm).
func load(t *testing.T, path string) (*point.Schema, []point.Scan) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := zstd.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	rows, err := csv.NewReader(z).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	s := &point.Schema{Group: "recording", Columns: columnsOf(t, strings.TrimSuffix(path, ".csv.zst")+".map.json", rows)}
	var scans []point.Scan
	first, _ := strconv.ParseInt(rows[1][0], 10, 64)
	for _, row := range rows[1:] {
		wall, err := strconv.ParseInt(row[0], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		sc := point.Scan{
			Stamp:  point.Stamp{Boot: 1, Wall: wall, Boottime: time.Duration(wall-first) * time.Millisecond},
			Values: make([]uint64, len(s.Columns)), Quality: make([]point.Quality, len(s.Columns)),
		}
		for i := range s.Columns {
			if sc.Values[i], err = s.Columns[i].Type.Parse(row[i+1]); err != nil {
				sc.Values[i], sc.Quality[i] = 0, point.MakeQuality(point.Bad, point.Comm)
			}
		}
		scans = append(scans, sc)
	}
	return s, scans
}

// columnsOf takes types from the map if there is one; else a column of the cells
// 0 and 1 is bool, any other float32.
func columnsOf(t *testing.T, mapFile string, rows [][]string) (cs []point.Column) {
	t.Helper()
	var list []struct {
		Tag, Type     string
		Scale, Offset float64
	}
	if b, err := os.ReadFile(mapFile); err == nil {
		if err := json.Unmarshal(b, &list); err != nil {
			t.Fatal(err)
		}
	}
	for i, tag := range rows[0][1:] {
		c := point.Column{ID: point.ID(i + 1), Tag: tag, Type: point.Bool, Scale: point.NoScale, Decimals: -1}
		for _, row := range rows[1:] {
			if cell := row[i+1]; cell != "" && cell != "0" && cell != "1" {
				c.Type = point.Float32
				break
			}
		}
		for _, m := range list {
			if m.Tag == tag {
				c.Type, _ = point.ParseType(m.Type)
				c.Scale = point.Scale{Factor: m.Scale, Offset: m.Offset}
			}
		}
		cs = append(cs, c)
	}
	return cs
}

package main

import (
	"fmt"
	"io"
	"math"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"skyhaul/link/batch/bench"
)

// benchTable prints results as they come, in columns of fixed width, and means
// over the files at the end.
type benchTable struct {
	w       io.Writer
	files   int
	folders bool     // the files are in more than one: names are shown with them
	width   int      // of the names
	peers   []string // that are shown
	rows    []benchRow
}

type benchRow struct {
	batch   string
	second  bool      // a scan a second
	figures []float64 // bytes per reading: ours, then the peers'
}

func newBenchTable(w io.Writer, files []string, peers bool) *benchTable {
	t := &benchTable{w: w, files: len(files), width: len("1 s files")}
	for _, f := range files {
		t.folders = t.folders || filepath.Dir(f) != filepath.Dir(files[0])
	}
	for _, f := range files {
		t.width = max(t.width, len(t.name(f)))
	}
	if peers {
		t.peers = bench.PeerNames()
	}
	return t
}

func (t *benchTable) name(file string) string {
	if !t.folders {
		file = filepath.Base(file)
	}
	return strings.TrimSuffix(strings.TrimSuffix(file, ".zst"), ".csv")
}

// ratioWidth is that of a peer's bytes per reading with the ratio to ours.
const ratioWidth = 13

// heading begins the table.
func (t *benchTable) heading() error {
	if len(t.peers) > 0 {
		fmt.Fprintln(t.w, "bytes a reading, ours and others; beside it how many times ours")
	}
	_, err := fmt.Fprintf(t.w, "%*s  %6s  %9s  %13s", t.width, "file", "batch", "readings", "bytes/reading")
	for _, name := range t.peers {
		fmt.Fprintf(t.w, "  %*s", max(len(name), ratioWidth), name)
	}
	fmt.Fprintf(t.w, "  %9s  %9s  %5s\n", "encode ns", "decode ns", "state")
	return err
}

// add prints a result of a recording with so long from scan to scan.
func (t *benchTable) add(r bench.Result, interval time.Duration) error {
	if len(t.rows) == 0 {
		if err := t.heading(); err != nil {
			return err
		}
	}
	row := benchRow{batch: r.Batch, second: interval.Round(time.Second) == time.Second, figures: []float64{r.BytesPerReading}}
	for _, name := range t.peers {
		row.figures = append(row.figures, r.Peers[name])
	}
	t.rows = append(t.rows, row)
	t.begin(t.name(r.File), strconv.Itoa(r.Readings), &row)
	_, err := fmt.Fprintf(t.w, "  %9.0f  %9.0f  %5d\n", r.EncodeNs, r.DecodeNs, r.StateBytes)
	return err
}

// begin prints a line but for the times at its end.
func (t *benchTable) begin(name, readings string, row *benchRow) {
	ours := row.figures[0]
	fmt.Fprintf(t.w, "%*s  %6s  %9s  %13.3f", t.width, name, row.batch, readings, ours)
	for i, v := range row.figures[1:] {
		fmt.Fprintf(t.w, "  %*s", max(len(t.peers[i]), ratioWidth), fmt.Sprintf("%.3f %5.1fx", v, v/ours))
	}
}

// means prints geometric means over several files for each length.
func (t *benchTable) means() error {
	if t.files < 2 {
		return nil
	}
	_, err := fmt.Fprintln(t.w, "\ngeometric means")
	t.mean(fmt.Sprintf("%d files", t.files), func(*benchRow) bool { return true })
	t.mean("1 s files", func(r *benchRow) bool { return r.second })
	return err
}

// mean prints the means of the rows that take takes, if any.
func (t *benchTable) mean(name string, take func(*benchRow) bool) {
	var batches []string
	rows := make(map[string][]*benchRow)
	for i := range t.rows {
		r := &t.rows[i]
		if !take(r) {
			continue
		}
		if rows[r.batch] == nil {
			batches = append(batches, r.batch)
		}
		rows[r.batch] = append(rows[r.batch], r)
	}
	for _, batch := range batches {
		m := geometricMean(rows[batch])
		t.begin(name, "", &m)
		fmt.Fprintln(t.w)
	}
}

// geometricMean takes at least one row, all of one length of batches.
func geometricMean(rows []*benchRow) benchRow {
	m := benchRow{batch: rows[0].batch, figures: make([]float64, len(rows[0].figures))}
	for i := range m.figures {
		for _, r := range rows {
			m.figures[i] += math.Log(r.figures[i])
		}
		m.figures[i] = math.Exp(m.figures[i] / float64(len(rows)))
	}
	return m
}

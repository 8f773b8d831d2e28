package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"

	"skyhaul/bufferstore"
	"skyhaul/edge"
	"skyhaul/edge/point"
	"skyhaul/edge/stable"
	"skyhaul/link/hub/sqlite"
)

// result is what a run comes to.
type result struct {
	Acquired        int     `json:"acquired"`   // readings in the buffer
	Delivered       int     `json:"delivered"`  // of these, rows at the centre with the same bits and quality
	Lost            int     `json:"lost"`       // acquired and not delivered
	Duplicates      int     `json:"duplicates"` // rows beyond the first of a reading
	Gaps            int     `json:"gaps"`       // declared at the centre
	BilledBytes     int64   `json:"billed_bytes"`
	BytesPerReading float64 `json:"bytes_per_reading"` // billed, headers and handshakes included
	Windows         int     `json:"windows"`           // that were open
	MaxRSSBytes     int64   `json:"max_rss_bytes"`     // of this process: both ends, broker and units
}

// key names a reading for ever.
type key struct {
	lane  point.Lane
	epoch bufferstore.Epoch
	seq   bufferstore.Seq
	point point.ID
}

// value is what must be the same at both ends.
type value struct {
	raw     uint64
	quality point.Quality
}

// result compares the buffer with the database.
func (d *demo) result(ctx context.Context) (*result, error) {
	want, err := d.acquired()
	if err != nil {
		return nil, err
	}
	r := &result{Acquired: len(want), Windows: d.windows(), BilledBytes: d.billed, MaxRSSBytes: peakRSS()}
	db, err := sqlite.OpenView(ctx, d.database)
	if err != nil {
		return nil, err
	}
	defer db.Close()
	seen := map[key]bool{}
	for row, err := range db.Readings(ctx, sqlite.Query{Site: site}) {
		if err != nil {
			return nil, err
		}
		k := key{row.Lane, row.Epoch, row.Seq, row.Column.ID}
		switch {
		case seen[k]:
			r.Duplicates++
		case want[k] == value{row.Raw, row.Quality}:
			r.Delivered++
		}
		seen[k] = true
	}
	r.Lost = r.Acquired - r.Delivered
	gaps, err := db.Gaps(ctx, site)
	if err != nil {
		return nil, err
	}
	r.Gaps = len(gaps)
	if r.Delivered > 0 {
		r.BytesPerReading = float64(r.BilledBytes) / float64(r.Delivered)
	}
	return r, nil
}

// acquired reads every reading out of the buffer, where delivered ones stay.
func (d *demo) acquired() (map[key]value, error) {
	state, err := stable.Open(d.dir + "/edge/state")
	if err != nil {
		return nil, err
	}
	schemas, err := edge.OpenSchemas(state, d.log)
	if err != nil {
		return nil, err
	}
	store, err := edge.OpenStore(d.config, d.dir+"/edge", nil, schemas, d.log)
	if err != nil {
		return nil, err
	}
	defer store.Close()
	readings := map[key]value{}
	for _, lane := range point.Lanes() {
		for rec, err := range store.Lane(lane.String()).Records(1) {
			if err != nil {
				return nil, err
			}
			if err := collect(readings, lane, rec, schemas); err != nil {
				return nil, err
			}
		}
	}
	return readings, nil
}

func collect(readings map[key]value, lane point.Lane, rec bufferstore.Record, schemas *edge.Schemas) error {
	id, ok := point.ScanSchema(rec.Data)
	if !ok {
		return nil // an event or a note
	}
	schema, ok := schemas.Lookup(id)
	if !ok {
		return fmt.Errorf("schema %s of record %d is not kept", id, rec.First)
	}
	var sc point.Scan
	if err := sc.Decode(rec.Data, schema); err != nil {
		return err
	}
	for i := range schema.Columns {
		if sc.Quality[i] == point.Unrecorded {
			continue
		}
		k := key{lane, rec.Epoch, rec.First, schema.Columns[i].ID}
		readings[k] = value{sc.Values[i], sc.Quality[i]}
	}
	return nil
}

func (r *result) print(w io.Writer) {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(tw, "acquired\t%d readings\n", r.Acquired)
	fmt.Fprintf(tw, "delivered\t%d, compared bit for bit\n", r.Delivered)
	fmt.Fprintf(tw, "lost\t%d\nduplicates\t%d\ngaps\t%d\n", r.Lost, r.Duplicates, r.Gaps)
	fmt.Fprintf(tw, "windows\t%d\n", r.Windows)
	fmt.Fprintf(tw, "billed\t%d bytes, %.2f a reading, headers and handshakes included\n", r.BilledBytes, r.BytesPerReading)
	tw.Flush()
}

// peakRSS returns the greatest resident size of this process so far; 0 where
// the system does not tell.
func peakRSS() int64 {
	status, _ := os.ReadFile("/proc/self/status")
	for line := range strings.Lines(string(status)) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == "VmHWM:" {
			kb, _ := strconv.ParseInt(f[1], 10, 64)
			return kb * 1024
		}
	}
	return 0
}

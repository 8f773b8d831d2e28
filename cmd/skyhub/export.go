package main

import (
	"bufio"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"skyhaul/edge/point"
	"skyhaul/link/hub/sqlite"
)

func exportCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Write the readings of a site out, or its archives, exact to the bit",
		Long: "Writes one line a reading, in the order of the sequence numbers. raw is the number\n" +
			"as the instrument gave it, in the shortest text that reads back to the same bits;\n" +
			"bits are those bits; value is scaled as it was configured when it was taken, empty\n" +
			"where nothing was read. from is included, to is not; both are times at the site.\n\n" +
			"With --archives it writes what instruments keep by themselves, such as the hourly\n" +
			"records of flow computers, a line a field (with json an object a record), archive\n" +
			"by archive; from and to are then times of the instruments, and record is what they\n" +
			"gave, byte for byte.",
		Example: "  skyhub export --db skyhub.db --site north-7 --from 2026-03-01 --to 2026-04-01 -o march.csv\n" +
			"  skyhub export --db skyhub.db --site north-7 --archives -o hours.csv",
	}
	db := dbFlags(cmd)
	f := cmd.Flags()
	site := f.String("site", "", "`SITE` (required)")
	from := f.String("from", "", "first `TIME`, as 2026-03-01 or 2026-03-01T06:00:00Z")
	to := f.String("to", "", "`TIME` to stop before")
	format := f.String("format", "csv", "csv or json (an object a line)")
	asJSON := f.Bool("json", false, "the same as --format json")
	archives := f.Bool("archives", false, "write the records of instruments, not readings")
	out := f.StringP("out", "o", "-", "`FILE` to write; - is standard output")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *asJSON {
			*format = "json"
		}
		write, ok := map[string]writeRows{"csv": writeCSV, "json": writeJSON}[*format]
		if *archives {
			write, ok = map[string]writeRows{"csv": writeArchivesCSV, "json": writeArchivesJSON}[*format]
		}
		if !ok {
			return usageError{fmt.Errorf("--format %q: csv or json", *format)}
		}
		q, err := query(*site, *from, *to)
		if err != nil {
			return usageError{err}
		}
		path, err := db()
		if err != nil {
			return err
		}
		return export(cmd.Context(), path, q, *out, cmd.OutOrStdout(), write)
	}
	return cmd
}

func query(site, from, to string) (q sqlite.Query, err error) {
	if site == "" {
		return q, errors.New("--site SITE is missing: see skyhub export --help")
	}
	q.Site = site
	if q.From, err = parseTime("--from", from); err != nil {
		return q, err
	}
	if q.To, err = parseTime("--to", to); err != nil {
		return q, err
	}
	if !q.From.IsZero() && !q.To.IsZero() && !q.From.Before(q.To) {
		return q, fmt.Errorf("--from %s is not before --to %s", from, to)
	}
	return q, nil
}

func parseTime(flag, s string) (t time.Time, err error) {
	if s == "" {
		return t, nil
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02"} {
		if t, err = time.Parse(layout, s); err == nil {
			return t, nil
		}
	}
	return t, fmt.Errorf("%s %q: a time such as 2026-03-01 or 2026-03-01T06:00:00Z (UTC where no zone is given)", flag, s)
}

// export writes to a file that appears when it is whole, or to stdout.
func export(ctx context.Context, path string, q sqlite.Query, out string, stdout io.Writer, write writeRows) error {
	v, err := openView(ctx, path)
	if err != nil {
		return err
	}
	defer v.Close()
	if _, err := chosen(ctx, v, q.Site); err != nil {
		return err
	}
	if out == "-" {
		return write(ctx, v, q, stdout)
	}
	f, err := os.Create(out + ".part")
	if err != nil {
		return err
	}
	err = errors.Join(write(ctx, v, q, f), f.Sync(), f.Close())
	if err != nil {
		os.Remove(f.Name())
		return err
	}
	return os.Rename(f.Name(), out)
}

// writeRows writes what a query finds.
type writeRows func(ctx context.Context, v *sqlite.View, q sqlite.Query, w io.Writer) error

var columns = []string{
	"time", "site", "lane", "group", "point_id", "tag", "value", "unit", "quality", "reason", "type", "raw", "bits",
	"time_quality", "bound_ms", "boot", "boottime_ms", "epoch", "seq", "received_at",
}

func writeCSV(ctx context.Context, v *sqlite.View, q sqlite.Query, w io.Writer) error {
	b := bufio.NewWriter(w)
	c := csv.NewWriter(b)
	c.Write(columns)
	for r, err := range v.Readings(ctx, q) {
		if err != nil {
			return err
		}
		if err := c.Write(fields(q.Site, r)); err != nil {
			return err
		}
	}
	c.Flush()
	return errors.Join(c.Error(), b.Flush())
}

// writeJSON writes the fields of the CSV by their names, value as a number.
func writeJSON(ctx context.Context, v *sqlite.View, q sqlite.Query, w io.Writer) error {
	b := bufio.NewWriter(w)
	enc := json.NewEncoder(b)
	for r, err := range v.Readings(ctx, q) {
		if err != nil {
			return err
		}
		line := object(columns, fields(q.Site, r))
		line["value"] = nil
		if !math.IsNaN(r.Value) && !math.IsInf(r.Value, 0) {
			line["value"] = r.Value
		}
		line["seq"], line["point_id"] = r.Seq, r.Column.ID
		if err := enc.Encode(line); err != nil {
			return err
		}
	}
	return b.Flush()
}

// fields are the columns of a reading.
func fields(site string, r *sqlite.Reading) []string {
	var value string
	if !math.IsNaN(r.Value) {
		value = strconv.FormatFloat(r.Value, 'g', -1, 64)
	}
	t := r.Column.Type
	return []string{
		iso(r.Stamp.Time()), site, r.Lane.String(), r.Group, strconv.FormatUint(uint64(r.Column.ID), 10), r.Column.Tag,
		value, r.Column.Unit, r.Quality.Status().String(), r.Quality.Reason().String(),
		t.String(), t.Format(r.Raw), bits(t, r.Raw),
		r.Stamp.Quality.String(), boundText(&r.Stamp), strconv.FormatUint(uint64(r.Stamp.Boot), 10), strconv.FormatInt(r.Stamp.Boottime.Milliseconds(), 10),
		r.Epoch.String(), strconv.FormatUint(uint64(r.Seq), 10), iso(r.ReceivedAt),
	}
}

// boundText is how far the wall time may be off, in milliseconds; "" where nobody can tell.
func boundText(s *point.Stamp) string {
	d, ok := s.Bound()
	if !ok {
		return ""
	}
	return strconv.FormatInt(d.Milliseconds(), 10)
}

// bits shows raw bits in the width of their type.
func bits(t point.Type, raw uint64) string { return fmt.Sprintf("0x%0*x", 2*t.Size(), raw) }

func iso(t time.Time) string { return t.Format("2006-01-02T15:04:05.000Z") }

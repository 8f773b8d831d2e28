package main

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"skyhaul/bufferstore"
	"skyhaul/edge/point"
)

func bufferExportCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "export", Short: "Write the readings as CSV or JSON lines",
		Long: "Writes a line a reading, exact to the bit, in the columns of skyhub export that a site\n" +
			"knows. Records that are no scans, and gaps, have no line: see skyhaul buffer dump. Exit 1\n" +
			"if readings had to be left out because their schema is not known.",
		Example: "  skyhaul buffer export --dir /var/lib/skyhaul --format csv > readings.csv",
	}
	open, selected := bufferFlags(cmd), laneFlags(cmd)
	format := cmd.Flags().String("format", "csv", "csv or jsonl")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		writer, ok := map[string]func(io.Writer) (func([]string) error, func() error){"csv": csvWriter, "jsonl": jsonWriter}[*format]
		if !ok {
			return usageError{fmt.Errorf("--format %q: csv or jsonl", *format)}
		}
		b, err := open()
		if err != nil {
			return err
		}
		write, flush := writer(cmd.OutOrStdout())
		err = selected.each(cmd.Context(), b, func(lane string, rec bufferstore.Record) error { return b.readings(lane, rec, write) })
		if err != nil {
			return err
		}
		if err := flush(); err != nil {
			return err
		}
		if b.unnamed > 0 {
			return fmt.Errorf("%d scans are not in the export: their schemas are not in %s", b.unnamed, b.state)
		}
		return nil
	}
	return cmd
}

// columns of an export: those of `skyhub export` that a site knows.
var columns = []string{
	"time", "lane", "group", "point_id", "tag", "value", "unit", "quality", "reason", "type", "raw", "bits",
	"time_quality", "boot", "boottime_ms", "epoch", "seq",
}

// readings writes the fields of each reading in a record.
func (b *view) readings(lane string, rec bufferstore.Record, write func([]string) error) error {
	sc, schema, ok := b.scan(rec)
	if !ok {
		return nil
	}
	for i := range schema.Columns {
		c, q := &schema.Columns[i], sc.Quality[i]
		if q == point.Unrecorded {
			continue
		}
		var value string
		if q.HasValue() {
			value = strconv.FormatFloat(c.Value(sc.Values[i]), 'g', -1, 64)
		}
		err := write([]string{
			sc.Stamp.Time().Format(time.RFC3339Nano), lane, schema.Group, strconv.FormatUint(uint64(c.ID), 10), c.Tag,
			value, c.Unit, q.Status().String(), q.Reason().String(),
			c.Type.String(), c.Type.Format(sc.Values[i]), fmt.Sprintf("0x%0*x", 2*c.Type.Size(), sc.Values[i]),
			sc.Stamp.Quality.String(), strconv.FormatUint(uint64(sc.Stamp.Boot), 10), strconv.FormatInt(sc.Stamp.Boottime.Milliseconds(), 10),
			rec.Epoch.String(), strconv.FormatUint(uint64(rec.First), 10),
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func csvWriter(w io.Writer) (write func([]string) error, flush func() error) {
	cw := csv.NewWriter(w)
	cw.Write(columns)
	return cw.Write, func() error { cw.Flush(); return cw.Error() }
}

func jsonWriter(w io.Writer) (write func([]string) error, flush func() error) {
	b := bufio.NewWriter(w)
	e := json.NewEncoder(b)
	write = func(fields []string) error {
		line := make(map[string]string, len(columns))
		for i, f := range fields {
			line[columns[i]] = f
		}
		return e.Encode(line)
	}
	return write, b.Flush
}

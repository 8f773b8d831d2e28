package main

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"skyhaul/bufferstore"
	"skyhaul/config"
	"skyhaul/edge"
	"skyhaul/edge/point"
	"skyhaul/edge/stable"
)

func bufferCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "buffer",
		Short: "Look into a buffer, whether its daemon runs or not, also a damaged one",
		Long: "The commands read the buffer as it is at one moment. They write nothing, stop nothing and\n" +
			"need no space.",
		Example: "  skyhaul buffer ls --config /etc/skyhaul/skyhaul.toml",
	}
	cmd.AddCommand(bufferLsCommand(), bufferDumpCommand(), bufferVerifyCommand(), bufferExportCommand())
	return cmd
}

// view is a buffer with the schemas of its records.
type view struct {
	*bufferstore.View
	schemas *edge.Schemas
}

// bufferFlags adds the flags that say which buffer, and returns what opens it.
func bufferFlags(cmd *cobra.Command) func() (*view, error) {
	path := cmd.Flags().String("config", "", "configuration `FILE` that names the folder")
	dir := cmd.Flags().String("dir", "", "the `DIR` itself, as in [buffer] dir")
	return func() (*view, error) {
		c := &config.Config{}
		switch {
		case (*path == "") == (*dir == ""):
			return nil, usageError{fmt.Errorf("give either --config FILE or --dir DIR: see %s --help", cmd.CommandPath())}
		case *path != "":
			var err error
			if c, err = config.Load(*path); err != nil {
				return nil, configError{err}
			}
			*dir = c.Buffer.Dir
		}
		return openView(*dir)
	}
}

func openView(dir string) (*view, error) {
	if _, err := os.Stat(filepath.Join(dir, "buffer")); err != nil {
		return nil, fmt.Errorf("no buffer below %s: %w", dir, err)
	}
	log := slog.New(slog.DiscardHandler)
	state, err := stable.Open(filepath.Join(dir, "state"))
	if err != nil {
		return nil, err
	}
	schemas, err := edge.OpenSchemas(state, log)
	if err != nil {
		return nil, err
	}
	v, err := edge.ViewStore(dir, schemas, log)
	return &view{v, schemas}, err
}

func bufferLsCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "ls", Short: "List the lanes", Example: "  skyhaul buffer ls --dir /var/lib/skyhaul"}
	open := bufferFlags(cmd)
	asJSON := cmd.Flags().Bool("json", false, "print JSON")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		b, err := open()
		if err != nil {
			return err
		}
		s := b.Stats()
		if *asJSON {
			return json.NewEncoder(cmd.OutOrStdout()).Encode(s.Lanes)
		}
		tw := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', tabwriter.AlignRight)
		fmt.Fprint(tw, "lane\toldest\tnewest\tbytes\tgaps\tlost\tsent\tacked\t\n")
		for _, l := range s.Lanes {
			var sent, acked bufferstore.Seq
			for _, c := range l.Cursors {
				sent, acked = c.Sent, c.Acked
			}
			fmt.Fprintf(tw, "%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t\n", l.Name, l.First, l.Durable, l.Bytes, l.Gaps, l.Lost, sent, acked)
		}
		return tw.Flush()
	}
	return cmd
}

// laneFlags adds the flags that say which records.
func laneFlags(cmd *cobra.Command) (each func(b *view, yield func(point.Lane, bufferstore.Record) error) error) {
	lane := cmd.Flags().String("lane", "", "only the lane `NAME`")
	from := cmd.Flags().Uint64("from", 1, "begin at this sequence `NUMBER`")
	lanes := point.Lanes()
	cmd.PreRunE = func(*cobra.Command, []string) error {
		if *lane == "" {
			return nil
		}
		l, ok := point.ParseLane(*lane)
		if !ok {
			return usageError{fmt.Errorf("--lane %q: there are %v", *lane, lanes)}
		}
		lanes = []point.Lane{l}
		return nil
	}
	return func(b *view, yield func(point.Lane, bufferstore.Record) error) error {
		for _, l := range lanes {
			for rec, err := range b.Records(l.String(), bufferstore.Seq(*from)) {
				if err == nil {
					err = yield(l, rec)
				}
				if cmd.Context().Err() != nil {
					err = context.Cause(cmd.Context())
				}
				if err != nil {
					return err
				}
			}
		}
		return nil
	}
}

func bufferDumpCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "dump", Short: "Print records, one a line",
		Example: "  skyhaul buffer dump --dir /var/lib/skyhaul --lane alarm",
	}
	open, each := bufferFlags(cmd), laneFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		b, err := open()
		if err != nil {
			return err
		}
		return each(b, func(lane point.Lane, rec bufferstore.Record) error {
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s %s %d %s\n", lane, rec.Epoch, rec.First, b.describe(rec))
			return err
		})
	}
	return cmd
}

// describe says in a line what a record holds.
func (b *view) describe(rec bufferstore.Record) string {
	if rec.Lost != bufferstore.Kept {
		return fmt.Sprintf("gap to %d: %s", rec.Last, rec.Lost)
	}
	var e point.Event
	var n point.Note
	switch {
	case e.Decode(rec.Data) == nil:
		return fmt.Sprintf("event %s %s active=%v value=%v limit=%v", e.Tag, e.Condition, e.Active, e.Value, e.Limit)
	case n.Decode(rec.Data) == nil:
		return fmt.Sprintf("note %s: %s", n.Topic, n.Text)
	}
	sc, schema, ok := b.scan(rec)
	if !ok {
		return fmt.Sprintf("kind %d, %d bytes", point.KindOf(rec.Data), len(rec.Data))
	}
	line := fmt.Sprintf("scan %s %s", schema.Group, sc.Stamp.Time().Format(time.RFC3339Nano))
	for i := range schema.Columns {
		c := &schema.Columns[i]
		line += fmt.Sprintf(" %s=%s", c.Tag, c.Type.Format(sc.Values[i]))
		if q := sc.Quality[i]; q != 0 {
			line += fmt.Sprintf("(%s)", q)
		}
	}
	return line
}

func (b *view) scan(rec bufferstore.Record) (*point.Scan, *point.Schema, bool) {
	id, ok := point.ScanSchema(rec.Data)
	if !ok {
		return nil, nil, false
	}
	schema, ok := b.schemas.Lookup(id)
	if !ok {
		return nil, nil, false
	}
	sc := new(point.Scan)
	return sc, schema, sc.Decode(rec.Data, schema) == nil
}

func bufferVerifyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "verify", Short: "Read everything and tell what is damaged or missing",
		Long:    "Reads every record. Exit 1 if any is damaged.",
		Example: "  skyhaul buffer verify --dir /var/lib/skyhaul",
	}
	open, each := bufferFlags(cmd), laneFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		b, err := open()
		if err != nil {
			return err
		}
		var records, damaged int
		err = each(b, func(lane point.Lane, rec bufferstore.Record) error {
			if rec.Lost == bufferstore.Kept {
				records++
				return nil
			}
			if rec.Lost == bufferstore.Damaged {
				damaged += int(rec.Last-rec.First) + 1
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s %s %d to %d: %s\n", lane, rec.Epoch, rec.First, rec.Last, rec.Lost)
			return err
		})
		if err != nil {
			return err
		}
		fmt.Fprintf(cmd.OutOrStdout(), "%d records read, %d damaged\n", records, damaged)
		if damaged > 0 {
			return fmt.Errorf("%d records are damaged", damaged)
		}
		return nil
	}
	return cmd
}

func bufferExportCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "export", Short: "Write the readings as CSV or JSON lines",
		Example: "  skyhaul buffer export --dir /var/lib/skyhaul --format csv > readings.csv",
	}
	open, each := bufferFlags(cmd), laneFlags(cmd)
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
		err = each(b, func(lane point.Lane, rec bufferstore.Record) error { return b.readings(lane, rec, write) })
		if err != nil {
			return err
		}
		return flush()
	}
	return cmd
}

// columns of an export: those of `skyhub export` that a site knows.
var columns = []string{
	"time", "lane", "group", "point_id", "tag", "value", "unit", "quality", "reason", "type", "raw", "bits",
	"time_quality", "boot", "boottime_ms", "epoch", "seq",
}

// readings writes the fields of each reading in a record.
func (b *view) readings(lane point.Lane, rec bufferstore.Record, write func([]string) error) error {
	sc, schema, ok := b.scan(rec)
	if !ok {
		return nil
	}
	for i := range schema.Columns {
		c, q := &schema.Columns[i], sc.Quality[i]
		var value string
		if q.HasValue() {
			value = strconv.FormatFloat(c.Value(sc.Values[i]), 'g', -1, 64)
		}
		err := write([]string{
			sc.Stamp.Time().Format(time.RFC3339Nano), lane.String(), schema.Group, strconv.FormatUint(uint64(c.ID), 10), c.Tag,
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
	e := json.NewEncoder(w)
	write = func(fields []string) error {
		line := make(map[string]string, len(columns))
		for i, f := range fields {
			line[columns[i]] = f
		}
		return e.Encode(line)
	}
	return write, func() error { return nil }
}

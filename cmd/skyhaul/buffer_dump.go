package main

import (
	"bufio"
	"cmp"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"skyhaul/bufferstore"
	"skyhaul/edge/point"
)

func bufferDumpCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "dump", Short: "Print records, one a line, with gaps and the beginnings of epochs",
		Long: "Prints lane, epoch, sequence number and what the record holds. Where an epoch begins,\n" +
			"and where records are lost, that is a line. A scan whose schema is not known is shown\n" +
			"as kind and bytes.",
		Example: "  skyhaul buffer dump --dir /var/lib/skyhaul --lane alarm",
	}
	open, selected := bufferFlags(cmd), laneFlags(cmd)
	asJSON := cmd.Flags().Bool("json", false, "print one JSON object a line")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		b, err := open()
		if err != nil {
			return err
		}
		w := bufio.NewWriter(cmd.OutOrStdout())
		print := printText
		if *asJSON {
			print = printJSON
		}
		var before entry
		err = selected.each(cmd.Context(), b, func(lane string, rec bufferstore.Record) error {
			e := b.entry(lane, rec)
			if e.Lane != before.Lane || e.Epoch != before.Epoch {
				if begins, ok := b.begins(lane, rec); ok {
					print(w, begins) // w tells of errors in the end
				}
			}
			before = e
			return print(w, e)
		})
		if flushed := w.Flush(); flushed != nil || err != nil {
			return cmp.Or(flushed, err)
		}
		if b.unnamed > 0 {
			fmt.Fprintf(cmd.ErrOrStderr(), "%d scans are shown as kind and bytes: their schemas are not in %s\n", b.unnamed, b.state)
		}
		return nil
	}
	return cmd
}

// entry is a line of a dump.
type entry struct {
	Lane     string          `json:"lane"`
	Epoch    string          `json:"epoch"`
	Seq      bufferstore.Seq `json:"seq"`
	Last     bufferstore.Seq `json:"last,omitempty"` // of a gap
	Kind     string          `json:"kind"`           // epoch, gap, scan, event, note, archive, or the number of another kind
	Parent   string          `json:"parent,omitempty"`
	Lost     string          `json:"lost,omitempty"`
	Time     string          `json:"time,omitempty"`
	Group    string          `json:"group,omitempty"`
	Readings []reading       `json:"readings,omitempty"`
	Event    *event          `json:"event,omitempty"`
	Archive  *archived       `json:"archive,omitempty"`
	Topic    string          `json:"topic,omitempty"`
	Text     string          `json:"text,omitempty"`
	Bytes    int             `json:"bytes,omitempty"`
	Data     string          `json:"data,omitempty"` // hexadecimal
}

// reading is a value as the instrument gave it.
type reading struct {
	Tag     string `json:"tag"`
	Raw     string `json:"raw"`
	Quality string `json:"quality"`
}

type event struct {
	Tag       string `json:"tag"`
	Condition string `json:"condition"`
	Active    bool   `json:"active"`
	Value     string `json:"value"`
	Limit     string `json:"limit"`
}

// archived is a record of an instrument's own archive or log.
type archived struct {
	Source  string          `json:"source"`
	Name    string          `json:"archive"`
	Index   uint32          `json:"index"`
	Time    string          `json:"device_time,omitempty"` // empty where it is not known
	Quality string          `json:"device_quality"`
	Record  string          `json:"record"` // as the instrument gave it, hexadecimal
	Fields  []archivedField `json:"fields"` // those that are whole in the record
}

// archivedField is a number in a record as the instrument gave it.
type archivedField struct {
	Name string `json:"field"`
	Raw  string `json:"raw"`
	Unit string `json:"unit,omitempty"`
	Set  string `json:"set_bits,omitempty"`
}

func archivedOf(a *point.Archive) *archived {
	out := &archived{
		Source: a.Source, Name: a.Name, Index: a.Index, Quality: a.TimeQuality.String(),
		Record: fmt.Sprintf("%X", a.Raw), Fields: []archivedField{},
	}
	if a.TimeQuality.Status() != point.Bad {
		out.Time = point.Stamp{Wall: a.Time}.Time().Format(time.RFC3339Nano)
	}
	for i, raw := range a.Layout.Values(a.Raw) {
		f := &a.Layout[i]
		out.Fields = append(out.Fields, archivedField{f.Name, f.Type.Format(raw), f.Unit, f.Set(raw)})
	}
	return out
}

// text says in words what the record holds.
func (a *archived) text() string {
	line := fmt.Sprintf("archive %s/%s %d %s", a.Source, a.Name, a.Index, orDash(a.Time))
	if a.Quality != point.Good.String() {
		line += fmt.Sprintf("(%s)", a.Quality)
	}
	for _, f := range a.Fields {
		line += fmt.Sprintf(" %s=%s", f.Name, f.Raw)
		if f.Set != "" {
			line += fmt.Sprintf("(%s)", f.Set)
		}
	}
	return line
}

// begins returns the line of the epoch that begins with a record, if one does.
func (b *view) begins(lane string, rec bufferstore.Record) (entry, bool) {
	for _, sp := range b.Spans(lane) {
		if sp.Epoch == rec.Epoch && sp.First == rec.First {
			e := entry{Lane: lane, Epoch: rec.Epoch.String(), Seq: rec.First, Kind: "epoch"}
			if sp.Parent != (bufferstore.Epoch{}) {
				e.Parent = sp.Parent.String()
			}
			return e, true
		}
	}
	return entry{}, false
}

// entry decodes a record or a gap.
func (b *view) entry(lane string, rec bufferstore.Record) entry {
	out := entry{Lane: lane, Epoch: rec.Epoch.String(), Seq: rec.First}
	if rec.Lost != bufferstore.Kept {
		out.Kind, out.Last, out.Lost = "gap", rec.Last, rec.Lost.String()
		return out
	}
	if stamp, ok := point.StampOf(rec.Data); ok {
		out.Time = stamp.Time().Format(time.RFC3339Nano)
	}
	var e point.Event
	var n point.Note
	var a point.Archive
	switch {
	case e.Decode(rec.Data) == nil:
		out.Kind, out.Event = "event", &event{e.Tag, e.Condition, e.Active, number(e.Value), number(e.Limit)}
	case n.Decode(rec.Data) == nil:
		out.Kind, out.Topic, out.Text = "note", n.Topic, n.Text
	case a.Decode(rec.Data) == nil:
		out.Kind, out.Archive = "archive", archivedOf(&a)
	default:
		b.fillScan(&out, rec)
	}
	return out
}

func (b *view) fillScan(out *entry, rec bufferstore.Record) {
	sc, schema, ok := b.scan(rec)
	if !ok {
		out.Kind, out.Bytes, out.Data = strconv.Itoa(int(point.KindOf(rec.Data))), len(rec.Data), hex.EncodeToString(rec.Data)
		return
	}
	out.Kind, out.Group = "scan", schema.Group
	for i := range schema.Columns {
		c, q := &schema.Columns[i], sc.Quality[i]
		if q != point.Unrecorded {
			out.Readings = append(out.Readings, reading{c.Tag, c.Type.Format(sc.Values[i]), q.String()})
		}
	}
}

func number(f float64) string { return strconv.FormatFloat(f, 'g', -1, 64) }

func printJSON(w io.Writer, e entry) error { return json.NewEncoder(w).Encode(e) }

func printText(w io.Writer, e entry) error {
	_, err := fmt.Fprintf(w, "%s %s %d %s\n", e.Lane, e.Epoch, e.Seq, e.text())
	return err
}

// text says in words what a line holds.
func (e *entry) text() string {
	switch e.Kind {
	case "epoch":
		return "epoch begins, parent " + orDash(e.Parent)
	case "gap":
		return fmt.Sprintf("gap to %d: %s", e.Last, e.Lost)
	case "event":
		v := e.Event
		return fmt.Sprintf("event %s %s active=%v value=%s limit=%s", v.Tag, v.Condition, v.Active, v.Value, v.Limit)
	case "note":
		return fmt.Sprintf("note %s: %s", e.Topic, e.Text)
	case "archive":
		return e.Archive.text()
	case "scan":
		line := fmt.Sprintf("scan %s %s", e.Group, e.Time)
		for _, r := range e.Readings {
			line += fmt.Sprintf(" %s=%s", r.Tag, r.Raw)
			if r.Quality != point.Good.String() {
				line += fmt.Sprintf("(%s)", r.Quality)
			}
		}
		return line
	}
	return fmt.Sprintf("kind %s, %d bytes", e.Kind, e.Bytes)
}

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
	"strconv"

	"skyhaul/edge/point"
	"skyhaul/link/hub/sqlite"
)

// recordColumns are of a record, fieldColumns of one of its fields.
var (
	recordColumns = []string{
		"device_time", "device_quality", "device_reason", "device_zone", "site", "source", "archive", "kind", "archive_id", "index", "version", "record",
		"read_at", "time_quality", "bound_ms", "boot", "boottime_ms", "epoch", "seq", "received_at",
	}
	fieldColumns = []string{"field", "value", "unit", "set_bits", "type", "raw", "bits"}
)

// writeArchivesCSV writes a line for each field of each record; for one
// without fields a line with them empty.
func writeArchivesCSV(ctx context.Context, v *sqlite.View, q sqlite.Query, w io.Writer) error {
	b := bufio.NewWriter(w)
	c := csv.NewWriter(b)
	c.Write(append(recordColumns[:len(recordColumns):len(recordColumns)], fieldColumns...))
	for r, err := range v.Archives(ctx, q) {
		if err != nil {
			return err
		}
		of := recordFields(q.Site, r)
		all := archiveFields(r)
		if len(all) == 0 {
			all = [][]string{make([]string, len(fieldColumns))}
		}
		for _, field := range all {
			if err := c.Write(append(of[:len(of):len(of)], field...)); err != nil {
				return err
			}
		}
	}
	c.Flush()
	return errors.Join(c.Error(), b.Flush())
}

// writeArchivesJSON writes an object for each record, with a list of its fields.
func writeArchivesJSON(ctx context.Context, v *sqlite.View, q sqlite.Query, w io.Writer) error {
	b := bufio.NewWriter(w)
	enc := json.NewEncoder(b)
	for r, err := range v.Archives(ctx, q) {
		if err != nil {
			return err
		}
		line := object(recordColumns, recordFields(q.Site, r))
		line["seq"], line["archive_id"], line["index"], line["version"] = r.Seq, r.ID, r.Index, r.Version
		fields := []map[string]any{}
		for i, texts := range archiveFields(r) {
			f := object(fieldColumns, texts)
			f["value"] = nil
			if n := r.Layout[i].Type.Float(r.Layout.Values(r.Raw)[i]); !math.IsNaN(n) && !math.IsInf(n, 0) {
				f["value"] = n
			}
			fields = append(fields, f)
		}
		line["fields"] = fields
		if err := enc.Encode(line); err != nil {
			return err
		}
	}
	return b.Flush()
}

// object names texts by their columns.
func object(columns, texts []string) map[string]any {
	o := make(map[string]any, len(columns))
	for i, text := range texts {
		o[columns[i]] = text
	}
	return o
}

func recordFields(site string, r *sqlite.ArchiveRecord) []string {
	var device string
	if r.TimeQuality.Status() != point.Bad {
		device = iso(point.Stamp{Wall: r.Time}.Time())
	}
	s := &r.Stamp
	return []string{
		device, r.TimeQuality.Status().String(), r.TimeQuality.Reason().String(), r.Zone, site, r.Source, r.Name, r.Kind.String(),
		strconv.FormatUint(uint64(r.ID), 10), strconv.FormatUint(uint64(r.Index), 10), strconv.Itoa(r.Version), fmt.Sprintf("%X", r.Raw),
		iso(s.Time()), s.Quality.String(), boundText(s), strconv.FormatUint(uint64(s.Boot), 10), strconv.FormatInt(s.Boottime.Milliseconds(), 10),
		r.Epoch.String(), strconv.FormatUint(uint64(r.Seq), 10), iso(r.ReceivedAt),
	}
}

// archiveFields are the fields of a record, of those that are whole in it.
func archiveFields(r *sqlite.ArchiveRecord) (all [][]string) {
	for i, raw := range r.Layout.Values(r.Raw) {
		f := &r.Layout[i]
		var value string
		if n := f.Type.Float(raw); !math.IsNaN(n) {
			value = strconv.FormatFloat(n, 'g', -1, 64)
		}
		all = append(all, []string{f.Name, value, f.Unit, f.Set(raw), f.Type.String(), f.Type.Format(raw), bits(f.Type, raw)})
	}
	return all
}

package config

import (
	"bytes"
	_ "embed" // the first configuration
	"encoding/csv"
	"fmt"
	"slices"
	"strconv"
)

// Starter is a first configuration; its points are in points.csv beside it.
//
//go:embed starter.toml
var Starter string

// StarterPoints is a first tag list.
const StarterPoints = "id,tag,description,address,type,unit,scale,lo,hi,group\n" +
	"1,PT-101,line pressure,40001,uint16,bar,0.01,,60,fast\n"

// columns is the order in which a canonical tag list is written.
var columns = []string{
	"id", "tag", "description", "table", "address", "type", "bit", "order",
	"raw_low", "raw_high", "eng_low", "eng_high", "scale", "offset", "unit", "decimals",
	"valid_low", "valid_high", "lolo", "lo", "hi", "hihi", "deadband", "alarm_delay", "frozen_after",
	"signal", "sentinel", "lane", "group", "send", "max_silence", "enabled",
}

// Canonical reads a tag list and writes it as this program keeps it: columns in
// the usual order, a new id for every point that has none. It returns how many
// points there are and how many of them were given an id.
func Canonical(name string, list []byte) (out []byte, points, numbered int, err error) {
	var probs problems
	rows := readTagList(&probs, name, list)
	next := int64(1)
	for _, r := range rows {
		next = max(next, int64(r.pointID())+1)
		for _, c := range columns {
			r.has(c)
		}
	}
	if err := probs.err(); err != nil {
		return nil, 0, 0, err
	}
	if len(rows) == 0 {
		return nil, 0, 0, fmt.Errorf("%s: no points in it", name)
	}
	used := slices.DeleteFunc(slices.Clone(columns), func(c string) bool {
		return c != "id" && !slices.ContainsFunc(rows, func(r *table) bool { return r.has(c) })
	})
	var buf bytes.Buffer
	w := csv.NewWriter(&buf)
	w.Write(used)
	for _, r := range rows {
		if !r.has("id") {
			r.values["id"] = strconv.FormatInt(next, 10)
			next++
			numbered++
		}
		cells := make([]string, len(used))
		for i, c := range used {
			cells[i], _ = r.values[c].(string)
		}
		w.Write(cells)
	}
	w.Flush()
	return buf.Bytes(), len(rows), numbered, w.Error()
}

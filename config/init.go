package config

import (
	"bytes"
	_ "embed" // the first configuration
	"encoding/csv"
	"fmt"
	"maps"
	"slices"
	"strings"

	"skyhaul/edge/profile"
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

// ForProfile returns a first configuration of one unit of a profile. Of a
// template it also makes the tag list to fill in.
func ForProfile(p *profile.Profile) (text string, lists []ImportedList) {
	before, rest, _ := strings.Cut(Starter, "[[unit]]")
	_, after, _ := strings.Cut(rest, "[[group]]")
	var b strings.Builder
	fmt.Fprintf(&b, "%s[[unit]]\nname = \"unit-1\"\non = \"rs485\"\nid = 1\n", before)
	if !p.Template {
		fmt.Fprintf(&b, "[unit.profile]                 # %s\nname = %q\nfirst_id = 1                   # its points are numbered from here on, once and for ever\n", p.Title, p.Name)
	} else {
		for _, key := range slices.Sorted(maps.Keys(p.Unit)) {
			if v, ok := p.Unit[key].(string); ok {
				fmt.Fprintf(&b, "%s = %q\n", key, v)
			}
		}
		b.WriteString("points = \"points.csv\"\n")
		lists = []ImportedList{{File: "points.csv", Text: templateList(p)}}
	}
	return b.String() + "\n[[group]]" + after, lists
}

// templateList is a tag list whose addresses are to be filled in.
func templateList(p *profile.Profile) []byte {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	w.Write([]string{"id", "tag", "description", "address", "type", "unit", "scale"})
	for _, v := range profilePoints(p) {
		text := func(key string) string { s, _ := v[key].(string); return s }
		w.Write([]string{fmt.Sprint(v["number"]), text("tag"), text("description"), "", text("type"), text("unit"), ""})
	}
	w.Flush() // into memory
	return b.Bytes()
}

package config

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// maxTags bounds a tag list: one appliance reads no more.
const maxTags = 50_000

// readTagList reads a tag list as engineers keep it: a header with the names of
// the columns in any order, then one point a row. Comma, semicolon or tab
// separate the cells; the header tells which. Rows that are empty are passed over.
func readTagList(probs *problems, name string, text []byte) (rows []*table) {
	text = bytes.TrimPrefix(text, []byte("\ufeff"))
	header, _, _ := bytes.Cut(text, []byte("\n"))
	r := csv.NewReader(bytes.NewReader(text))
	r.Comma = separator(string(header))
	r.Comment = '#'
	r.TrimLeadingSpace = true
	columns, err := r.Read()
	if err != nil {
		probs.add("%s: no header line with the names of the columns: %v", name, err)
		return nil
	}
	for i, c := range columns {
		columns[i] = strings.ReplaceAll(strings.ToLower(strings.TrimSpace(c)), " ", "_")
		if columns[i] != "" && slices.Contains(columns[:i], columns[i]) {
			probs.add("%s:1: there are two columns %q", name, columns[i])
			return nil
		}
	}
	if !slices.Contains(columns, "tag") {
		probs.add("%s:1: no column tag: the first line names the columns, as id,tag,address,type", name)
		return nil
	}
	for len(rows) < maxTags {
		cells, err := r.Read()
		if errors.Is(err, io.EOF) {
			return rows
		}
		if err != nil {
			probs.add("%s: %v", name, err)
			return rows
		}
		line, _ := r.FieldPos(0)
		if row := newRow(probs, name, line, columns, cells); row != nil {
			rows = append(rows, row)
		}
	}
	probs.add("%s: more than %d rows", name, maxTags)
	return rows
}

// separator is the one of the usual three that the header holds most of.
func separator(header string) rune {
	best := ','
	for _, c := range ";\t" {
		if strings.Count(header, string(c)) > strings.Count(header, string(best)) {
			best = c
		}
	}
	return best
}

// newRow returns nil for a row of empty cells.
func newRow(probs *problems, name string, line int, columns, cells []string) *table {
	values := map[string]any{}
	for i, c := range cells {
		if c = strings.TrimSpace(c); c != "" {
			values[columns[i]] = c
		}
	}
	if len(values) == 0 {
		return nil
	}
	where := fmt.Sprintf("%s:%d", name, line)
	tag, _ := values["tag"].(string)
	return newTable(probs, "tag "+strconv.Quote(tag), values, func(string) string { return where })
}

// swapped looks for the cause of a column that is wrong in every row: another
// column, of words, that holds the numbers of this one.
func swapped(rows []*table, bad string) string {
	for _, free := range []string{"description", "tag", "unit", "group", "type"} {
		numbers := 0
		for _, r := range rows {
			s, _ := r.values[free].(string)
			if _, err := strconv.ParseFloat(s, 64); err == nil {
				numbers++
			}
		}
		if free != bad && numbers == len(rows) {
			return fmt.Sprintf("; column %s holds numbers only: are the two swapped?", free)
		}
	}
	return ""
}

package buffigures

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"
)

// row is one figure. Verdict is empty where there is no target.
type row struct {
	Figure  string  `json:"figure"`
	Got     float64 `json:"got"`
	Unit    string  `json:"unit,omitempty"`
	Target  string  `json:"target,omitempty"`
	Verdict string  `json:"verdict,omitempty"`
	Note    string  `json:"note,omitempty"`
}

// table is the figures, under a title that says how they were taken.
type table struct {
	Title string `json:"title"`
	Rows  []row  `json:"rows"`
}

// add adds a figure; the target is such as "<= 8" or empty.
func (t *table) add(figure string, got float64, unit, target, note string) {
	r := row{figure, got, unit, target, "", note}
	var op string
	var limit float64
	if n, _ := fmt.Sscan(target, &op, &limit); n == 2 {
		r.Verdict = "missed"
		if op == "<=" && got <= limit || op == ">=" && got >= limit {
			r.Verdict = "met"
		}
	}
	t.Rows = append(t.Rows, r)
}

func (t *table) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\n", t.Title)
	tw := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "figure\tgot\ttarget\tverdict\t")
	for _, r := range t.Rows {
		target := strings.TrimSpace(r.Target + " " + r.Unit)
		if r.Target == "" {
			target = ""
		}
		fmt.Fprintf(tw, "%s\t%s %s\t%s\t%s\t%s\n", r.Figure, short(r.Got), r.Unit, target, r.Verdict, r.Note)
	}
	tw.Flush()
	return b.String()
}

// short writes a number with about three digits.
func short(v float64) string {
	switch {
	case v < 10:
		return fmt.Sprintf("%.2f", v)
	case v < 100:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.0f", v)
}

// save writes the table as JSON.
func (t *table) save(path string) error {
	b, err := json.MarshalIndent(t, "", "\t")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(b, '\n'), 0o644)
}

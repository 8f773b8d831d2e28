package buffigures

import (
	"strings"
	"testing"
	"time"

	"skyhaul/edge/point"
)

// decode reads record n of a load.
func decode(t *testing.T, l *load, n int64) point.Scan {
	t.Helper()
	var scratch, got point.Scan
	rec := l.append(nil, &scratch, n)
	if err := got.Decode(rec, l.schemas[(n-1)%groups]); err != nil {
		t.Fatal(err)
	}
	return got
}

func TestLoadIsTenGroupsOfAHundredPointsEachSecond(t *testing.T) {
	l, err := newLoad("../../link/batch/bench/testdata")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[point.SchemaID]bool{}
	types := map[point.Type]int{}
	for n := int64(1); n <= groups; n++ {
		a, b := decode(t, l, n), decode(t, l, n+groups)
		if len(a.Values) != points || a.Schema != b.Schema || b.Stamp.Boottime-a.Stamp.Boottime != time.Second {
			t.Errorf("group %d: %d points, stamps %v and %v", n, len(a.Values), a.Stamp, b.Stamp)
		}
		seen[a.Schema] = true
		for _, c := range l.schemas[n-1].Columns {
			types[c.Type]++
		}
	}
	if len(seen) != groups || types[point.Uint16] == 0 || types[point.Float32] == 0 {
		t.Errorf("%d schemas, columns %v", len(seen), types)
	}
}

func TestNoPassRepeatsAnother(t *testing.T) {
	c, err := newColumn("T", [][]string{{"", "20.5"}, {"", ""}, {"", "21.25"}}, 1)
	if err != nil {
		t.Fatal(err)
	}
	for pass, want := range []string{"20.5", "20.51", "20.52"} {
		if raw, _ := c.value(0, int64(pass)); c.typ.Format(raw) != want {
			t.Errorf("pass %d: %s, want %s", pass, c.typ.Format(raw), want)
		}
	}
	if _, q := c.value(1, 0); q.HasValue() {
		t.Error("an empty cell has a value")
	}
	onOff, err := newColumn("valve", [][]string{{"", "0"}, {"", "1"}}, 1)
	if err != nil {
		t.Fatal(err)
	}
	if raw, _ := onOff.value(1, 7); raw != 1 || onOff.typ != point.Uint16 {
		t.Errorf("an on-off signal became %d (%v)", raw, onOff.typ)
	}
}

func TestTableComparesWithTheTarget(t *testing.T) {
	var tab table
	tab.add("bytes", 8, "B", "<= 8", "")
	tab.add("bytes", 8.1, "B", "<= 8", "")
	tab.add("rate", 19, "M/s", ">= 20", "")
	tab.add("rate", 20, "M/s", ">= 20", "")
	tab.add("other", 1, "%", "", "a note")
	for i, want := range []string{"met", "missed", "missed", "met", ""} {
		if tab.Rows[i].Verdict != want {
			t.Errorf("%+v: want %q", tab.Rows[i], want)
		}
	}
	if text := tab.String(); !strings.Contains(text, "<= 8 B") || !strings.Contains(text, "a note") {
		t.Error(text)
	}
}

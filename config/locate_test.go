package config

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestEveryKeyHasItsLine(t *testing.T) {
	got := locate([]byte(`# first
[site]
id = "a"

[[unit]]
name = "m1"
[[unit.point]]
id = 1
[[unit.point]]
id = 2

[[unit]]
name = "m2"
[[unit.point]]
id = 3
[[uplink]]
[uplink.window]
every = "6h"
`))
	want := lines{
		"site": 2, "site.id": 3,
		"unit": 5, "unit[0].point": 7, "unit[1].point": 14, "uplink": 16, // an array stands where it begins
		"unit[0]": 5, "unit[0].name": 6, "unit[0].point[0]": 7, "unit[0].point[0].id": 8,
		"unit[0].point[1]": 9, "unit[0].point[1].id": 10,
		"unit[1]": 12, "unit[1].name": 13, "unit[1].point[0]": 14, "unit[1].point[0].id": 15,
		"uplink[0]": 16, "uplink[0].window": 17, "uplink[0].window.every": 18,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if line := got.line("unit[1].point[0].tag"); line != 14 {
		t.Errorf("a missing key is looked for at line %d, want that of its table, 14", line)
	}
}

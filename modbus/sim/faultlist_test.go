package sim

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestFaultsAreReadFromAList(t *testing.T) {
	tests := []struct {
		in   string
		want Faults
	}{
		{"", Faults{}},
		{"echo", Faults{Echo: true}},
		{"noise=0.05, late=.01,late-by=2s,swapped", Faults{NoiseBefore: 0.05, NoiseAfter: 0.05, Late: 0.01, LateBy: 2 * time.Second, Swapped: true}},
		{"drop=1,hang-up=0,away=5s", Faults{Drop: 1, Away: 5 * time.Second}},
	}
	for _, tt := range tests {
		got, err := ParseFaults(tt.in)
		if diff := cmp.Diff(tt.want, got); err != nil || diff != "" {
			t.Errorf("%q: %v, -want +got\n%s", tt.in, err, diff)
		}
	}
	bad := []struct{ in, want string }{
		{"nois=0.05", `fault "nois" is none of echo, swapped, drop`},
		{"noise", `fault noise: "" is no probability`},
		{"noise=2", `"2" is no probability from 0 to 1`},
		{"noise=NaN", `"NaN" is no probability`},
		{"late-by=-1s", `"-1s" is no time such as 20ms`},
		{"echo=1", `"1" is too much`},
		{"drop=1,,", `fault ""`},
	}
	for _, tt := range bad {
		if _, err := ParseFaults(tt.in); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q: got %v, want %q", tt.in, err, tt.want)
		}
	}
}

func TestEveryFaultOfTheListSetsSomethingOfItsOwn(t *testing.T) {
	values := map[string]string{"echo": "", "swapped": "", "split-by": "=1s", "late-by": "=1s", "away": "=1s"}
	seen := make(map[string]string)
	for _, n := range faultNames {
		value, ok := values[n.name]
		if !ok {
			value = "=1"
		}
		f, err := ParseFaults(n.name + value)
		key := cmp.Diff(Faults{}, f)
		if err != nil || key == "" || seen[key] != "" {
			t.Errorf("%s: %v, sets %s, as %q does", n.name, err, key, seen[key])
		}
		seen[key] = n.name
	}
}

func FuzzFaults(f *testing.F) {
	f.Add("noise=0.05,late=0.01,late-by=2s,echo")
	f.Fuzz(func(t *testing.T, list string) {
		got, err := ParseFaults(list)
		if err != nil && !cmp.Equal(got, Faults{}) {
			t.Errorf("%q: %v and %+v", list, err, got)
		}
	})
}

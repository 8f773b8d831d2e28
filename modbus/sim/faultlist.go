package sim

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// ParseFaults reads a list of faults as a command line has it, such as
// "noise=0.05,late=0.01,late-by=2s,echo".
func ParseFaults(list string) (Faults, error) {
	var f Faults
	if list == "" {
		return f, nil
	}
	for entry := range strings.SplitSeq(list, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(entry), "=")
		i := slices.IndexFunc(faultNames, func(n faultName) bool { return n.name == name })
		if i < 0 {
			return Faults{}, fmt.Errorf("fault %q is none of %s", name, knownFaults())
		}
		for _, field := range faultNames[i].fields(&f) {
			if err := setFault(field, value); err != nil {
				return Faults{}, fmt.Errorf("fault %s: %w", name, err)
			}
		}
	}
	return f, nil
}

// knownFaults lists the names that [ParseFaults] knows.
func knownFaults() string {
	names := make([]string, len(faultNames))
	for i, n := range faultNames {
		names[i] = n.name
	}
	return strings.Join(names, ", ")
}

// setFault sets a flag, a probability or a time.
func setFault(field any, value string) (err error) {
	switch f := field.(type) {
	case *bool:
		*f = true
		if value != "" {
			return fmt.Errorf("it is there or not: %q is too much", value)
		}
	case *float64:
		if *f, err = strconv.ParseFloat(value, 64); err != nil || !(*f >= 0 && *f <= 1) {
			return fmt.Errorf("%q is no probability from 0 to 1", value)
		}
	case *time.Duration:
		if *f, err = time.ParseDuration(value); err != nil || *f <= 0 {
			return fmt.Errorf("%q is no time such as 20ms", value)
		}
	}
	return nil
}

// faultName is a fault's name and what it sets: flags, probabilities or times.
type faultName struct {
	name   string
	fields func(*Faults) []any
}

var faultNames = []faultName{
	{"echo", func(f *Faults) []any { return []any{&f.Echo} }},
	{"swapped", func(f *Faults) []any { return []any{&f.Swapped} }},
	{"drop", func(f *Faults) []any { return []any{&f.Drop} }},
	{"exception", func(f *Faults) []any { return []any{&f.Exception} }},
	{"noise", func(f *Faults) []any { return []any{&f.NoiseBefore, &f.NoiseAfter} }},
	{"noise-before", func(f *Faults) []any { return []any{&f.NoiseBefore} }},
	{"noise-after", func(f *Faults) []any { return []any{&f.NoiseAfter} }},
	{"flip", func(f *Faults) []any { return []any{&f.Flip} }},
	{"corrupt", func(f *Faults) []any { return []any{&f.Corrupt} }},
	{"wrong-unit", func(f *Faults) []any { return []any{&f.WrongUnit} }},
	{"cut", func(f *Faults) []any { return []any{&f.Cut} }},
	{"split", func(f *Faults) []any { return []any{&f.Split} }},
	{"split-by", func(f *Faults) []any { return []any{&f.SplitBy} }},
	{"break", func(f *Faults) []any { return []any{&f.Break} }},
	{"late", func(f *Faults) []any { return []any{&f.Late} }},
	{"late-by", func(f *Faults) []any { return []any{&f.LateBy} }},
	{"slow", func(f *Faults) []any { return []any{&f.Slow} }},
	{"hang-up", func(f *Faults) []any { return []any{&f.HangUp} }},
	{"away", func(f *Faults) []any { return []any{&f.Away} }},
}

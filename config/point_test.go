package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"skyhaul/edge/scan"
	"skyhaul/modbus"
)

// pointOf reads a point from the cells of a row, as text.
func pointOf(addresses string, cells map[string]string) (scan.Point, error) {
	var probs problems
	values := map[string]any{"id": "1", "tag": "PT-101", "address": "40001"}
	for key, text := range cells {
		if text != "" {
			values[key] = text
		}
	}
	p, _, _ := newTable(&probs, "", values, func(string) string { return "l.csv:2" }).point(1, notation{addresses, "ABCD"})
	return p, probs.err()
}

func TestColumnsOfATagListAreTheKeysOfAPoint(t *testing.T) {
	var probs problems
	row := newTable(&probs, "", map[string]any{"id": "1", "tag": "A", "address": "1"}, func(string) string { return "" })
	row.point(1, notation{"one-based", "ABCD"})
	want := slices.Sorted(maps.Keys(row.known))
	if diff := cmp.Diff(want, slices.Sorted(slices.Values(columns))); diff != "" {
		t.Errorf("keys that are read (-) and columns that are known (+):\n%s", diff)
	}
}

func TestAddressesMeanOnePlaceInEachNotation(t *testing.T) {
	const holding, input, discrete, coil = modbus.FuncReadHoldingRegisters, modbus.FuncReadInputRegisters, modbus.FuncReadDiscreteInputs, modbus.FuncReadCoils
	for _, c := range []struct {
		addresses, address string
		function           modbus.FunctionCode
		addr               uint16
		err                string
	}{
		{"modicon", "40001", holding, 0, ""},
		{"modicon", "49999", holding, 9998, ""},
		{"modicon", "400001", holding, 0, ""},
		{"modicon", "465536", holding, 65535, ""},
		{"modicon", "465537", 0, 0, "not between 0 and 465536"},
		{"modicon", "366000", 0, 0, "is past the last of its table, 365536"},
		{"modicon", "30010", input, 9, ""},
		{"modicon", "10001", discrete, 0, ""},
		{"modicon", "010001", coil, 10000, ""},
		{"modicon", "00010", coil, 9, ""}, // not octal
		{"modicon", "9", coil, 8, ""},
		{"modicon", "0", 0, 0, "does the list count from zero?"},
		{"modicon", "40000", 0, 0, `"40000" is before the first of its table, 40001: does the list count from 40000?`},
		{"modicon", "400000", 0, 0, `"400000" is before the first of its table, 400001`},
		{"modicon", "50001", 0, 0, "is no address in modicon notation"},
		{"one-based", "1", holding, 0, ""},
		{"one-based", "65536", holding, 65535, ""},
		{"one-based", "0", 0, 0, `there is no "0" where 1 is the first: does the list count from zero?`},
		{"zero-based", "0", holding, 0, ""},
		{"zero-based", "0xffff", holding, 65535, ""},
		{"zero-based", "65536", 0, 0, `"65536" is past the end of the table, which has 65536 (zero-based)`},
		{"zero-based", "-1", 0, 0, "not between 0"},
		{"zero-based", "1.5", 0, 0, "is not a whole number"},
	} {
		cells := map[string]string{"address": c.address}
		if c.function.Bits() {
			cells["type"] = "bool"
		}
		p, err := pointOf(c.addresses, cells)
		switch {
		case c.err != "":
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%s %s: %v, want %s", c.addresses, c.address, err, c.err)
			}
		case err != nil || p.Function != c.function || p.Addr != c.addr:
			t.Errorf("%s %s is function %d, %d, %v; want %d, %d", c.addresses, c.address, p.Function, p.Addr, err, c.function, c.addr)
		}
	}
}

func TestRangesAndSignalsMustMakeSense(t *testing.T) {
	for _, c := range []struct{ cells, want string }{
		{"type=float32 eng_low=0 eng_high=250", ""},
		{"type=uint16 scale=0.1 eng_low=0 eng_high=250", ""},
		{"type=uint16 eng_low=0 eng_high=250", "eng_low: a range of 0 to 250, and nothing that says which numbers of the uint16 stand for it"},
		{"type=float32 eng_low=250 eng_high=0", "eng_high: 0 is not above eng_low, 250: exchange them"},
		{"type=float32 eng_low=5 eng_high=5", "eng_high: 5 is not above eng_low"},
		{"type=float32 eng_low=5", "a range has two ends"},
		{"raw_low=0 raw_high=5", "a range needs all"},
		{"raw_low=0 eng_low=5 eng_high=6", "a range needs all"},
		{"raw_low=5 raw_high=5 eng_low=0 eng_high=1", "the range is empty"},
		{"type=REAL", `type: "real" is not one of bool, int16, uint16, int32, uint32, int64, uint64, float32, float64, bcd16, bcd32, bcd64, mod10k32, mod10k64, signmag16, signmag32, uint8high, uint8low: did you mean float32?`},
		{"type=INTEGER", `type: "integer" is 16 bits in one list and 32 in another`},
		{"address=10001 bit=3", "bit: can't be: coils and discrete inputs are one bit each"},
		{"signal=4-20mA", "signal: needs raw_low and raw_high"},
		{"signal=0-10V", `signal: "0-10V" is not one of`},
		{"type=int16 signal=4-20mA raw_low=0 raw_high=27648 eng_low=0 eng_high=60", ""},
		{"type=uint16 signal=4-20mA raw_low=0 raw_high=27648 eng_low=0 eng_high=60", "signal: a broken wire, 0 mA, would be -6912, which no uint16 holds"},
		{"type=uint16 signal=4-20mA raw_low=6400 raw_high=32000 eng_low=0 eng_high=60", ""},
		{"type=int16 sentinel=0x10000", `sentinel: "0x10000" is no raw value of a int16`},
		{"type=int16 sentinel=NaN", `sentinel: "NaN" is no raw value of a int16`},
		{"type=bool bit=1 sentinel=1", `sentinel: "1" is no raw value of a bool`},
		{"type=int16 lo=5 hi=4", "hi: 4 is not above the limit before it, 5"},
		{"type=int16 valid_low=5 valid_high=4", "valid_high: 4 is below valid_low, 5"},
	} {
		cells := map[string]string{}
		for _, pair := range strings.Fields(c.cells) {
			key, text, _ := strings.Cut(pair, "=")
			cells[key] = text
		}
		if _, err := pointOf("modicon", cells); c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v; want %s", c.cells, err, c.want)
		}
	}
}

func TestSentinelsAreRawValues(t *testing.T) {
	for _, c := range []struct {
		typ, sentinel string
		want          []uint64
	}{
		{"int16", "0x7FFF, -9999", []uint64{0x7FFF, 0xD8F1}},
		{"uint32", "4294967295;0", []uint64{0xFFFFFFFF, 0}},
		{"float32", "NaN 0x7FFFFFFF -9999", []uint64{0x7FC00000, 0x7FFFFFFF, 0xC61C3C00}},
	} {
		p, err := pointOf("modicon", map[string]string{"type": c.typ, "sentinel": c.sentinel})
		if diff := cmp.Diff(c.want, p.Sentinels); err != nil || diff != "" {
			t.Errorf("%s %q: %v %s", c.typ, c.sentinel, err, diff)
		}
	}
}

func TestTypesAreReadAsRegistersHoldThem(t *testing.T) {
	for _, c := range []struct {
		typ, order string
		registers  []uint16
		want       float64
	}{
		{"bcd16", "", []uint16{0x1234}, 1234},
		{"bcd32", "", []uint16{0x1234, 0x5678}, 12345678},
		{"bcd64", "", []uint16{0, 0, 0x1234, 0x5678}, 12345678},
		{"mod10k32", "", []uint16{12, 3456}, 123456},
		{"mod10k32", "CDAB", []uint16{3456, 12}, 123456},
		{"mod10k64", "", []uint16{0, 1, 2, 3}, 1_0002_0003},
		{"signmag16", "", []uint16{0x8005}, -5},
		{"signmag32", "", []uint16{0x8000, 5}, -5},
		{"uint8high", "", []uint16{0x1234}, 0x12},
		{"uint8low", "", []uint16{0x1234}, 0x34},
	} {
		p, err := pointOf("modicon", map[string]string{"type": c.typ, "order": c.order})
		if err != nil {
			t.Error(err)
			continue
		}
		if raw, err := p.Format.Decode(c.registers); err != nil || p.Value(raw) != c.want {
			t.Errorf("%s %s: %v, %v; want %v", c.typ, c.order, p.Value(raw), err, c.want)
		}
	}
}

// overlapsOf returns what is said of points that are written as "float32@0".
func overlapsOf(places ...string) string {
	var ps []placed
	for i, place := range places {
		typ, addr, _ := strings.Cut(place, "@")
		p, err := pointOf("zero-based", map[string]string{"tag": string(rune('A' + i)), "type": typ, "address": addr})
		if err != nil {
			return err.Error()
		}
		ps = append(ps, placed{p, fmt.Sprintf("l.csv:%d", i+2), ""})
	}
	var probs problems
	overlaps(&probs, ps)
	if err := probs.err(); err != nil {
		return err.Error()
	}
	return ""
}

func TestOverlapsNameTheOtherPoint(t *testing.T) {
	for _, c := range []struct {
		places string
		want   []string // what the lines hold; none for a list that is right
	}{
		{"float32@0 float32@2 uint16@4 uint64@5", nil},
		{"float32@0 float32@0", nil}, // one value under two tags
		{"float32@0 uint16@1", []string{`l.csv:3: tag "B": uint16 at wire 1 overlaps tag "A" (float32 at wire 0 to 1)`}},
		{"uint16@1 float32@0", []string{`l.csv:2: tag "A": uint16 at wire 1 overlaps tag "B" (float32 at wire 0 to 1)`}},
		{"float32@0 uint32@0", []string{`l.csv:3: tag "B": uint32 at wire 0 to 1 is a float32 for tag "A" (l.csv:2)`}},
		{"uint64@0 uint16@1 uint16@3", []string{"overlaps", "overlaps"}},
		{"float32@0 float32@1 float32@2 float32@3 float32@4", []string{`overlaps tag "A" (float32 at wire 0 to 1), and so on for 5: their addresses are one apart and each takes 2 registers`}},
	} {
		got := overlapsOf(strings.Fields(c.places)...)
		var lines []string
		if got != "" {
			lines = strings.Split(got, "\n")
		}
		if len(lines) != len(c.want) {
			t.Errorf("%s: %d lines, want %d:\n%s", c.places, len(lines), len(c.want), got)
			continue
		}
		for i, line := range lines {
			if !strings.Contains(line, c.want[i]) {
				t.Errorf("%s:\n%s\nwant %s", c.places, line, c.want[i])
			}
		}
	}
}

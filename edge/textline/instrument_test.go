package textline

import (
	"math"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func named(names ...string) (fs []Field) {
	for _, n := range names {
		fs = append(fs, Field{Name: n})
	}
	return fs
}

func same(a, b []float64) bool {
	return slices.EqualFunc(a, b, func(x, y float64) bool { return x == y || math.IsNaN(x) && math.IsNaN(y) })
}

func TestLinesAreUnderstood(t *testing.T) {
	nan := math.NaN()
	analyser := Instrument{Fields: named("h2s", "co2"), Match: regexp.MustCompile(`^H2S=\s*(?P<h2s>\S+) ppm CO2=\s*(?P<co2>\S+) %$`)}
	gauge := Instrument{Fields: []Field{{"level", 3, 9}, {"water", 10, 14}}, Comma: true}
	balance := Instrument{Fields: named("w"), Match: regexp.MustCompile(`^(?P<w>[+-]? *[\d.]+) kg`)}
	wind := Instrument{Fields: named("dir", "speed"), Match: regexp.MustCompile(`^WIMWV,(?P<dir>[\d.]*),R,(?P<speed>[\d.]*),`), Checksum: XOR8}
	sum := Instrument{Fields: named("v"), Match: regexp.MustCompile(`^V(?P<v>\d+)$`), Checksum: Sum8}
	lrc := sum
	lrc.Checksum = LRC8
	for _, c := range []struct {
		in   *Instrument
		line string
		want []float64
		err  string
	}{
		{&analyser, "H2S= 3.25 ppm CO2= 0.8 %", []float64{3.25, 0.8}, ""},
		{&analyser, "H2S= OVER ppm CO2= 0.8 %", []float64{nan, 0.8}, ""},
		{&analyser, "H2S= inf ppm CO2= 0x10 %", []float64{nan, nan}, ""},
		{&analyser, "WARMUP 12", nil, "does not match"},
		{&gauge, "01 -12,50 0,25x", []float64{-12.5, 0.25}, ""},
		{&gauge, "01 -12,50 0,2", nil, "13 columns, field water ends at 14"},
		{&balance, "-   12.5 kg", []float64{-12.5}, ""},
		{&wind, "WIMWV,214.8,R,0.1,K,A*28", []float64{214.8, 0.1}, ""},
		{&wind, "WIMWV,214.8,R,,K,A*07", []float64{214.8, nan}, ""},
		{&wind, "WIMWV,214.9,R,0.1,K,A*28", nil, "checksum"},
		{&wind, "WIMWV,214.8,R,0.1,K,AGH", nil, "checksum"},
		{&wind, "2", nil, "checksum"},
		{&sum, "V12B9", []float64{12}, ""},
		{&lrc, "V1247", []float64{12}, ""},
		{&lrc, "V1248", nil, "checksum"},
	} {
		got, err := c.in.Parse([]byte(c.line))
		switch {
		case c.err != "":
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%q: %v %v, want %s", c.line, got, err, c.err)
			}
		case err != nil || !same(got, c.want):
			t.Errorf("%q: %v %v, want %v", c.line, got, err, c.want)
		}
	}
}

func TestLinesAreCutWhateverComesBetween(t *testing.T) {
	for _, c := range []struct {
		framing Framing
		in      string
		want    []string
	}{
		{Framing{}, "a\r\n\r\nbb\nc", []string{"a", "bb"}},
		{Framing{End: []byte("\r")}, "a\rb\r", []string{"a", "b"}},
		{Framing{[]byte("\x02"), []byte("\x03")}, "??\x02a\x03noise\x03\x02x\x02b\x03", []string{"a", "b"}},
		{Framing{}, strings.Repeat("x", 3*maxLine) + "\nb\n", []string{"b"}},
		{Framing{Start: []byte("$")}, "$GP\r\n", []string{"GP"}},
	} {
		for _, piece := range []int{1, 3, 1 << 20} {
			f := newFramer(c.framing)
			f.feed(c.framing.end(), func([]byte) { t.Error("the rest of a line is none") })
			var got []string
			for b := []byte(c.in); len(b) > 0; {
				n := min(piece, len(b))
				f.feed(b[:n], func(line []byte) { got = append(got, string(line)) })
				b = b[n:]
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("%q in pieces of %d: %q, want %q", c.in[:min(20, len(c.in))], piece, got, c.want)
			}
		}
	}
}

func FuzzLine(f *testing.F) {
	f.Add([]byte("\x02V12B9\n\x02V1\n"), true)
	in := Instrument{Fields: append(named("v"), Field{"w", 2, 3}), Match: regexp.MustCompile(`V(?P<v>.*)`), Checksum: Sum8}
	f.Fuzz(func(t *testing.T, b []byte, start bool) {
		fr := newFramer(Framing{})
		if start {
			fr = newFramer(Framing{Start: []byte("\x02")})
		}
		fr.feed(b, func(line []byte) {
			if len(line) > maxLine {
				t.Fatalf("a line of %d bytes", len(line))
			}
			if v, err := in.Parse(line); err == nil && len(v) != 2 {
				t.Fatalf("%d values", len(v))
			}
		})
		if cap(fr.held) > 3*maxLine {
			t.Fatalf("holds %d bytes", cap(fr.held))
		}
	})
}

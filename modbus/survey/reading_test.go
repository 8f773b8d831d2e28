package survey_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"skyhaul/modbus"
	"skyhaul/modbus/survey"
)

// looks returns the readings with a mark as "offset type order value: reason".
func looks(mark survey.Mark, reads ...[]uint16) (out []string) {
	for _, r := range survey.Readings(reads...) {
		if r.Mark == mark {
			out = append(out, strings.Join([]string{string(rune('0' + r.Offset)), r.Encoding.String(), r.Value}, " ")+": "+r.Reason)
		}
	}
	return out
}

func TestLikelyReadingsOfWhatInstrumentsHold(t *testing.T) {
	for name, c := range map[string]struct {
		reads [][]uint16
		want  []string
	}{
		"round float":          {[][]uint16{{0x41BC, 0}}, []string{"0 float32 ABCD 23.5: a round number"}},
		"swapped words":        {[][]uint16{{0x2000, 0x47F1}}, []string{"0 float32 CDAB 123456: in a usual range"}},
		"swapped bytes":        {[][]uint16{{0xF147, 0x0020}}, []string{"0 float32 BADC 123456: in a usual range"}},
		"all swapped":          {[][]uint16{{0x0020, 0xF147}}, []string{"0 float32 DCBA 123456: in a usual range"}},
		"process value":        {[][]uint16{{0x41BB, 0xE5AC}, {0x41BB, 0xF0A1}}, []string{"0 float32 ABCD 23.492495: moves smoothly, from 23.487 to 23.492"}},
		"process value, CDAB":  {[][]uint16{{0xE5AC, 0x41BB}, {0xF0A1, 0x41BB}}, []string{"0 float32 CDAB 23.492495: moves smoothly, from 23.487 to 23.492"}},
		"totalizer":            {[][]uint16{{0x0001, 0x86A0}, {0x0001, 0x86A4}}, []string{"0 uint32 ABCD 100004: counts up, by 4"}},
		"meter's digits":       {[][]uint16{{0x1234, 0x5678}}, []string{"0 bcd32 ABCD 12345678: all 8 digits are valid"}},
		"serial number":        {[][]uint16{{0x4142, 0x432D, 0x3132, 0x3300}}, []string{"0 text ABC-123: printable", "0 text BA BA-C21: printable"}},
		"double":               {[][]uint16{{0x4037, 0x8000, 0, 0}}, []string{"0 float64 ABCDEFGH 23.5: a round number"}},
		"status word":          {[][]uint16{{0x0003}}, nil},
		"missing value, NaN":   {[][]uint16{{0x7FC0, 0}}, nil},
		"nothing":              {nil, nil},
		"two small integers":   {[][]uint16{{1234, 5678}}, nil},
		"integers that change": {[][]uint16{{1234, 900}, {1180, 12}}, nil},
	} {
		got := looks(survey.Likely, c.reads...)
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s:\n%s", name, diff)
		}
	}
}

func TestPossibleReadingsAreFew(t *testing.T) {
	// A float, a small integer and a 32-bit count in a row.
	got := looks(survey.Possible, []uint16{0x41BC, 0, 0x007B, 0x0001, 0x86A0})
	want := []string{
		"2 uint16 123: small",
		"2 uint32 ABCD 8060929: small",
		"2 uint32 CDAB 65659: small",
		"3 uint16 1: small",
		"3 uint32 ABCD 100000: small",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestUnlikelyReadingsSayWhy(t *testing.T) {
	for reason, regs := range map[string][]uint16{
		"not a number":                          {0x7FC0, 0},
		"infinite":                              {0x7F80, 0},
		"denormal: the exponent is empty":       {0, 7},
		"smaller than anything measured":        {0x0100, 0},
		"larger than anything measured":         {0x7000, 0},
		"often stands for no value":             {0xFFFF},
		"a digit is over 9":                     {0x00A0},
		"valid digits, but in an unusual order": {0x0012},
	} {
		if all := looks(survey.Unlikely, regs); !slices.ContainsFunc(all, func(s string) bool { return strings.HasSuffix(s, reason) }) {
			t.Errorf("nothing in %04X is %q:\n%s", regs, reason, strings.Join(all, "\n"))
		}
	}
}

// bank is a unit with a float at wire 101 in order CDAB.
func bank(table modbus.Table, addr uint16, regs ...uint16) survey.Ask {
	b := new(modbus.Bank)
	b.Set(table, addr, regs...)
	return asking(b)
}

// asking returns an Ask that a handler answers at once.
func asking(h modbus.Handler) survey.Ask {
	return func(_ context.Context, unit modbus.UnitID, req modbus.PDU) (modbus.Answer, error) {
		resp, ok := h.Handle(unit, req)
		switch {
		case !ok:
			return modbus.Answer{}, modbus.ErrTimeout
		case resp.Function()&0x80 != 0:
			return modbus.Answer{}, modbus.Exception(resp[1])
		}
		return modbus.Answer{PDU: resp}, nil
	}
}

func TestFindsTheDisplayedValueWhereverTheListIsOff(t *testing.T) {
	const meant = 100
	for name, c := range map[string]struct {
		ask      survey.Ask
		expect   string
		function modbus.FunctionCode
		addr     uint16
		encoding string
		power    int
	}{
		"right":              {bank(modbus.HoldingRegisters, 100, 0x41BC, 0), "23.5", modbus.FuncReadHoldingRegisters, 100, "float32 ABCD", 0},
		"one on":             {bank(modbus.HoldingRegisters, 101, 0, 0x41BC), "23.5", modbus.FuncReadHoldingRegisters, 101, "float32 CDAB", 0},
		"one back":           {bank(modbus.HoldingRegisters, 99, 0x41BC, 0, 1, 2), "23.5", modbus.FuncReadHoldingRegisters, 99, "float32 ABCD", 0},
		"two on":             {bank(modbus.HoldingRegisters, 102, 0xBC41, 0), "23.5", modbus.FuncReadHoldingRegisters, 102, "float32 BADC", 0},
		"the other table":    {bank(modbus.InputRegisters, 100, 0x0000, 0xBC41), "23.5", modbus.FuncReadInputRegisters, 100, "float32 DCBA", 0},
		"scaled integer":     {bank(modbus.HoldingRegisters, 100, 235), "23.5", modbus.FuncReadHoldingRegisters, 100, "uint16", -1},
		"negative":           {bank(modbus.HoldingRegisters, 100, 0xFF15), "-23.5", modbus.FuncReadHoldingRegisters, 100, "int16", -1},
		"rounded display":    {bank(modbus.HoldingRegisters, 100, 0x41BC, 0x28F6), "23.5", modbus.FuncReadHoldingRegisters, 100, "float32 ABCD", 0},
		"decimal digits":     {bank(modbus.HoldingRegisters, 100, 0x1234, 0x5678), "12345.678", modbus.FuncReadHoldingRegisters, 100, "bcd32 ABCD", -3},
		"double":             {bank(modbus.HoldingRegisters, 100, 0x4037, 0x8000, 0, 0), "23.5", modbus.FuncReadHoldingRegisters, 100, "float64 ABCDEFGH", 0},
		"thousands":          {bank(modbus.HoldingRegisters, 100, 0, 23), "23e3", modbus.FuncReadHoldingRegisters, 101, "uint16", 3},
		"end of the space":   {bank(modbus.HoldingRegisters, 65534, 0x41BC, 0), "23.5", modbus.FuncReadHoldingRegisters, 65534, "float32 ABCD", 0},
		"start of the space": {bank(modbus.HoldingRegisters, 0, 0x41BC, 0), "23.5", modbus.FuncReadHoldingRegisters, 0, "float32 ABCD", 0},
	} {
		addr := uint16(meant)
		if c.addr > 200 || c.addr == 0 {
			addr = c.addr
		}
		want, err := survey.ParseExpected(c.expect)
		if err != nil {
			t.Fatal(err)
		}
		blocks, err := survey.Around(t.Context(), c.ask, 1, addr)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		ms := survey.Find(want, modbus.FuncReadHoldingRegisters, addr, blocks)
		if len(ms) == 0 {
			t.Errorf("%s: nothing in %v", name, blocks)
			continue
		}
		type place struct {
			Function modbus.FunctionCode
			Addr     uint16
			Encoding string
			Power    int
		}
		got := place{ms[0].Function, ms[0].Addr, ms[0].Encoding.String(), ms[0].Power}
		if diff := cmp.Diff(place{c.function, c.addr, c.encoding, c.power}, got); diff != "" {
			t.Errorf("%s:\n%s", name, diff)
		}
	}
}

func TestNothingIsFoundWhereNothingIsLikeIt(t *testing.T) {
	want, err := survey.ParseExpected("23.5")
	if err != nil {
		t.Fatal(err)
	}
	blocks, err := survey.Around(t.Context(), bank(modbus.HoldingRegisters, 90, make([]uint16, 20)...), 1, 100)
	if err != nil {
		t.Fatal(err)
	}
	if ms := survey.Find(want, modbus.FuncReadHoldingRegisters, 100, blocks); len(ms) != 0 {
		t.Errorf("found %+v", ms)
	}
	if _, err := survey.Around(t.Context(), bank(modbus.Coils, 0, 1), 1, 100); err == nil {
		t.Error("a unit without registers was read")
	}
	for _, bad := range []string{"0", "0.00", "", "NaN", "inf", "x"} {
		if _, err := survey.ParseExpected(bad); err == nil {
			t.Errorf("expected %q was taken", bad)
		}
	}
}

func TestEncodingsWriteWhatTheyRead(t *testing.T) {
	for _, c := range []struct{ typ, order, value string }{
		{"uint16", "", "65535"},
		{"int16", "BA", "-2"},
		{"bcd16", "", "1234"},
		{"float32", "CDAB", "23.5"},
		{"uint32", "DCBA", "4000000000"},
		{"int32", "BADC", "-70000"},
		{"bcd32", "", "12345678"},
		{"float64", "GHEFCDAB", "0.1"},
		{"uint64", "HGFEDCBA", "18446744073709551615"},
		{"int64", "", "-1"},
		{"text", "", "FT-101"},
		{"text", "BA", "odd"},
	} {
		e, err := survey.ParseEncoding(c.typ, c.order)
		if err != nil {
			t.Fatal(err)
		}
		regs, err := e.Encode(c.value)
		if err != nil {
			t.Errorf("%v: %v", e, err)
			continue
		}
		if got, _, err := e.Value(regs); got != c.value || err != nil {
			t.Errorf("%v: %q became %q, %v", e, c.value, got, err)
		}
	}
	for _, c := range []struct{ typ, order, value string }{
		{"uint16", "", "65536"}, {"int16", "", "-32769"}, {"bcd16", "", "12345"}, {"float32", "", "much"},
	} {
		e, err := survey.ParseEncoding(c.typ, c.order)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := e.Encode(c.value); err == nil {
			t.Errorf("%v took %s", e, c.value)
		}
	}
	for _, c := range [][2]string{{"float31", ""}, {"float32", "AB"}, {"uint16", "ABCD"}, {"float32", "AACD"}} {
		if _, err := survey.ParseEncoding(c[0], c[1]); err == nil {
			t.Errorf("encoding %v was taken", c)
		}
	}
}

// FuzzReadings: whatever a unit holds, each reading is one that the same
// registers give again.
func FuzzReadings(f *testing.F) {
	f.Add([]byte{0x41, 0xBC, 0, 0}, []byte{0x41, 0xBC, 0, 1})
	f.Add([]byte("FT-101"), []byte("FT-101"))
	f.Fuzz(func(t *testing.T, a, b []byte) {
		n := min(len(a), len(b), 250) / 2
		reads := [][]uint16{make([]uint16, n), make([]uint16, n)}
		for i := range n {
			reads[0][i] = uint16(a[2*i])<<8 | uint16(a[2*i+1])
			reads[1][i] = uint16(b[2*i])<<8 | uint16(b[2*i+1])
		}
		for _, r := range survey.Readings(reads...) {
			value, _, err := r.Encoding.Value(reads[1][r.Offset : r.Offset+r.Registers])
			if r.Reason == "" || err == nil && value != r.Value && r.Value != "-" {
				t.Errorf("%+v: %q, %v", r, value, err)
			}
			if parsed, err := survey.ParseEncoding(r.Encoding.Type(), r.Encoding.Order()); err != nil || parsed != r.Encoding {
				t.Errorf("%v is read as %v, %v", r.Encoding, parsed, err)
			}
		}
	})
}

func FuzzFind(f *testing.F) {
	f.Add("23.5", uint16(0x41BC), uint16(0))
	f.Add("-1e300", uint16(1), uint16(2))
	f.Fuzz(func(t *testing.T, expect string, high, low uint16) {
		want, err := survey.ParseExpected(expect)
		if err != nil {
			return
		}
		blocks := []survey.Block{{Function: modbus.FuncReadHoldingRegisters, Addr: 0xFFFE, Registers: []uint16{high, low}}}
		for _, m := range survey.Find(want, modbus.FuncReadHoldingRegisters, 0, blocks) {
			if m.Addr < 0xFFFE || m.Value == "" {
				t.Errorf("%+v", m)
			}
		}
	})
}

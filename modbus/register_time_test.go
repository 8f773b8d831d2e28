package modbus_test

import (
	"math"
	"slices"
	"testing"
	"time"

	"skyhaul/modbus"
)

// The Enron values are those of a published example: 120304.0 and 80000.0.
func TestTimesOfInstruments(t *testing.T) {
	east := time.FixedZone("east", 3*3600)
	at := time.Date(2004, 12, 3, 8, 0, 0, 0, time.UTC)
	tests := []struct {
		name  string
		clock modbus.Clock
		regs  []uint16
		want  time.Time
	}{
		{"unix", modbus.Clock{}, []uint16{0x41B0, 0x1D00}, at},
		{"unix, last", modbus.Clock{}, []uint16{0xFFFF, 0xFFFF}, time.Date(2106, 2, 7, 6, 28, 15, 0, time.UTC)},
		{"unix, 64 bits", modbus.Clock{Format: modbus.TimeUnix64}, []uint16{0, 1, 0, 0}, time.Date(2106, 2, 7, 6, 28, 16, 0, time.UTC)},
		{"fields", modbus.Clock{Format: modbus.TimeFields}, []uint16{2004, 12, 3, 8, 0, 0}, at},
		{"fields, zone", modbus.Clock{Format: modbus.TimeFields, Location: east}, []uint16{2004, 12, 3, 11, 0, 0}, at},
		{"fields, ms", modbus.Clock{Format: modbus.TimeFieldsMS}, []uint16{2004, 12, 3, 8, 0, 0, 7}, at.Add(7 * time.Millisecond)},
		{"BCD", modbus.Clock{Format: modbus.TimeBCD}, []uint16{0x0412, 0x0308, 0x0000}, at},
		{"BCD, pivot", modbus.Clock{Format: modbus.TimeBCD, Pivot: 1970}, []uint16{0x7001, 0x0100, 0x5959}, time.Date(1970, 1, 1, 0, 59, 59, 0, time.UTC)},
		{"BCD, behind the pivot", modbus.Clock{Format: modbus.TimeBCD, Pivot: 1970}, []uint16{0x6902, 0x0100, 0}, time.Date(2069, 2, 1, 0, 0, 0, 0, time.UTC)},
		{"IEC", modbus.Clock{Format: modbus.TimeIEC}, []uint16{4, 0x0CA3, 0x0800, 1999}, at.Add(1999 * time.Millisecond)},
		{"Enron", modbus.Clock{Format: modbus.TimeEnron}, []uint16{0x47EA, 0xF800, 0x479C, 0x4000}, at},
	}
	for _, tt := range tests {
		got, err := tt.clock.Decode(tt.regs)
		if err != nil || !got.Equal(tt.want) {
			t.Errorf("%s: %04X is %v, %v, want %v", tt.name, tt.regs, got, err, tt.want)
		}
		regs := make([]uint16, tt.clock.Registers())
		if err := tt.clock.Encode(regs, tt.want.Add(time.Microsecond)); err != nil || !slices.Equal(regs, tt.regs) {
			t.Errorf("%s: %v is %04X, %v, want %04X", tt.name, tt.want, regs, err, tt.regs)
		}
	}
}

func TestSummerTimeOfAnInstrumentIsRead(t *testing.T) {
	c := modbus.Clock{Format: modbus.TimeIEC}
	if got, err := c.Decode([]uint16{4, 0x0CA3, 0x8800, 0}); err != nil || got.Hour() != 8 {
		t.Errorf("%v, %v", got, err)
	}
}

func TestNoTimesOfTheCalendarAreRefused(t *testing.T) {
	nan := math.Float32bits(float32(math.NaN()))
	tests := []struct {
		format modbus.TimeFormat
		regs   []uint16
	}{
		{modbus.TimeUnix32, []uint16{1}},
		{modbus.TimeUnix64, []uint16{0xFFFF, 0, 0, 0}},
		{modbus.TimeFields, []uint16{2023, 2, 29, 0, 0, 0}},
		{modbus.TimeFields, []uint16{2024, 13, 1, 0, 0, 0}},
		{modbus.TimeFields, []uint16{2024, 1, 1, 24, 0, 0}},
		{modbus.TimeFieldsMS, []uint16{2024, 1, 1, 0, 0, 0, 1000}},
		{modbus.TimeBCD, []uint16{0x240A, 0x0100, 0}},
		{modbus.TimeBCD, []uint16{0x2401, 0x0000, 0}},
		{modbus.TimeIEC, []uint16{24, 0x0101, 0x0080, 0}}, // marked
		{modbus.TimeIEC, []uint16{24, 0x0101, 0, 60000}},
		{modbus.TimeEnron, []uint16{0x47EA, 0xF840, 0x479C, 0x4000}}, // no whole number
		{modbus.TimeEnron, []uint16{uint16(nan >> 16), uint16(nan), 0, 0}},
		{modbus.TimeEnron, []uint16{0x47EA, 0xF800, 0xFF80, 0}},
		{7, nil},
	}
	for _, tt := range tests {
		if got, err := (modbus.Clock{Format: tt.format}).Decode(tt.regs); err == nil {
			t.Errorf("format %d: %04X is %v", tt.format, tt.regs, got)
		}
	}
}

func TestTimesThatDoNotFitChangeNothing(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Skip(err)
	}
	late := time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		clock modbus.Clock
		at    time.Time
	}{
		{modbus.Clock{}, late},
		{modbus.Clock{}, time.Date(1969, 12, 31, 0, 0, 0, 0, time.UTC)},
		{modbus.Clock{Format: modbus.TimeBCD}, late},
		{modbus.Clock{Format: modbus.TimeEnron}, late},
		{modbus.Clock{Format: modbus.TimeIEC}, late},
		{modbus.Clock{Format: modbus.TimeIEC}, time.Date(1999, 1, 1, 0, 0, 0, 0, time.UTC)},
		{modbus.Clock{Format: modbus.TimeFields, Location: berlin}, time.Date(2024, 10, 27, 0, 30, 0, 0, time.UTC)},
		{modbus.Clock{Format: 7}, late},
	} {
		regs := slices.Repeat([]uint16{9}, 7)[:tt.clock.Registers()]
		if err := tt.clock.Encode(regs, tt.at); err == nil || slices.ContainsFunc(regs, func(r uint16) bool { return r != 9 }) {
			t.Errorf("format %d: %v is %d, %v", tt.clock.Format, tt.at, regs, err)
		}
	}
}

// Every time that is read comes back to the same registers.
func FuzzClock(f *testing.F) {
	for format := range uint8(7) {
		f.Add(format, 2000, []byte{7, 0xE8, 0, 12, 0, 3, 0, 8, 0, 1, 0, 2, 0, 3})
		f.Add(format, 1970, []byte{0x47, 0xEA, 0xF8, 0, 0x47, 0x9C, 0x40, 0})
		f.Add(format, -1, []byte{0, 4, 0x0C, 0xA3, 8, 0, 7, 0xCF})
	}
	f.Fuzz(func(t *testing.T, format uint8, pivot int, b []byte) {
		c := modbus.Clock{Format: modbus.TimeFormat(format), Pivot: pivot % 10000}
		if len(b)%2 != 0 || len(b) > 250 {
			return
		}
		regs, err := modbus.Registers(append(modbus.PDU{3, byte(len(b))}, b...))
		if err != nil {
			t.Fatal(err)
		}
		at, err := c.Decode(regs)
		if err != nil {
			return
		}
		again := make([]uint16, len(regs))
		if err := c.Encode(again, at); err != nil {
			t.Fatalf("%+v %04X: %v: %v", c, regs, at, err)
		}
		if back, err := c.Decode(again); err != nil || !back.Equal(at) {
			t.Errorf("%+v %04X: %v becomes %04X, which is %v, %v", c, regs, at, again, back, err)
		}
	})
}

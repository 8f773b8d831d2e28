package modbus_test

import (
	"math"
	"slices"
	"testing"

	"skyhaul/modbus"
)

func order(t testing.TB, letters string) modbus.Order {
	t.Helper()
	o, err := modbus.ParseOrder(letters)
	if err != nil {
		t.Fatal(err)
	}
	if o.String() != letters {
		t.Errorf("order %s prints as %s", letters, o)
	}
	return o
}

// The values are those of the libmodbus documentation and tests (123456.0) and
// of the Rosemount 3095FB manual, 00809-0100-4738 (100.25, codes 0 to 3).
func TestWordOrders(t *testing.T) {
	const wide = 0x0123456789ABCDEF
	tests := []struct {
		order string
		regs  []uint16
		want  uint64
	}{
		{"ABCD", []uint16{0x47F1, 0x2000}, uint64(math.Float32bits(123456))},
		{"CDAB", []uint16{0x2000, 0x47F1}, uint64(math.Float32bits(123456))},
		{"BADC", []uint16{0xF147, 0x0020}, uint64(math.Float32bits(123456))},
		{"DCBA", []uint16{0x0020, 0xF147}, uint64(math.Float32bits(123456))},
		{"ABCD", []uint16{0x42C8, 0x8000}, uint64(math.Float32bits(100.25))},
		{"CDAB", []uint16{0x8000, 0x42C8}, uint64(math.Float32bits(100.25))},
		{"DCBA", []uint16{0x0080, 0xC842}, uint64(math.Float32bits(100.25))},
		{"BADC", []uint16{0xC842, 0x0080}, uint64(math.Float32bits(100.25))},
		{"ABCD", []uint16{0xAE41, 0x5652}, 2923517522}, // Rockwell 1758-UM002D
		{"AB", []uint16{0xFFFE}, 0xFFFE},
		{"BA", []uint16{0xFEFF}, 0xFFFE},
		{"ABCDEF", []uint16{0x0123, 0x4567, 0x89AB}, 0x0123456789AB},
		{"ABCDEFGH", []uint16{0x0123, 0x4567, 0x89AB, 0xCDEF}, wide},
		{"GHEFCDAB", []uint16{0xCDEF, 0x89AB, 0x4567, 0x0123}, wide},
		{"BADCFEHG", []uint16{0x2301, 0x6745, 0xAB89, 0xEFCD}, wide},
		{"HGFEDCBA", []uint16{0xEFCD, 0xAB89, 0x6745, 0x2301}, wide},
		{"ABCDEFGH", []uint16{0x40FE, 0x2400, 0, 0}, math.Float64bits(123456)},
	}
	for _, tt := range tests {
		f := modbus.Format{Order: order(t, tt.order)}
		if got, err := f.Decode(tt.regs); err != nil || got != tt.want {
			t.Errorf("%s %04X: %#x, %v, want %#x", tt.order, tt.regs, got, err, tt.want)
		}
		regs := make([]uint16, f.Registers())
		if err := f.Encode(regs, tt.want); err != nil || !slices.Equal(regs, tt.regs) {
			t.Errorf("%s %#x: %04X, %v, want %04X", tt.order, tt.want, regs, err, tt.regs)
		}
	}
}

func TestBadOrdersAreRefused(t *testing.T) {
	for _, s := range []string{"", "A", "ABC", "AA", "abcd", "ABCE", "ABDE", "ABCA", "ABCDEFGHIJ", "A\x00", "ÄA"} {
		if o, err := modbus.ParseOrder(s); err == nil {
			t.Errorf("%q is the order %v", s, o)
		}
	}
	if o := order(t, "AB"); o != (modbus.Order{}) {
		t.Error("AB is not the zero value")
	}
}

func TestPartsOfARegister(t *testing.T) {
	tests := []struct {
		name   string
		format modbus.Format
		reg    uint16
		want   uint64
	}{
		{"bit 0", modbus.Format{Mask: 1}, 0x0001, 1},
		{"bit 15", modbus.Format{Mask: 1 << 15, Shift: 15}, 0x8000, 1},
		{"bit 15 clear", modbus.Format{Mask: 1 << 15, Shift: 15}, 0x7FFF, 0},
		{"high byte", modbus.Format{Mask: 0xFF00, Shift: 8}, 0xABCD, 0xAB},
		{"low byte", modbus.Format{Mask: 0x00FF}, 0xABCD, 0xCD},
		{"mask in place", modbus.Format{Mask: 0x0FF0}, 0xABCD, 0x0BC0},
		{"bits after a byte swap", modbus.Format{Order: order(t, "BA"), Mask: 0xF}, 0x0300, 3},
		{"BCD", modbus.Format{BCD: true}, 0x9876, 9876},
		{"BCD low half", modbus.Format{BCD: true, Mask: 0xFF}, 0xFF42, 42},
	}
	for _, tt := range tests {
		if got, err := tt.format.Decode([]uint16{tt.reg}); err != nil || got != tt.want {
			t.Errorf("%s: %#x, %v, want %#x", tt.name, got, err, tt.want)
		}
		// What lies beside the part stays.
		reg := []uint16{tt.reg}
		if err := tt.format.Encode(reg, tt.want); err != nil || reg[0] != tt.reg {
			t.Errorf("%s: encodes to %#x, %v, want %#x", tt.name, reg[0], err, tt.reg)
		}
	}
}

func TestBCDOfSeveralRegisters(t *testing.T) {
	f := modbus.Format{Order: order(t, "CDAB"), BCD: true}
	if got, err := f.Decode([]uint16{0x5678, 0x1234}); err != nil || got != 12345678 {
		t.Errorf("got %d, %v", got, err)
	}
	f.Order = order(t, "ABCDEFGH")
	if got, err := f.Decode([]uint16{0x9999, 0x9999, 0x9999, 0x9999}); err != nil || got != 9999999999999999 {
		t.Errorf("got %d, %v", got, err)
	}
}

func TestNumbersOfOtherCodings(t *testing.T) {
	cdab, abcdef := order(t, "CDAB"), order(t, "ABCDEF")
	tests := []struct {
		name   string
		format modbus.Format
		regs   []uint16
		want   uint64
	}{
		{"mod10k, low register first", modbus.Format{Order: cdab, Mod10k: true}, []uint16{5678, 1234}, 12345678},
		{"mod10k, high register first", modbus.Format{Order: abcdef, Mod10k: true}, []uint16{9999, 0, 1}, 999900000001},
		{"sign and magnitude, positive", modbus.Format{SignMagnitude: true}, []uint16{0x7FFF}, 0x7FFF},
		{"sign and magnitude, even", modbus.Format{SignMagnitude: true}, []uint16{2}, 2},
		{"sign and magnitude, negative", modbus.Format{SignMagnitude: true}, []uint16{0x8001}, 0xFFFF},
		{"sign and magnitude, least", modbus.Format{SignMagnitude: true}, []uint16{0xFFFF}, 0x8001},
		{"sign and magnitude, 32 bits", modbus.Format{Order: cdab, SignMagnitude: true}, []uint16{5, 0x8000}, 0xFFFFFFFB},
		{"sign and magnitude, part", modbus.Format{SignMagnitude: true, Mask: 0x0FF0, Shift: 4}, []uint16{0xA81A}, 0xFFFF},
		{"sign and magnitude, 64 bits", modbus.Format{Order: order(t, "ABCDEFGH"), SignMagnitude: true}, []uint16{0x8000, 0, 0, 2}, ^uint64(1)},
	}
	for _, tt := range tests {
		if got, err := tt.format.Decode(tt.regs); err != nil || got != tt.want {
			t.Errorf("%s: %#x, %v, want %#x", tt.name, got, err, tt.want)
		}
		regs := slices.Clone(tt.regs)
		if err := tt.format.Encode(regs, tt.want); err != nil || !slices.Equal(regs, tt.regs) {
			t.Errorf("%s: encodes to %04X, %v, want %04X", tt.name, regs, err, tt.regs)
		}
	}
	if got, err := (modbus.Format{SignMagnitude: true}).Decode([]uint16{0x8000}); err != nil || got != 0 {
		t.Errorf("minus nothing is %#x, %v", got, err)
	}
	if got, err := (modbus.Format{Mod10k: true}).Decode([]uint16{10000}); err == nil {
		t.Errorf("10000 is %d", got)
	}
}

func TestDigitOver9IsRefused(t *testing.T) {
	for _, reg := range []uint16{0x000A, 0x00F0, 0x0B00, 0xC000, 0xFFFF} {
		if got, err := (modbus.Format{BCD: true}).Decode([]uint16{reg}); err == nil {
			t.Errorf("%04X is %d", reg, got)
		}
	}
}

func TestWhatDoesNotFitIsRefusedAndChangesNothing(t *testing.T) {
	tests := []struct {
		format modbus.Format
		raw    uint64
	}{
		{modbus.Format{}, 0x10000},
		{modbus.Format{Mod10k: true}, 10000},
		{modbus.Format{Order: order(t, "ABCDEFGH"), BCD: true}, 1e16},
		{modbus.Format{Order: order(t, "ABCDEFGH"), Mod10k: true}, 1e16},
		{modbus.Format{SignMagnitude: true}, 0x8000},
		{modbus.Format{SignMagnitude: true}, 0x18001},
		{modbus.Format{SignMagnitude: true, Mask: 0xFF}, 0x80},
		{modbus.Format{Mask: 1}, 2},
		{modbus.Format{Mask: 0x8000, Shift: 15}, 2},
		{modbus.Format{Mask: 0x0FF0}, 1},
		{modbus.Format{Shift: 8}, 0x100},
		{modbus.Format{Shift: 63}, 2},
		{modbus.Format{BCD: true}, 10000},
		{modbus.Format{BCD: true}, math.MaxUint64},
	}
	for _, tt := range tests {
		regs := []uint16{0x1234}
		if err := tt.format.Encode(regs, tt.raw); err == nil || regs[0] != 0x1234 {
			t.Errorf("%+v: %#x becomes %#x, %v", tt.format, tt.raw, regs[0], err)
		}
	}
	if err := (modbus.Format{}).Encode(nil, 0); err == nil {
		t.Error("a value fits in no register")
	}
	if _, err := (modbus.Format{}).Decode([]uint16{1, 2}); err == nil {
		t.Error("one register is two")
	}
}

func TestTextsInRegisters(t *testing.T) {
	tests := []struct {
		regs    []uint16
		swapped bool
		want    string
	}{
		{[]uint16{0x4142, 0x4300}, false, "ABC"},
		{[]uint16{0x4241, 0x0043}, true, "ABC"},
		{[]uint16{0x4142, 0x2020}, false, "AB"},
		{[]uint16{0x4100, 0x4242}, false, "A"},
		{[]uint16{0x2041, 0x2000}, false, " A"},
		{[]uint16{0x0000}, false, ""},
		{nil, false, ""},
	}
	for _, tt := range tests {
		if got := modbus.DecodeString(tt.regs, tt.swapped); got != tt.want {
			t.Errorf("%04X: %q, want %q", tt.regs, got, tt.want)
		}
		regs := make([]uint16, len(tt.regs))
		if err := modbus.EncodeString(regs, tt.want, tt.swapped); err != nil {
			t.Error(err)
		}
		if got := modbus.DecodeString(regs, tt.swapped); got != tt.want {
			t.Errorf("%q comes back as %q", tt.want, got)
		}
	}
	if err := modbus.EncodeString(make([]uint16, 1), "ABC", false); err == nil {
		t.Error("3 bytes fit in a register")
	}
}

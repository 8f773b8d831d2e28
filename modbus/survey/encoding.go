package survey

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"skyhaul/edge/point"
	"skyhaul/modbus"
)

// Encoding is a way to read registers as a value. The zero value is none.
type Encoding struct {
	kind  kind
	order modbus.Order
}

// kind is what a configuration writes as a type.
type kind struct {
	name      string
	typ       point.Type
	registers int
	bcd       bool
}

// signed reports whether k is an integer with a sign.
func (k kind) signed() bool { return strings.HasPrefix(k.name, "int") }

// text is read from as many registers as there are.
const text = "text"

// kinds stand as a table lists them.
var kinds = []kind{
	{"uint16", point.Uint16, 1, false},
	{"int16", point.Int16, 1, false},
	{"bcd16", point.Uint16, 1, true},
	{"float32", point.Float32, 2, false},
	{"uint32", point.Uint32, 2, false},
	{"int32", point.Int32, 2, false},
	{"bcd32", point.Uint32, 2, true},
	{"float64", point.Float64, 4, false},
	{"uint64", point.Uint64, 4, false},
	{"int64", point.Int64, 4, false},
	{text, 0, 0, false},
}

// orders are those that instruments use, by registers; the first is the usual one.
var orders = map[int][]string{
	0: {"AB", "BA"},
	1: {"AB", "BA"},
	2: {"ABCD", "CDAB", "BADC", "DCBA"},
	4: {"ABCDEFGH", "GHEFCDAB", "BADCFEHG", "HGFEDCBA"},
}

// ParseEncoding reads a type, such as "float32", and an order, such as "CDAB";
// an empty order is the usual one, most significant byte first.
func ParseEncoding(typ, order string) (Encoding, error) {
	i := slices.IndexFunc(kinds, func(k kind) bool { return k.name == strings.ToLower(typ) })
	if i < 0 {
		return Encoding{}, fmt.Errorf("type %q is not one of %s", typ, kindNames())
	}
	k := kinds[i]
	if order == "" {
		order = orders[k.registers][0]
	}
	o, err := modbus.ParseOrder(strings.ToUpper(order))
	switch {
	case err != nil:
		return Encoding{}, err
	case o.Registers() != max(1, k.registers):
		return Encoding{}, fmt.Errorf("order %s is for %d bytes, but %s has %d: such as %s", o, 2*o.Registers(), k.name, 2*max(1, k.registers), orders[k.registers][0])
	}
	return Encoding{k, o}, nil
}

func kindNames() string {
	names := make([]string, len(kinds))
	for i, k := range kinds {
		names[i] = k.name
	}
	return strings.Join(names, ", ")
}

// Type returns the name that [ParseEncoding] takes.
func (e Encoding) Type() string { return e.kind.name }

// Order returns the order of bytes that [ParseEncoding] takes.
func (e Encoding) Order() string { return e.order.String() }

// String returns type and order, such as "float32 CDAB", or the type alone
// where the order is the usual one of one register.
func (e Encoding) String() string {
	if e.order == (modbus.Order{}) {
		return e.kind.name
	}
	return e.kind.name + " " + e.order.String()
}

// Registers returns how many registers a value takes; 0 for text, which takes any.
func (e Encoding) Registers() int { return e.kind.registers }

func (e Encoding) format() modbus.Format { return modbus.Format{Order: e.order, BCD: e.kind.bcd} }

// swapped reports whether the bytes within a register are.
func (e Encoding) swapped() bool { return e.order.String() == "BA" }

// Value returns what registers hold as text and as a number, NaN where it is
// none. It fails where digits are no digits.
func (e Encoding) Value(regs []uint16) (text string, number float64, err error) {
	if e.kind.registers == 0 {
		return modbus.DecodeString(regs, e.swapped()), math.NaN(), nil
	}
	raw, err := e.format().Decode(regs)
	if err != nil {
		return "", math.NaN(), err
	}
	return e.kind.typ.Format(raw), e.kind.typ.Float(raw), nil
}

// Encode returns the registers that hold a value given as text; text fills as
// many registers as it needs.
func (e Encoding) Encode(value string) ([]uint16, error) {
	if e.kind.registers == 0 {
		regs := make([]uint16, (len(value)+1)/2)
		return regs, modbus.EncodeString(regs, value, e.swapped())
	}
	raw, err := e.kind.typ.Parse(value)
	if err != nil {
		return nil, fmt.Errorf("%q is no %s", value, e.kind.name)
	}
	if bits := e.kind.typ.Size() * 8; bits < 64 {
		raw &= 1<<bits - 1
	}
	regs := make([]uint16, e.kind.registers)
	if err := e.format().Encode(regs, raw); err != nil {
		return nil, err
	}
	return regs, nil
}

// encodings returns every way to read so many registers.
func encodings(registers int) (es []Encoding) {
	for _, k := range kinds {
		if k.registers != registers {
			continue
		}
		for _, name := range orders[registers] {
			o, err := modbus.ParseOrder(name)
			if err != nil {
				panic(err) // a mistake in the table above
			}
			es = append(es, Encoding{k, o})
		}
	}
	return es
}

// significant returns how many decimal digits it takes to write a float.
func significant(f float64, bits int) int {
	s := strconv.FormatFloat(math.Abs(f), 'e', -1, bits)
	mantissa, _, _ := strings.Cut(s, "e")
	return len(strings.Replace(mantissa, ".", "", 1))
}

// bytesOf returns registers as bytes, the high byte first.
func bytesOf(regs []uint16) (b []byte) {
	for _, r := range regs {
		b = binary.BigEndian.AppendUint16(b, r)
	}
	return b
}

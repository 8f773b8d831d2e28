package point

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// Layout says how the bytes of an instrument's record read: its fields, one
// after the other from the first byte on. It changes nothing in them.
type Layout []Field

// MaxFields is the greatest number of fields in a layout.
const MaxFields = 128

// Field is one number in a record.
type Field struct {
	Name  string // "-" for bytes that are of no interest
	Type  Type   // any but Bool
	Order string // the bytes as they come, A being the most significant, such as "CDAB"; "" high byte first
	// Unit is the engineering unit or what the number means: one of the
	// meanings below. "" for none.
	Unit string
	Bits []Bit // where Unit is Bits: the names of bits, by rising number
}

// Bit is a named bit of a field.
type Bit struct {
	Number int // 0 the least significant
	Name   string
}

// The meanings that a field may have in place of a unit. A year of two digits
// is one from 1969 to 2068.
const (
	MMDDYY   = "mmddyy" // a date as one number: 120304 is 3 December 2004
	DDMMYY   = "ddmmyy"
	YYMMDD   = "yymmdd"
	HHMMSS   = "hhmmss" // a time of day as one number: 80000 is 08:00:00
	UnixTime = "unix"   // seconds since 1970, UTC
	Bitmap   = "bits"   // a set of bits
)

// maxFieldName is the greatest length of the name of a field or bit, in bytes.
const maxFieldName = 32

// ParseLayout reads the fields of a layout, see [ParseField]. Names must differ.
func ParseLayout(fields []string) (Layout, error) {
	if len(fields) > MaxFields {
		return nil, fmt.Errorf("%d fields, at most %d go", len(fields), MaxFields)
	}
	var l Layout
	for i, text := range fields {
		f, err := ParseField(text)
		if err == nil && f.Name != "-" && slices.ContainsFunc(l, func(o Field) bool { return o.Name == f.Name }) {
			err = fmt.Errorf("there is another %q before it", f.Name)
		}
		if err != nil {
			return nil, fmt.Errorf("field %d %q: %w", i+1, text, err)
		}
		l = append(l, f)
	}
	return l, nil
}

// Size returns how many bytes a record of the layout has.
func (l Layout) Size() (bytes int) {
	for i := range l {
		bytes += l[i].Type.Size()
	}
	return bytes
}

// Values returns the raw bits of the fields of a record, of those that are whole
// in it.
func (l Layout) Values(record []byte) (raw []uint64) {
	for i := range l {
		n := l[i].Type.Size()
		if len(record) < n {
			break
		}
		raw = append(raw, l[i].raw(record[:n]))
		record = record[n:]
	}
	return raw
}

// ParseField reads a field as it stands in a configuration:
//
//	NAME TYPE[:ORDER] [UNIT | MEANING]
//	NAME TYPE[:ORDER] bits NUMBER=NAME...
//
// such as "PT float32 kPa", "date float32 mmddyy", "volume uint32:CDAB m3" and
// "what uint16 bits 9=operator 15=alarm".
func ParseField(text string) (f Field, err error) {
	words := strings.Fields(text)
	if len(words) < 2 {
		return f, fmt.Errorf(`want a name, a type and perhaps a unit, such as "PT float32 kPa"`)
	}
	f.Name = words[0]
	if !validName(f.Name) {
		return f, fmt.Errorf("the name is longer than %d bytes or not to be printed", maxFieldName)
	}
	if f.Type, f.Order, err = parseFieldType(words[1]); err != nil {
		return f, err
	}
	if len(words) == 2 {
		return f, nil
	}
	f.Unit, words = words[2], words[3:]
	switch {
	case !validName(f.Unit):
		return f, fmt.Errorf("the unit is longer than %d bytes or not to be printed", maxFieldName)
	case f.Unit == Bitmap:
		f.Bits, err = parseBits(words, f.Type)
	case len(words) > 0:
		err = fmt.Errorf("%q is one word too many: a unit has no spaces", words[0])
	}
	if err == nil && len(f.String()) > 255 {
		err = fmt.Errorf("longer than 255 bytes")
	}
	return f, err
}

func parseFieldType(s string) (t Type, order string, err error) {
	name, order, given := strings.Cut(s, ":")
	t, ok := ParseType(name)
	if !ok || t == Bool {
		return 0, "", fmt.Errorf("type %q: want one of %s", name, strings.Join(typeNames[Int16:], ", "))
	}
	straight := "ABCDEFGH"[:t.Size()]
	letters := []byte(order)
	slices.Sort(letters)
	if given && string(letters) != straight {
		return 0, "", fmt.Errorf("byte order %q: want each of the letters %s once", order, straight)
	}
	if order == straight {
		order = ""
	}
	return t, order, nil
}

func parseBits(words []string, t Type) (bits []Bit, err error) {
	for _, w := range words {
		number, name, ok := strings.Cut(w, "=")
		n, err := strconv.ParseUint(number, 10, 8)
		if !ok || err != nil || int(n) >= 8*t.Size() || !validName(name) {
			return nil, fmt.Errorf("bit %q: want a number below %d and a name, such as 15=alarm", w, 8*t.Size())
		}
		bits = append(bits, Bit{int(n), name})
	}
	slices.SortStableFunc(bits, func(a, b Bit) int { return a.Number - b.Number })
	for i := 1; i < len(bits); i++ {
		if bits[i].Number == bits[i-1].Number {
			return nil, fmt.Errorf("bit %d has two names", bits[i].Number)
		}
	}
	return bits, nil
}

func validName(s string) bool {
	return s != "" && len(s) <= maxFieldName && !strings.ContainsFunc(s, func(r rune) bool {
		return r == unicode.ReplacementChar || !unicode.IsPrint(r)
	})
}

// String returns the text that ParseField reads.
func (f *Field) String() string {
	s := f.Name + " " + f.Type.String()
	if f.Order != "" {
		s += ":" + f.Order
	}
	if f.Unit != "" {
		s += " " + f.Unit
	}
	for _, b := range f.Bits {
		s += fmt.Sprintf(" %d=%s", b.Number, b.Name)
	}
	return s
}

// Set returns the names of the bits that are set in the raw bits of the field,
// with a space between; a bit without a name is its number. It is empty for any
// field that isn't a bitmap.
func (f *Field) Set(raw uint64) string {
	if f.Unit != Bitmap {
		return ""
	}
	var names []string
	for n := range 8 * f.Type.Size() {
		if raw>>n&1 == 0 {
			continue
		}
		name := strconv.Itoa(n)
		if i := slices.IndexFunc(f.Bits, func(b Bit) bool { return b.Number == n }); i >= 0 {
			name = f.Bits[i].Name
		}
		names = append(names, name)
	}
	return strings.Join(names, " ")
}

// raw puts the bytes of the field in order; b is as long as the type.
func (f *Field) raw(b []byte) (raw uint64) {
	for i := range b {
		rank := i
		if f.Order != "" {
			rank = int(f.Order[i] - 'A')
		}
		raw |= uint64(b[i]) << (8 * (len(b) - 1 - rank))
	}
	return raw
}

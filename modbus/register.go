package modbus

import (
	"fmt"
	"math/bits"
	"strings"
)

// Order is the order in which the bytes of a value lie in its registers. The
// zero value is AB: one register, high byte first.
type Order struct {
	n    uint8    // bytes; 0 means 2
	byte [8]uint8 // byte[i] is the rank of the i-th byte on the wire, 0 the most significant
}

// ParseOrder reads an order from letters: A is the most significant byte of the
// value, and the letters stand as the bytes come on the wire. "ABCD" is a 32-bit
// value with its high word first, "CDAB" the same with its words swapped. It
// takes 2, 4, 6 or 8 letters.
func ParseOrder(s string) (Order, error) {
	if len(s) < 2 || len(s) > 8 || len(s)%2 != 0 {
		return Order{}, fmt.Errorf("byte order %q: want 2, 4, 6 or 8 letters such as ABCD", s)
	}
	o := Order{n: uint8(len(s))}
	for i := range len(s) {
		rank := int(s[i]) - 'A'
		if rank < 0 || rank >= len(s) || strings.IndexByte(s, s[i]) != i {
			return Order{}, fmt.Errorf("byte order %q: want each of the letters A to %c once", s, 'A'+len(s)-1)
		}
		o.byte[i] = uint8(rank)
	}
	if s == "AB" {
		return Order{}, nil
	}
	return o, nil
}

// String returns the letters that ParseOrder reads.
func (o Order) String() string {
	if o.n == 0 {
		return "AB"
	}
	letters := make([]byte, o.n)
	for i := range letters {
		letters[i] = 'A' + o.byte[i]
	}
	return string(letters)
}

// Registers returns how many registers a value takes: 1 to 4.
func (o Order) Registers() int { return max(1, int(o.n)/2) }

// at returns the rank of the i-th byte on the wire.
func (o Order) at(i int) int {
	if o.n == 0 {
		return i
	}
	return int(o.byte[i])
}

// Format says how the raw bits of a number lie in registers: signed, unsigned
// and floating-point alike, since raw bits are read by their type later. The
// zero value is one plain register.
type Format struct {
	Order Order
	Mask  uint64 // bits of the ordered value that belong to it, before Shift; 0 means all
	Shift uint8  // places the masked bits are moved down, below 64

	// At most one of these; plain binary else.
	BCD           bool // four decimal digits a register, four bits each
	Mod10k        bool // four decimal digits a register, as a number up to 9999
	SignMagnitude bool // the highest bit is the sign; decoded to two's complement of all bits of the registers
}

// Registers returns how many registers the value takes: 1 to 4.
func (f Format) Registers() int { return f.Order.Registers() }

// Decode returns the raw bits of a value in the low bits of a uint64, an Int16
// in the low 16 without its sign repeated. It fails if there are not exactly
// Registers of them or if a decimal digit is over 9.
func (f Format) Decode(regs []uint16) (raw uint64, err error) {
	if len(regs) != f.Registers() {
		return 0, fmt.Errorf("decode %v: %d registers, want %d", f.Order, len(regs), f.Registers())
	}
	raw = f.Order.gather(regs) & f.bits() >> f.Shift
	switch {
	case f.BCD:
		return fromDigits(raw, 4, 10)
	case f.Mod10k:
		return fromDigits(raw, 16, 10000)
	case f.SignMagnitude:
		if magnitude := raw &^ f.sign(); magnitude != raw {
			return -magnitude & f.all(), nil
		}
	}
	return raw, nil
}

// all returns the bits of all registers.
func (f Format) all() uint64 { return ^uint64(0) >> (64 - 16*f.Registers()) }

// bits returns those of the ordered value that belong to this one.
func (f Format) bits() uint64 {
	if f.Mask != 0 {
		return f.Mask & f.all()
	}
	return f.all()
}

// sign returns the bit that is the sign, after Shift.
func (f Format) sign() uint64 {
	return 1 << max(0, bits.Len64(f.bits()>>f.Shift)-1)
}

// Encode puts the raw bits of a value into its registers and leaves bits
// outside Mask as they are. It is the inverse of Decode and fails, touching
// nothing, if the value does not fit.
func (f Format) Encode(regs []uint16, raw uint64) error {
	if len(regs) != f.Registers() {
		return fmt.Errorf("encode %v: %d registers, want %d", f.Order, len(regs), f.Registers())
	}
	coded, err := f.code(raw)
	if err != nil {
		return err
	}
	placed := coded << f.Shift
	if placed&^f.bits() != 0 || placed>>f.Shift != coded {
		return fmt.Errorf("encode %v: %#x does not fit", f.Order, raw)
	}
	f.Order.scatter(regs, f.Order.gather(regs)&^f.bits()|placed)
	return nil
}

// code returns the bits that stand for a value.
func (f Format) code(raw uint64) (uint64, error) {
	switch {
	case f.BCD:
		return toDigits(raw, 4, 10)
	case f.Mod10k:
		return toDigits(raw, 16, 10000)
	case !f.SignMagnitude:
		return raw, nil
	}
	magnitude, sign := raw, uint64(0)
	if raw > f.all()>>1 {
		magnitude, sign = -raw&f.all(), f.sign()
	}
	if raw > f.all() || magnitude >= f.sign() {
		return 0, fmt.Errorf("encode %v: %#x does not fit", f.Order, raw)
	}
	return magnitude | sign, nil
}

// gather puts the bytes of a value in order.
func (o Order) gather(regs []uint16) (v uint64) {
	last := 2*len(regs) - 1
	for i := range 2 * len(regs) {
		b := regs[i/2] >> (8 * (1 - i%2)) & 0xFF
		v |= uint64(b) << (8 * (last - o.at(i)))
	}
	return v
}

// scatter is the inverse of gather.
func (o Order) scatter(regs []uint16, v uint64) {
	last := 2*len(regs) - 1
	clear(regs)
	for i := range 2 * len(regs) {
		b := uint16(v >> (8 * (last - o.at(i))) & 0xFF)
		regs[i/2] |= b << (8 * (1 - i%2))
	}
}

// fromDigits reads a number whose digits to a base have so many bits each.
func fromDigits(v uint64, bits int, base uint64) (n uint64, err error) {
	for shift := 64 - bits; shift >= 0; shift -= bits {
		digit := v >> shift & (1<<bits - 1)
		if digit >= base {
			return 0, fmt.Errorf("%X has a digit over %d", v, base-1)
		}
		n = base*n + digit
	}
	return n, nil
}

// toDigits is the inverse of fromDigits.
func toDigits(n uint64, bits int, base uint64) (v uint64, err error) {
	rest := n
	for shift := 0; rest > 0 && shift < 64; shift += bits {
		v |= rest % base << shift
		rest /= base
	}
	if rest > 0 {
		return 0, fmt.Errorf("%d has more than 16 digits", n)
	}
	return v, nil
}

// DecodeString returns the text in registers, two characters each, the first in
// the high byte or, if swapped, in the low byte. It ends before the first NUL;
// spaces that pad the end are cut.
func DecodeString(regs []uint16, swapped bool) string {
	b := make([]byte, 0, 2*len(regs))
	for _, r := range regs {
		if swapped {
			r = r<<8 | r>>8
		}
		b = append(b, byte(r>>8), byte(r))
	}
	text, _, _ := strings.Cut(string(b), "\x00")
	return strings.TrimRight(text, " ")
}

// EncodeString fills registers with text and pads it with NUL. It fails,
// touching nothing, if the text is longer.
func EncodeString(regs []uint16, text string, swapped bool) error {
	if len(text) > 2*len(regs) {
		return fmt.Errorf("text of %d bytes does not fit in %d registers", len(text), len(regs))
	}
	clear(regs)
	for i := range len(text) {
		high := (i%2 == 0) != swapped
		if high {
			regs[i/2] |= uint16(text[i]) << 8
		} else {
			regs[i/2] |= uint16(text[i])
		}
	}
	return nil
}

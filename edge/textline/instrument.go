// Package textline reads instruments that know no Modbus and send lines of
// text, on request or on their own: gas analysers, level gauges, balances,
// weather stations.
//
// [Dial] makes such a line look like an endpoint of Modbus/TCP: every
// instrument is a unit, every number in its lines four holding registers. So the
// one scheduler, its time-outs, its rules for the dead, and everything behind it
// hold for them as for any unit.
package textline

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Instrument says how one instrument speaks.
type Instrument struct {
	Request []byte // what it is asked with; nil: it sends on its own
	// MaxAge is how old the last line of one that sends on its own may be when it
	// is read; 0 is 2 s.
	MaxAge time.Duration

	Fields []Field // the numbers in a line
	// Match finds the fields that have no columns, by the names of its groups; nil
	// where all have. A line that doesn't match is not the instrument's.
	Match    *regexp.Regexp
	Comma    bool // the decimal mark is a comma
	Checksum Checksum
}

// Field is a number in a line.
type Field struct {
	Name string // of a group of Match
	// From and To are the first and last column of a fixed field, counted from 1;
	// 0 for a group of Match.
	From, To int
}

// Checksum is the kind of checksum that ends a line, as hexadecimal digits
// behind what it covers; a * between the two is not covered.
type Checksum uint8

// The checksums.
const (
	NoChecksum Checksum = iota
	XOR8                // two digits: all bytes exclusive-or, as in NMEA 0183
	Sum8                // two digits: the sum of all bytes
	LRC8                // two digits: the sum negated
)

// Registers is how many holding registers a field takes: a float64, most
// significant byte first.
const Registers = 4

// Address returns the first register of a field.
func Address(field int) uint16 { return uint16(Registers * field) }

// MaxFields keeps the fields within one read.
const MaxFields = 125 / Registers

// Errors of Parse.
var (
	errChecksum = errors.New("wrong checksum")
	errMatch    = errors.New("does not match")
)

// Parse returns the numbers of a line that came without what frames it. A field
// that holds no number, as overload marks do, is NaN.
func (in *Instrument) Parse(line []byte) ([]float64, error) {
	text, err := in.Checksum.strip(line)
	if err != nil {
		return nil, err
	}
	groups, err := in.match(text)
	if err != nil {
		return nil, err
	}
	values := make([]float64, len(in.Fields))
	for i, f := range in.Fields {
		word := groups[f.Name]
		if f.From > 0 {
			if len(text) < f.To {
				return nil, fmt.Errorf("%w: %d columns, field %s ends at %d", errMatch, len(text), f.Name, f.To)
			}
			word = text[f.From-1 : f.To]
		}
		values[i] = in.number(string(word))
	}
	return values, nil
}

func (in *Instrument) match(text []byte) (map[string][]byte, error) {
	if in.Match == nil {
		return nil, nil
	}
	found := in.Match.FindSubmatch(text)
	if found == nil {
		return nil, errMatch
	}
	groups := map[string][]byte{}
	for i, name := range in.Match.SubexpNames() {
		groups[name] = found[i]
	}
	return groups, nil
}

// number reads a number as instruments print them: with blanks around, and
// between sign and digits.
func (in *Instrument) number(word string) float64 {
	word = strings.TrimSpace(word)
	if in.Comma {
		word = strings.Replace(word, ",", ".", 1)
	}
	if len(word) > 1 && strings.ContainsRune("+-", rune(word[0])) {
		word = word[:1] + strings.TrimSpace(word[1:])
	}
	if strings.ContainsAny(word, "xXpP_iI") {
		return math.NaN() // Go's notations, and words for infinity, are no instrument's
	}
	v, err := strconv.ParseFloat(word, 64)
	if err != nil {
		return math.NaN()
	}
	return v
}

// strip checks the checksum that ends a line and returns what it covers.
func (c Checksum) strip(line []byte) ([]byte, error) {
	if c == NoChecksum {
		return line, nil
	}
	const digits = 2
	if len(line) < digits {
		return nil, errChecksum
	}
	text := line[:len(line)-digits]
	got, err := hex.DecodeString(string(line[len(text):]))
	text = bytes.TrimSuffix(text, []byte("*"))
	if err != nil || got[0] != c.of(text) {
		return nil, errChecksum
	}
	return text, nil
}

func (c Checksum) of(text []byte) (sum byte) {
	for _, b := range text {
		if c == XOR8 {
			sum ^= b
		} else {
			sum += b
		}
	}
	if c == LRC8 {
		return -sum
	}
	return sum
}

package point

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"
)

// SchemaID names a schema by its content: the first 8 bytes of SHA-256 over
// its canonical form.
type SchemaID [8]byte

// String returns the id in hexadecimal.
func (id SchemaID) String() string { return hex.EncodeToString(id[:]) }

// Scale turns raw into engineering values: raw*Factor + Offset.
type Scale struct{ Factor, Offset float64 }

// NoScale is the scale of a value that needs none.
var NoScale = Scale{Factor: 1}

// Column is one point of a schema as it was configured at that time.
type Column struct {
	ID          ID
	Tag         string // at most 255 bytes, as all the texts here
	Description string
	Unit        string // engineering unit, "" for none
	Type        Type
	Scale       Scale
	Decimals    int8 // digits shown after the point; -1 as many as needed
	// Statistic says what the value is of, in the schema of summaries; zero in
	// any other.
	Statistic Statistic
	Rule      Rule // zero in a schema of summaries
}

// Value returns the engineering value of raw bits.
func (c *Column) Value(raw uint64) float64 {
	return c.Type.Float(raw)*c.Scale.Factor + c.Scale.Offset
}

// Schema holds the columns of one group in one lane, in the order of the values
// of its scans; those with a rule are in another schema than those without. It is immutable: a point renamed, re-ranged or moved makes a
// new schema from a scan on, and rows taken under the old one keep it. It must
// be durable before the first record that names it.
type Schema struct {
	Group   string
	Columns []Column
	// Interval is zero for scans that hold readings. Else they hold summaries of
	// so long each, see Summary: whole milliseconds of boottime.
	Interval time.Duration
}

// MaxColumns is the largest number of columns in a schema.
const MaxColumns = 5000

// The versions that begin the canonical form.
const (
	readingsVersion  = 1
	summariesVersion = 2
	ruledVersion     = 3
)

func (s *Schema) version() byte {
	switch {
	case s.Interval > 0:
		return summariesVersion
	case slices.ContainsFunc(s.Columns, func(c Column) bool { return c.Rule != Rule{} }):
		return ruledVersion
	}
	return readingsVersion
}

// ID returns the schema's name.
func (s *Schema) ID() SchemaID {
	sum := sha256.Sum256(s.Append(nil))
	return SchemaID(sum[:8])
}

// Append appends the canonical form of s to dst:
//
//	version u8 = 1 | group text | columns uvarint
//	column: id uvarint | type u8 | decimals i8 | factor f64 | offset f64 | tag text | unit text | description text
//	text:   length u8 | bytes (UTF-8)
//
// and of one of summaries:
//
//	version u8 = 2 | group text | interval ms uvarint | columns uvarint
//	column: as above | statistic u8
//
// and of readings where a column has a rule:
//
//	version u8 = 3 | group text | columns uvarint
//	column: as in version 1 | method u8 | error f64 | silence ms uvarint
//
// Numbers of fixed width are big endian. A text over 255 bytes is cut; the
// configuration refuses it before.
func (s *Schema) Append(dst []byte) []byte {
	version := s.version()
	dst = append(dst, version)
	dst = appendText(dst, s.Group)
	if version == summariesVersion {
		dst = binary.AppendUvarint(dst, uint64(s.Interval/time.Millisecond))
	}
	dst = binary.AppendUvarint(dst, uint64(len(s.Columns)))
	for i := range s.Columns {
		c := &s.Columns[i]
		dst = binary.AppendUvarint(dst, uint64(c.ID))
		dst = append(dst, byte(c.Type), byte(c.Decimals))
		dst = binary.BigEndian.AppendUint64(dst, math.Float64bits(c.Scale.Factor))
		dst = binary.BigEndian.AppendUint64(dst, math.Float64bits(c.Scale.Offset))
		dst = appendText(dst, c.Tag)
		dst = appendText(dst, c.Unit)
		dst = appendText(dst, c.Description)
		switch version {
		case summariesVersion:
			dst = append(dst, byte(c.Statistic))
		case ruledVersion:
			dst = append(dst, byte(c.Rule.Method))
			dst = binary.BigEndian.AppendUint64(dst, math.Float64bits(c.Rule.Error))
			dst = binary.AppendUvarint(dst, uint64(c.Rule.Silence/time.Millisecond))
		}
	}
	return dst
}

// ErrMalformed is wrapped by every error of a decoder in this package.
var ErrMalformed = errors.New("malformed")

// ParseSchema reads a canonical form and returns what is left of b.
func ParseSchema(b []byte) (*Schema, []byte, error) {
	r := reader{b: b}
	version := r.byte()
	if !r.bad && (version < readingsVersion || version > ruledVersion) {
		return nil, nil, fmt.Errorf("schema version %d, want %d to %d: %w", version, readingsVersion, ruledVersion, ErrMalformed)
	}
	s := &Schema{Group: r.text()}
	if version == summariesVersion {
		s.Interval = r.milliseconds()
		r.bad = r.bad || s.Interval == 0
	}
	n := r.uvarint()
	// A column takes at least 22 bytes: ids, type, scale and three empty texts.
	if r.bad || n > MaxColumns || n > uint64(len(r.b)/22) {
		return nil, nil, fmt.Errorf("schema of %d columns in %d bytes: %w", n, len(b), ErrMalformed)
	}
	s.Columns = make([]Column, n)
	for i := range s.Columns {
		c := &s.Columns[i]
		*c = r.column()
		switch version {
		case summariesVersion:
			c.Statistic = Statistic(r.byte())
			r.bad = r.bad || c.Statistic == AsRead || c.Statistic > Last
		case ruledVersion:
			c.Rule = r.rule()
		}
		if r.bad {
			return nil, nil, fmt.Errorf("schema %q column %d: %w", s.Group, i, ErrMalformed)
		}
	}
	if s.version() != version {
		return nil, nil, fmt.Errorf("schema %q of version %d without a rule: %w", s.Group, version, ErrMalformed)
	}
	return s, r.b, nil
}

// column takes what a column has in every version.
func (r *reader) column() (c Column) {
	id := r.uvarint()
	c.ID = ID(id)
	c.Type = Type(r.byte())
	c.Decimals = int8(r.byte())
	c.Scale.Factor = math.Float64frombits(r.uint(8))
	c.Scale.Offset = math.Float64frombits(r.uint(8))
	c.Tag = r.text()
	c.Unit = r.text()
	c.Description = r.text()
	r.bad = r.bad || id > math.MaxUint32 || !c.Type.Valid()
	return c
}

func (r *reader) rule() (u Rule) {
	u.Method = Method(r.byte())
	u.Error = math.Float64frombits(r.uint(8))
	u.Silence = r.milliseconds()
	r.bad = r.bad || !u.valid()
	return u
}

// Lookup finds a schema by its id; ok is false where it is not known.
type Lookup func(SchemaID) (s *Schema, ok bool)

func appendText(dst []byte, s string) []byte {
	if len(s) > 255 {
		s = s[:255]
	}
	dst = append(dst, byte(len(s)))
	return append(dst, s...)
}

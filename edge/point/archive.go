package point

import (
	"encoding/binary"
	"fmt"
	"math"
	"time"
)

// ArchiveKind says what the records of an archive are. The values are part of
// the record format.
type ArchiveKind uint8

// The kinds of archives.
const (
	Periodic ArchiveKind = iota // totals and averages of an hour or a day
	Events                      // alarms and changes by operators, as they happened
)

var archiveKindNames = [...]string{"periodic", "events"}

// String returns the name used in exports, such as "events".
func (k ArchiveKind) String() string {
	if int(k) < len(archiveKindNames) {
		return archiveKindNames[k]
	}
	return fmt.Sprintf("archive kind(%d)", uint8(k))
}

// Archive is one record that an instrument keeps by itself, such as the hourly
// record of a flow computer, as it was read. Raw is what the instrument gave and
// is what counts; all else says where it came from and how it reads. The record
// says it itself, layout and all, so that it can be read alone in ten years: on
// the link, where batches lean on each other, that takes two or three bytes of it.
type Archive struct {
	Stamp  Stamp // when it was read
	Kind   ArchiveKind
	ID     ID     // names the archive for ever, as a point is named
	Source string // the unit, as it was called; at most 255 bytes, as all the texts here
	Name   string // the archive, as it was called

	// Index is the number under which a periodic record was asked for. The
	// entries of a log have none: they are counted as they come, from 1 on.
	Index uint32

	// Time is the instrument's own time in Raw as Unix milliseconds, UTC; zero
	// where TimeQuality is bad. It is uncertain where Zone has that local time
	// twice or not at all.
	Time        int64
	TimeQuality Quality
	Zone        string // the time zone that the instrument's clock was taken to be in, such as "Europe/Oslo"
	// DayStart is the time of day that a date alone was taken to mean: the
	// contract hour. Whole minutes, less than a day.
	DayStart time.Duration

	Layout Layout
	Raw    []byte // as it came, at most MaxArchiveRaw bytes
}

// MaxArchiveRaw is the greatest length of a record of an instrument: more than
// an answer of Modbus holds.
const MaxArchiveRaw = 253

const minutesOfDay = 24 * 60

// Append appends the record to dst:
//
//	kind u8 = 5 | stamp | archive kind u8 | archive id uvarint | index uvarint
//	| time ms varint | time quality u8 | day start min uvarint
//	| source text | name text | zone text | fields uvarint { field text }* | raw: the rest
//
// A field is the text that ParseField reads. The form is canonical.
func (a *Archive) Append(dst []byte) []byte {
	dst = append(dst, byte(KindArchive))
	dst = a.Stamp.append(dst)
	dst = append(dst, byte(a.Kind))
	dst = binary.AppendUvarint(dst, uint64(a.ID))
	dst = binary.AppendUvarint(dst, uint64(a.Index))
	dst = binary.AppendVarint(dst, a.Time)
	dst = append(dst, byte(a.TimeQuality))
	dst = binary.AppendUvarint(dst, uint64(a.DayStart/time.Minute))
	dst = appendText(dst, a.Source)
	dst = appendText(dst, a.Name)
	dst = appendText(dst, a.Zone)
	dst = binary.AppendUvarint(dst, uint64(len(a.Layout)))
	for i := range a.Layout {
		dst = appendText(dst, a.Layout[i].String())
	}
	return append(dst, a.Raw[:min(len(a.Raw), MaxArchiveRaw)]...)
}

// Decode reads a record made by Append. Whatever it accepts, Append gives back
// byte for byte. Raw shares the memory of rec.
func (a *Archive) Decode(rec []byte) error {
	r := reader{b: rec}
	kind := Kind(r.byte())
	a.Stamp = r.stamp()
	a.Kind = ArchiveKind(r.byte())
	id, index := r.uvarint(), r.uvarint()
	a.ID, a.Index = ID(id), uint32(index)
	a.Time = r.varint()
	a.TimeQuality = Quality(r.byte())
	day := r.uvarint()
	a.DayStart = time.Duration(day%minutesOfDay) * time.Minute
	a.Source, a.Name, a.Zone = r.text(), r.text(), r.text()
	a.Layout = r.layout()
	a.Raw = r.b
	if r.bad || kind != KindArchive || a.Kind > Events || id > math.MaxUint32 || index > math.MaxUint32 ||
		!a.TimeQuality.Valid() || day >= minutesOfDay || len(a.Raw) > MaxArchiveRaw {
		return fmt.Errorf("archive record of %d bytes: %w", len(rec), ErrMalformed)
	}
	return nil
}

// layout takes a layout off the front, in canonical form only.
func (r *reader) layout() Layout {
	n := r.uvarint()
	var fields []string
	for range min(n, MaxFields) {
		fields = append(fields, r.text())
	}
	if r.bad || n > MaxFields {
		r.bad = true
		return nil
	}
	l, err := ParseLayout(fields)
	r.bad = err != nil
	for i := range l {
		r.bad = r.bad || l[i].String() != fields[i]
	}
	return l
}

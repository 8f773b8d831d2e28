package bench

import (
	"encoding/binary"
	"math"
	"strconv"
	"strings"

	"skyhaul/edge/point"
)

// columnsZstd makes columns without a model: the times as differences of
// differences, the runs of cells with and without a value, then each column as
// the differences of its integers, all as varints; zstd. How many decimals a
// column has is known from the whole recording, which no live encoder sees.
func columnsZstd(b *rows) []byte {
	p := binary.AppendUvarint(nil, uint64(len(b.scans)))
	var wall, step int64
	for i := range b.scans {
		s := b.scans[i].Stamp.Wall - wall
		p = binary.AppendVarint(p, s-step)
		wall, step = wall+s, s
	}
	p = b.appendMissing(p)
	for k, c := range b.columns {
		var last int64
		for i := range b.scans {
			if raw, ok := b.raw(i, k); ok {
				v, _ := integer(c.Type, raw, b.decimals[k]) // decimalsOf found that it fits
				p = binary.AppendVarint(p, v-last)
				last = v
			}
		}
	}
	return zstdPacked(p)
}

// appendMissing appends the lengths of runs of cells, column by column, in turn
// with and without a value: how many runs end before the last cell, then these.
func (b *rows) appendMissing(p []byte) []byte {
	var runs []byte
	count, length, value := uint64(0), uint64(0), true
	for k := range b.columns {
		for i := range b.scans {
			if _, ok := b.raw(i, k); ok != value {
				runs = binary.AppendUvarint(runs, length)
				count, length, value = count+1, 0, ok
			}
			length++
		}
	}
	return append(binary.AppendUvarint(p, count), runs...)
}

// plainBits in place of decimals says that integers are the raw bits, those of
// floats in order of value.
const plainBits = -1

// decimalsOf returns for each column how many decimals make its values
// integers, or plainBits where that isn't longer.
func decimalsOf(b *rows) []int {
	all := make([]int, len(b.columns))
	for k, c := range b.columns {
		most := 0
		for i := range b.scans {
			if raw, ok := b.raw(i, k); ok {
				_, fraction := digits(c.Type, raw)
				most = max(most, len(fraction))
			}
		}
		all[k] = most
		if b.differences(k, plainBits) <= b.differences(k, most) {
			all[k] = plainBits
		}
	}
	return all
}

// differences returns how many bytes column k takes before zstd.
func (b *rows) differences(k, decimals int) int {
	var last int64
	var p []byte
	n := 0
	for i := range b.scans {
		raw, ok := b.raw(i, k)
		if !ok {
			continue
		}
		v, ok := integer(b.columns[k].Type, raw, decimals)
		if !ok {
			return math.MaxInt
		}
		p = binary.AppendVarint(p[:0], v-last)
		n += len(p)
		last = v
	}
	return n
}

// integer returns a value times a power of ten, or its bits; ok is false where
// that is no int64 that gives it back.
func integer(t point.Type, raw uint64, decimals int) (v int64, ok bool) {
	if decimals == plainBits {
		return ordered(t, raw), true
	}
	whole, fraction := digits(t, raw)
	v, err := strconv.ParseInt(whole+fraction+strings.Repeat("0", decimals-len(fraction)), 10, 64)
	return v, err == nil && (v != 0 || whole[0] != '-')
}

// digits returns a value as a decimal without exponent, cut at the point.
func digits(t point.Type, raw uint64) (whole, fraction string) {
	text := t.Format(raw)
	if strings.Contains(text, "e") {
		text = strconv.FormatFloat(t.Float(raw), 'f', -1, 8*t.Size())
	}
	whole, fraction, _ = strings.Cut(text, ".")
	return whole, fraction
}

// ordered returns raw bits as a number that rises with the value.
func ordered(t point.Type, raw uint64) int64 {
	switch t {
	case point.Float32:
		v := int32(raw)
		return int64(v ^ v>>31&math.MaxInt32)
	case point.Float64:
		v := int64(raw)
		return v ^ v>>63&math.MaxInt64
	}
	return int64(raw)
}

package batch

import (
	"encoding/binary"

	"skyhaul/edge/point"
)

// appendQuality appends the qualities of the scans of one group: the runs of
// columns that are not of the quality they had in the scan before, which
// before the first scan is good.
//
//	runs uvarint | { scans since the last run's uvarint | columns skipped since it, or from the first uvarint | columns uvarint | quality u8 }*
//
// A nil row is good throughout.
func appendQuality(dst []byte, rows [][]point.Quality, columns int) []byte {
	good := make([]point.Quality, columns)
	was, from, runs := good, 0, 0
	var b []byte
	for i, now := range rows {
		if now == nil {
			now = good
		}
		end := 0
		for j := 0; j < columns; {
			if now[j] == was[j] {
				j++
				continue
			}
			first := j
			for j < columns && now[j] == now[first] && now[j] != was[j] {
				j++
			}
			b = binary.AppendUvarint(b, uint64(i-from))
			b = binary.AppendUvarint(b, uint64(first-end))
			b = binary.AppendUvarint(b, uint64(j-first))
			b = append(b, byte(now[first]))
			from, end = i, j
			runs++
		}
		was = now
	}
	return append(binary.AppendUvarint(dst, uint64(runs)), b...)
}

// readQuality is the inverse of appendQuality: one row a scan, all nil where
// every value is good. It may use the memory of rows.
func readQuality(src *source, rows [][]point.Quality, scans, columns int) [][]point.Quality {
	runs := src.uvarint()
	if src.bad || runs > uint64(len(src.b)/4) {
		src.bad = true
		return nil
	}
	rows = resize(rows, scans)
	clear(rows)
	if runs == 0 {
		return rows
	}
	all := make([]point.Quality, scans*columns)
	for i := range rows {
		rows[i], all = all[:columns:columns], all[columns:]
	}
	at, end := 0, 0
	for range runs {
		if skip := src.count(scans); skip > 0 {
			for i := at; i < at+skip && i+1 < scans; i++ {
				copy(rows[i+1], rows[i])
			}
			at, end = at+skip, 0
		}
		end += src.count(columns)
		n := src.count(columns)
		q := point.Quality(src.byte())
		if src.bad || at >= scans || end+n > columns || n == 0 {
			src.bad = true
			return nil
		}
		for j := range rows[at][end : end+n] {
			rows[at][end+j] = q
		}
		end += n
	}
	for i := at; i+1 < scans; i++ {
		copy(rows[i+1], rows[i])
	}
	return rows
}

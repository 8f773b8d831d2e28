package config

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
)

// sheet is a table of cells as spreadsheets and other programs export one:
// a heading for every column, then rows.
type sheet struct {
	name      string
	encoding  string
	separator rune
	titles    int      // rows with something in them that stand before the headings
	top       int      // number of the row with the headings
	headings  []string // one a column; "" for a column that is empty
	rows      []sheetRow
}

// sheetRow is a row with something in it.
type sheetRow struct {
	number int // as a spreadsheet counts, from 1
	cells  []string
}

// The bounds of a sheet. The headings are among the first rows.
const (
	maxTags    = 50_000 // one appliance reads no more
	maxColumns = 500
	maxTitles  = 60
)

// separators are those that programs write between cells, the usual ones first.
var separators = []rune{',', ';', '\t', '|'}

// readSheet reads a sheet. keyOf returns which key a heading stands for, "" for
// none: by the headings the separator is known, and which row they are.
func readSheet(name string, text []byte, keyOf func(heading string) string) (*sheet, error) {
	plain, encoding, err := decodeText(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	s := &sheet{name: name, encoding: encoding}
	candidates := separators
	// Excel takes the separator from such a line, and does not count it.
	if line, rest, _ := strings.Cut(plain, "\n"); len(line) >= 5 && strings.EqualFold(line[:4], "sep=") {
		candidates, plain = []rune{rune(line[4])}, rest
	}
	best, header := 0, []sheetRow(nil)
	for _, c := range candidates {
		rows, _ := splitCells(plain, c, maxTitles) // what is wrong is told once it is the separator
		for i := range rows {
			for _, span := range []int{1, 2} {
				if i+span > len(rows) {
					continue
				}
				if n := known(joinHeadings(rows[i:i+span]), keyOf); n > best {
					best, header, s.separator, s.titles = n, rows[i:i+span], c, i
				}
			}
		}
	}
	if header == nil {
		return nil, s.noHeadings(plain)
	}
	s.headings = joinHeadings(header)
	s.top = header[len(header)-1].number
	s.rows, err = splitCells(plain, s.separator, maxTags+maxTitles)
	if err != nil {
		return nil, fmt.Errorf("%s:%v", name, err)
	}
	s.rows = slices.DeleteFunc(s.rows, func(r sheetRow) bool { return r.number <= s.top })
	if len(s.rows) > maxTags {
		return nil, fmt.Errorf("%s: more than %d rows", name, maxTags)
	}
	return s, nil
}

// noHeadings says what is missing, and shows what is there instead.
func (s *sheet) noHeadings(text string) error {
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			const enough = 60
			if len(line) > enough {
				line = strings.ToValidUTF8(line[:enough], "") + "..."
			}
			return fmt.Errorf("%s:1: no column tag: a line must name the columns, as id,tag,address,type; the first one is %q", s.name, line)
		}
	}
	return fmt.Errorf("%s: no header line with the names of the columns: the file is empty", s.name)
}

// known counts the headings that stand for keys; 0 where the tag is not among
// them.
func known(headings []string, keyOf func(string) string) int {
	keys := map[string]bool{}
	for _, h := range headings {
		if k := keyOf(h); k != "" {
			keys[k] = true
		}
	}
	if !keys["tag"] {
		return 0
	}
	return len(keys)
}

// joinHeadings puts headings of two rows together: one that spans several columns
// stands over the first of them, with the others below it.
func joinHeadings(rows []sheetRow) []string {
	if len(rows) == 1 {
		return rows[0].cells
	}
	upper, lower := rows[0].cells, rows[1].cells
	joined := make([]string, max(len(upper), len(lower)))
	over := ""
	for i := range joined {
		if i < len(upper) && upper[i] != "" {
			over = upper[i]
		}
		switch {
		case i < len(lower) && lower[i] != "":
			joined[i] = strings.TrimSpace(over + " " + lower[i])
		case i < len(upper):
			joined[i] = upper[i]
		}
	}
	return joined
}

// decodeText returns the text of a file as UTF-8 with plain line ends, and the
// name of the encoding that it was in.
func decodeText(b []byte) (text, encoding string, err error) {
	switch {
	case bytes.HasPrefix(b, []byte("PK\x03\x04")), bytes.HasPrefix(b, []byte("\xD0\xCF\x11\xE0")):
		return "", "", errors.New("this is a workbook: save the sheet as CSV (UTF-8) or as Unicode text")
	case bytes.HasPrefix(b, []byte("\xEF\xBB\xBF")):
		text, encoding = string(b[3:]), "UTF-8 with BOM"
	case bytes.HasPrefix(b, []byte("\xFF\xFE")):
		text, encoding = decodeUTF16(b[2:], binary.LittleEndian), "UTF-16"
	case bytes.HasPrefix(b, []byte("\xFE\xFF")):
		text, encoding = decodeUTF16(b[2:], binary.BigEndian), "UTF-16"
	case bytes.IndexByte(b, 0) >= 0:
		return "", "", errors.New("this is no text: there are zero bytes in it; save the sheet as CSV (UTF-8) or as Unicode text")
	case utf8.Valid(b):
		text, encoding = string(b), "UTF-8"
	default:
		b, err = charmap.Windows1252.NewDecoder().Bytes(b)
		text, encoding = string(b), "Windows-1252"
	}
	text = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(text)
	// Windows-1252 has no letters at these five places, so it is none of it.
	if at := strings.IndexAny(text, "\u0081\u008D\u008F\u0090\u009D\uFFFD"); at >= 0 || !utf8.ValidString(text) {
		return "", "", fmt.Errorf("line %d: letters in an encoding that is neither UTF-8, UTF-16 nor Windows-1252: save the sheet as CSV (UTF-8)",
			1+strings.Count(text[:max(at, 0)], "\n"))
	}
	return text, encoding, err
}

func decodeUTF16(b []byte, order binary.ByteOrder) string {
	units := make([]uint16, len(b)/2)
	for i := range units {
		units[i] = order.Uint16(b[2*i:])
	}
	return string(utf16.Decode(units))
}

// splitCells returns the rows that have something in them, most of them at most.
// A cell may stand in quotes, with separators, line ends and doubled quotes in
// it; a quote further in is a mark of inches.
func splitCells(text string, separator rune, most int) (rows []sheetRow, err error) {
	row := sheetRow{number: 1}
	for text != "" && len(rows) < most {
		cell, rest, ok := quotedCell(text, separator)
		if !ok {
			return rows, fmt.Errorf("%d: a quote is opened and never closed: %q", row.number, strings.ToValidUTF8(text[:min(len(text), 20)], ""))
		}
		row.cells = append(row.cells, clean(cell))
		if len(row.cells) > maxColumns {
			return rows, fmt.Errorf("%d: more than %d columns", row.number, maxColumns)
		}
		r, size := utf8.DecodeRuneInString(rest)
		text = rest[size:]
		if r == separator && text != "" {
			continue
		}
		if row.cells = trimCells(row.cells); len(row.cells) > 0 {
			rows = append(rows, row)
		}
		row = sheetRow{number: row.number + 1}
	}
	return rows, nil
}

// clean returns the text of a cell in one line.
func clean(cell string) string {
	if strings.ContainsFunc(cell, unicode.IsControl) {
		cell = strings.Map(func(r rune) rune {
			if unicode.IsControl(r) {
				return ' '
			}
			return r
		}, cell)
	}
	return strings.Join(strings.Fields(cell), " ")
}

// quotedCell cuts the first cell off a text, quoted or not; rest begins with what
// ended it. ok is false for a quote that is never closed.
func quotedCell(text string, separator rune) (cell, rest string, ok bool) {
	end := func(r rune) bool { return r == separator || r == '\n' }
	plain := strings.TrimLeft(text, " ")
	if !strings.HasPrefix(plain, `"`) {
		at := strings.IndexFunc(text, end)
		if at < 0 {
			at = len(text)
		}
		return text[:at], text[at:], true
	}
	var b strings.Builder
	for rest = plain[1:]; ; {
		at := strings.IndexByte(rest, '"')
		if at < 0 {
			return "", "", false
		}
		b.WriteString(rest[:at])
		rest = rest[at+1:]
		after := strings.TrimLeft(rest, " ")
		if next, _ := utf8.DecodeRuneInString(after); after == "" || end(next) {
			return b.String(), after, true
		}
		b.WriteByte('"') // a quote within, which should be doubled
		rest = strings.TrimPrefix(rest, `"`)
	}
}

// trimCells cuts the empty cells off the end.
func trimCells(cells []string) []string {
	for len(cells) > 0 && cells[len(cells)-1] == "" {
		cells = cells[:len(cells)-1]
	}
	return slices.Clip(cells)
}

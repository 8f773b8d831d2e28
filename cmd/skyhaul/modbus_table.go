package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/term"
)

// The colours of a terminal: ECMA-48, section 8.3.117 (SGR).
const (
	bold   = "1"
	dim    = "2"
	red    = "31"
	green  = "32"
	yellow = "33"
)

// screen writes for people, in colour only on a terminal.
type screen struct {
	w      io.Writer
	colour bool
}

func newScreen(w io.Writer) *screen { return &screen{w, paints(w)} }

// paints reports whether w is a terminal that understands colours and the like.
func paints(w any) bool { return isTerminal(w) && ansi(w.(*os.File)) }

func isTerminal(w any) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// plain takes control characters out of what devices say.
func plain(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return '?'
		}
		return r
	}, text)
}

// paint surrounds text with a colour.
func (s *screen) paint(style, text string) string {
	if !s.colour || style == "" {
		return text
	}
	return "\x1b[" + style + "m" + text + "\x1b[0m"
}

// cell is one field of a table.
type cell struct {
	text, style string
}

// cells are fields without a colour.
func cells(texts ...any) []cell {
	row := make([]cell, len(texts))
	for i, t := range texts {
		row[i].text = fmt.Sprint(t)
	}
	return row
}

// table writes rows in aligned columns; the first row is the heading.
func (s *screen) table(rows [][]cell) error {
	var widths []int
	for _, row := range rows {
		for i, c := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(c.text))
		}
	}
	var all strings.Builder
	for n, row := range rows {
		var b strings.Builder
		for i, c := range row {
			text := plain(c.text)
			style := c.style
			if n == 0 {
				style = bold
			}
			b.WriteString(s.paint(style, text))
			if i < len(row)-1 {
				b.WriteString(strings.Repeat(" ", widths[i]-utf8.RuneCountInString(text)+2))
			}
		}
		all.WriteString(strings.TrimRight(b.String(), " ") + "\n")
	}
	_, err := io.WriteString(s.w, all.String())
	return err
}

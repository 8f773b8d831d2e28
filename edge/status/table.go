package status

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/term"
)

// Table writes s for a terminal: the same as the page, in aligned columns. It
// uses colour only where w is a terminal; every colour also stands in words.
func Table(w io.Writer, s Snapshot) error {
	f, ok := w.(*os.File)
	p := printer{colour: ok && term.IsTerminal(int(f.Fd()))}
	p.head(&s)
	p.uplinks(&s)
	p.buffer(&s)
	p.lanes(&s)
	p.lines(&s)
	p.units(&s)
	p.groups(&s)
	p.archives(&s)
	p.gateways(&s)
	p.points(&s)
	_, err := io.WriteString(w, p.String())
	return err
}

// The colours of a terminal: ECMA-48, section 8.3.117 (SGR).
const (
	bold   = "1"
	red    = "31"
	green  = "32"
	yellow = "33"
)

type printer struct {
	strings.Builder
	colour bool
}

// paint surrounds text with a colour; plain where style is empty. What comes
// from devices and brokers must not steer the terminal.
func (p *printer) paint(style, text string) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return '?'
		}
		return r
	}, text)
	if !p.colour || style == "" {
		return text
	}
	return "\x1b[" + style + "m" + text + "\x1b[0m"
}

func (p *printer) line(format string, args ...any) { fmt.Fprintf(p, format+"\n", args...) }

func (p *printer) head(s *Snapshot) {
	verdict := p.paint(green, "all well")
	if n := len(s.Degraded); n > 0 {
		verdict = p.paint(red, fmt.Sprintf("%d not well", n))
	}
	p.line("%s (%s): %s", p.paint(bold, cmp.Or(s.DisplayName, s.Site)), s.Site, verdict)
	bound := ""
	if s.TimeBound != nil {
		bound = fmt.Sprintf(" within %.3f s", *s.TimeBound)
	}
	p.line("%s UTC, clock %s%s, up %s, skyhaul %s, configuration %s",
		s.Time.UTC().Format(time.DateTime), s.TimeQuality, bound, span(s.Time.Sub(s.Started)), s.Version, s.ConfigHash)
	for _, d := range s.Degraded {
		p.line("%s", p.paint(red, "! "+d))
	}
}

func (p *printer) uplinks(s *Snapshot) {
	if len(s.Uplinks) == 0 {
		return
	}
	t := table{heads: []string{"UPLINK", "WINDOW", "SESSION", "LAST ACK", ">BILLED TODAY", ">COST TODAY", "LAST ERROR"}}
	for _, u := range s.Uplinks {
		cost := ""
		if u.Currency != "" {
			cost = fmt.Sprintf("%.2f %s", u.CostToday, u.Currency)
		}
		t.row(cell{text: u.Name}, cell{text: window(u, s.Time)}, cell{text: u.Session}, cell{text: ago(u.LastAck)},
			cell{text: size(u.BytesToday)}, cell{text: cost}, cell{u.LastError, red})
	}
	p.table(t)
}

func window(u Uplink, now time.Time) string {
	switch {
	case u.Open && u.Until.IsZero():
		return "open"
	case u.Open:
		return "open until " + moment(u.Until, now)
	case u.Next.IsZero():
		return "closed, no next one known"
	}
	return fmt.Sprintf("closed, opens %s, in %s", moment(u.Next, now), span(u.Next.Sub(now)))
}

func (p *printer) buffer(s *Snapshot) {
	b := s.Buffer
	left := "not known"
	if b.DaysLeft != nil {
		left = span(seconds(*b.DaysLeft * 86400))
	}
	p.line("\nbuffer: %s of %s, room for %s", size(b.Bytes), size(b.Quota), left)
	for _, wrong := range []struct{ name, text string }{{"last error", b.LastError}, {"set aside", b.Quarantine}} {
		if wrong.text != "" {
			p.line("%s", p.paint(red, "buffer "+wrong.name+": "+wrong.text))
		}
	}
}

func (p *printer) lanes(s *Snapshot) {
	t := table{heads: []string{"LANE", ">PENDING", ">OLDEST", ">ACKED", ">SENT", ">DURABLE", ">APPENDED", ">GAPS"}}
	for _, l := range s.Lanes {
		t.row(cell{text: l.Name}, number(l.Pending), cell{text: age(l.OldestPending, "")},
			number(l.Acked), number(l.Sent), number(l.Durable), number(l.Appended), number(l.Gaps))
	}
	p.table(t)
}

func (p *printer) lines(s *Snapshot) {
	t := table{heads: []string{"LINE", "ADDRESS", "STATE", ">UNITS UP", ">BUSY", ">REQUESTS", ">ERRORS", "DRIVER", "LAST ERROR"}}
	for _, l := range s.Lines {
		state, units := "", ""
		if l.State != "up" {
			state = red
		}
		if l.UnitsDown > 0 {
			units = red
		}
		t.row(cell{text: l.Name}, cell{text: l.Address}, cell{l.State, state},
			cell{fmt.Sprintf("%d of %d", l.UnitsUp, l.UnitsUp+l.UnitsDown), units},
			cell{text: fmt.Sprintf("%.0f %%", l.Busy)}, number(l.Requests), number(l.Errors), cell{text: l.driver()}, cell{text: l.LastError})
	}
	p.table(t)
}

// driver says what the driver found wrong, such as "12 framing, 1 parity".
func (l *Line) driver() string {
	var words []string
	for _, kind := range slices.Sorted(maps.Keys(l.Driver)) {
		if n := l.Driver[kind]; n > 0 {
			words = append(words, fmt.Sprintf("%d %s", n, kind))
		}
	}
	return strings.Join(words, ", ")
}

func (p *printer) units(s *Snapshot) {
	t := table{heads: []string{"UNIT", "LINE", ">UNIT ID", "STATE", ">SINCE", ">REQUESTS", ">TIMEOUTS", ">DAMAGED", ">EXCEPTIONS", ">TURNAROUND"}}
	for _, u := range s.Units {
		style, turnaround := "", ""
		if u.down() {
			style = red
		}
		if u.Turnaround != nil {
			turnaround = fmt.Sprintf("%.1f ms", 1000**u.Turnaround)
		}
		t.row(cell{text: u.Name}, cell{text: u.Line}, number(uint64(u.ID)), cell{u.State, style}, cell{text: age(u.StateAge, "")},
			number(u.Requests), number(u.Timeouts), number(u.Damaged), number(u.Exceptions), cell{text: turnaround})
	}
	p.table(t)
}

// The states of a unit that are no fault.
const (
	UnitUp       = "up"
	UnitNotAsked = "not asked yet"
)

func (u *Unit) down() bool { return u.State != UnitUp && u.State != UnitNotAsked }

func (p *printer) groups(s *Snapshot) {
	t := table{heads: []string{"GROUP", "LINE", ">EVERY", ">POINTS", ">OVERRUNS"}}
	for _, g := range s.Groups {
		t.row(cell{text: g.Name}, cell{text: g.Line}, cell{text: seconds(g.Interval).String()}, number(uint64(g.Points)), number(g.Overruns))
	}
	p.table(t)
}

func (p *printer) archives(s *Snapshot) {
	t := table{heads: []string{"ARCHIVE", "UNIT", ">RECORDS", "NEWEST", "LAST ERROR"}}
	for _, a := range s.Archives {
		newest := ""
		if !a.Newest.IsZero() {
			newest = a.Newest.UTC().Format(time.DateTime)
		}
		t.row(cell{text: a.Name}, cell{text: a.Unit}, number(a.Records), cell{text: newest}, cell{a.Error, red})
	}
	p.table(t)
}

func (p *printer) gateways(s *Snapshot) {
	t := table{heads: []string{"GATEWAY", "LINE", "STATE", ">CLIENTS", ">REQUESTS", ">FROM MEMORY", ">EXCHANGES", ">WRITES", ">DECLINED", ">REFUSED"}}
	for _, g := range s.Gateways {
		style := ""
		if g.State != "up" {
			style = red
		}
		t.row(cell{text: g.Address}, cell{text: g.Line}, cell{g.State, style}, number(uint64(g.Clients)),
			number(g.Requests), number(g.Remembered), number(g.Exchanges), number(g.Writes), number(g.Declined), number(g.Refused))
	}
	p.table(t)
}

func (p *printer) points(s *Snapshot) {
	t := table{heads: []string{"POINT", ">VALUE", "UNIT", "QUALITY", ">AGE", "GROUP", "LANE", "LINE", ">UNIT ID"}}
	styles := map[string]string{"uncertain": yellow, "bad": red}
	for _, point := range s.Points {
		quality := point.Quality
		if point.Reason != "" {
			quality += ": " + point.Reason
		}
		style := styles[point.Quality]
		t.row(cell{text: point.Tag}, cell{cmp.Or(point.Value, "-"), style}, cell{text: point.Unit}, cell{quality, style},
			cell{text: age(point.Age, "never")}, cell{text: point.Group}, cell{text: point.Lane}, cell{text: point.Line},
			number(uint64(point.UnitID)))
	}
	p.table(t)
}

// table is rows below heads; a head that begins with '>' aligns to the right.
type table struct {
	heads []string
	rows  [][]cell
}

type cell struct{ text, style string }

func (t *table) row(cells ...cell) { t.rows = append(t.rows, cells) }

// table writes nothing where there are no rows.
func (p *printer) table(t table) {
	if len(t.rows) == 0 {
		return
	}
	heads := make([]cell, len(t.heads))
	for i, h := range t.heads {
		heads[i] = cell{strings.TrimPrefix(h, ">"), bold}
	}
	rows := append([][]cell{heads}, t.rows...)
	p.WriteByte('\n')
	for _, row := range rows {
		line := ""
		for i, c := range row {
			pad := strings.Repeat(" ", widest(rows, i)-utf8.RuneCountInString(c.text))
			if strings.HasPrefix(t.heads[i], ">") {
				line += pad + p.paint(c.style, c.text) + "  "
			} else {
				line += p.paint(c.style, c.text) + pad + "  "
			}
		}
		p.line("%s", strings.TrimRight(line, " "))
	}
}

func widest(rows [][]cell, column int) int {
	n := 0
	for _, row := range rows {
		n = max(n, utf8.RuneCountInString(row[column].text))
	}
	return n
}

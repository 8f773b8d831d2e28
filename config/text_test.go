package config

import (
	"strings"
	"testing"
	"time"

	"skyhaul/edge/point"
	"skyhaul/edge/textline"
	"skyhaul/modbus"
)

// texted is a site with a line of text and one instrument with a point.
func texted(line, unit, pt string) string {
	return "[site]\nid = \"a\"\n[[line]]\nname = \"l\"\ndevice = \"ttyS7\"\nframing = \"text\"\n" + line +
		"\n[[unit]]\nname = \"gas\"\non = \"l\"\nid = 3\n" + unit + "\n[[unit.point]]\nid = 1\ntag = \"AT-1\"\n" + pt +
		"\n[[group]]\nname = \"fast\"\ninterval = \"10s\"\n"
}

func TestTextInstrumentIsAUnit(t *testing.T) {
	c, err := load(t, texted("timeout = \"2s\"\ntext_end = \"\\u0003\"\ntext_start = \"\\u0002\"",
		"[unit.text]\nrequest = \"#3\\r\"\nmatch = '^(?P<h2s>\\S+) (?P<co2>\\S+)'\ncolumns = [\"t 9-12\"]\nchecksum = \"sum8\"", "field = \"co2\"\nscale = 10.0\nhi = 5.0"))
	if err != nil {
		t.Fatal(err)
	}
	l := c.Lines[0]
	in := l.Text.Instruments[3]
	if l.Bus.Framing != modbus.TCP || l.Text.Timeout != 2*time.Second || l.Bus.Timeout != 6*time.Second || string(l.Text.Framing.End) != "\x03" || string(l.Text.Framing.Start) != "\x02" {
		t.Errorf("line: %+v", l)
	}
	if string(in.Request) != "#3\r" || in.Checksum != textline.Sum8 || len(in.Fields) != 3 || in.Fields[0] != (textline.Field{Name: "t", From: 9, To: 12}) {
		t.Errorf("instrument: %+v", in)
	}
	p := c.Groups[0].Points[0]
	if p.Addr != textline.Address(2) || p.Type != point.Float64 || p.Format.Registers() != textline.Registers || p.Function != modbus.FuncReadHoldingRegisters {
		t.Errorf("point: %+v", p)
	}
}

func TestTextMistakes(t *testing.T) {
	const good = "[unit.text]\nmatch = '(?P<v>.*)'"
	for _, c := range []struct{ line, unit, pt, want string }{
		{"", "", `field = "v"`, `skyhaul.toml:8: unit "gas": text: is missing: the line has framing text; write [unit.text]`},
		{"", "[unit.text]\nmatch = '(?P<v.*)'", `field = "v"`, `skyhaul.toml:13: unit "gas" text: match: error parsing regexp: `},
		{"", "[unit.text]\nmatch = '(.*)'", `field = "v"`, `match: finds no field: name them in match`},
		{"", "[unit.text]\ncolumns = [\"v 8-1\"]", `field = "v"`, `columns: "v 8-1" is no field of fixed columns`},
		{"", good, `field = "w"`, `skyhaul.toml:17: [[point]]: field: the unit has no field "w": it has v`},
		{"", good, "field = \"v\"\naddress = 40001", `address: is not for lines of text: the point has a field`},
		{"", good + "\n[[unit]]\nname = \"b\"\non = \"l\"\nid = 4\n[unit.text]\nrequest = \"?\"\nmatch = '(?P<v>.*)'", `field = "v"`, `skyhaul.toml:3: line "l": some of its units have a request and others none`},
		{"text_end = \"\"", good, `field = "v"`, `text_end: is empty`},
	} {
		_, err := load(t, texted(c.line, c.unit, c.pt))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s\n%s\n got %v\nwant %s", c.unit, c.pt, err, c.want)
		}
	}
}

package main

import (
	"fmt"
	"strings"
	"time"

	"skyhaul/modbus"
	hear "skyhaul/modbus/listen"
)

// jsonFrame is a frame of modbus trace --json.
type jsonFrame struct {
	At        float64        `json:"at_s"`  // since the trace began
	Gap       float64        `json:"gap_s"` // since the end of the last frame
	Wire      float64        `json:"wire_s"`
	Direction string         `json:"direction,omitempty"` // > sent, < received
	Kind      string         `json:"kind"`                // request, answer, noise or missing
	Unit      *modbus.UnitID `json:"unit,omitempty"`
	Bytes     string         `json:"bytes,omitempty"`
	Meaning   string         `json:"meaning"`
}

func (t *trace) gap(f *traced) time.Duration {
	if t.last.IsZero() {
		return 0
	}
	return f.At.Sub(t.last)
}

func (t *trace) printJSON(f *traced) {
	j := jsonFrame{
		At: f.At.Sub(t.began).Seconds(), Gap: t.gap(f).Seconds(), Wire: t.timing.Wire(len(f.Bytes)).Seconds(),
		Direction: string(rune(f.direction)), Kind: f.Kind.String(), Bytes: fmt.Sprintf("% X", f.Bytes), Meaning: f.meaning(),
	}
	if f.Kind != hear.Noise {
		j.Unit = &f.Unit
	}
	t.encode(j)
}

// print writes a frame on two lines and more: times and meaning, bytes and ruler.
func (t *trace) print(f *traced) {
	style := ""
	switch {
	case f.Kind == hear.Noise:
		style = red
	case f.PDU.Function()&exceptionBit != 0:
		style = yellow
	}
	gap := t.gap(f)
	times := fmt.Sprintf("%11.6f  +%.1f ms", f.At.Sub(t.began).Seconds(), gap.Seconds()*1000)
	if char := t.timing.Wire(1); char > 0 {
		times += fmt.Sprintf("  gap %.1f ch  wire %.1f ms", float64(gap)/float64(char), t.timing.Wire(len(f.Bytes)).Seconds()*1000)
	}
	t.write("%s  %c %s\n", t.screen.paint(dim, times), f.direction, t.screen.paint(style, plain(f.meaning())))
	lines := ruled(f.Bytes, f.fields(t.header.Framing))
	if f.Kind != hear.Noise && f.Bytes[0] == ':' {
		lines = []string{strings.TrimRight(string(f.Bytes), "\r\n")} // ASCII
	}
	for _, line := range lines {
		t.write("%13s%s\n", "", t.screen.paint(dim, plain(line)))
	}
}

// field is a part of a frame that has a name.
type field struct {
	name  string
	bytes int
}

// fields returns what the bytes of a frame are.
func (t *traced) fields(f modbus.Framing) []field {
	if t.Kind == hear.Noise || f == modbus.ASCII || f == modbus.ASCIIOverTCP {
		return nil
	}
	head, tail := []field{{"un", 1}}, []field{{"crc", 2}}
	if f == modbus.TCP {
		head, tail = []field{{"tid", 2}, {"proto", 2}, {"len", 2}, {"un", 1}}, nil
	}
	return append(append(head, pduFields(t.Kind, t.PDU)...), tail...)
}

func pduFields(k hear.Kind, p modbus.PDU) []field {
	fs := []field{{"fc", 1}}
	rest := len(p) - 1
	add := func(name string, n int) {
		n = min(n, rest)
		if n > 0 {
			fs = append(fs, field{name, n})
			rest -= n
		}
	}
	_, err := modbus.ParseRequest(p)
	switch fc := p.Function(); {
	case fc&exceptionBit != 0:
		add("ex", 1)
	case k == hear.Answer && fc.Reads():
		add("n", 1)
	case err == nil && (fc == modbus.FuncWriteCoil || fc == modbus.FuncWriteRegister):
		add("addr", 2)
		add("value", 2)
	case err == nil || k == hear.Answer && fc.Writes():
		add("addr", 2)
		add("count", 2)
		add("n", 1)
	}
	add("data", rest)
	return fs
}

// rulerBytes is how many bytes stand on one line.
const rulerBytes = 20

// ruled writes bytes in hex, each line with the names of its fields below it.
func ruled(b []byte, fs []field) (lines []string) {
	var names strings.Builder
	for _, f := range fs {
		name := f.name[:min(len(f.name), 3*f.bytes-1)]
		fmt.Fprintf(&names, "%-*s", 3*f.bytes, name)
	}
	ruler := names.String()
	for len(b) > 0 {
		n := min(len(b), rulerBytes)
		lines = append(lines, fmt.Sprintf("% X", b[:n]))
		under := ruler[:min(len(ruler), 3*n)]
		ruler = ruler[len(under):]
		if under = strings.TrimRight(under, " "); under != "" {
			lines = append(lines, under)
		}
		b = b[n:]
	}
	return lines
}

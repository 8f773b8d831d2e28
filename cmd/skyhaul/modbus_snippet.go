package main

import (
	"fmt"
	"strings"

	"skyhaul/modbus"
	"skyhaul/modbus/serial"
	"skyhaul/modbus/survey"
)

// parityWords are those of a configuration.
var parityWords = map[serial.Parity]string{serial.EvenParity: "even", serial.OddParity: "odd"}

// snippet is the part of a configuration that names what was found.
func snippet(w wiring, r survey.Report, ids map[modbus.UnitID]survey.Identity) string {
	var b strings.Builder
	name := w.snippet(&b)
	for _, u := range r.Units {
		id, ok := ids[u.Unit]
		if !ok || u.Unit < 1 || u.Unit > 247 {
			continue // not a unit of a configuration
		}
		fmt.Fprintf(&b, "\n[[unit]]\nname = \"unit-%d\"", id.Unit)
		if text := id.Text(); text != "" {
			fmt.Fprintf(&b, " # %s", plain(text))
		}
		fmt.Fprintf(&b, "\non = %q\nid = %d\naddresses = \"modicon\" # as the tag list counts: modicon, zero-based or one-based\n", name, id.Unit)
		if id.Order != "" && id.Order != "ABCD" {
			fmt.Fprintf(&b, "order = %q # %s\n", id.Order, id.OrderReason)
		}
	}
	return b.String()
}

// snippet is the part that names the line or endpoint; it returns the name.
func (w wiring) snippet(b *strings.Builder) (name string) {
	if w.serial == nil {
		name = "endpoint-1"
		fmt.Fprintf(b, "[[endpoint]]\nname = %q\naddress = %q\n", name, w.address)
		if w.framing != modbus.TCP {
			fmt.Fprintf(b, "framing = %q\n", strings.ReplaceAll(w.framing.String(), " ", "-"))
		}
		return name
	}
	name = "line-1"
	fmt.Fprintf(b, "[[line]]\nname = %q\ndevice = %q\nbaud = %d\n", name, w.serial.Device, w.serial.Baud)
	if word, ok := parityWords[w.serial.Parity]; ok {
		fmt.Fprintf(b, "parity = %q\n", word)
	}
	if w.framing == modbus.ASCII {
		fmt.Fprintf(b, "data_bits = %d\nframing = \"ascii\"\n", w.serial.DataBits)
	}
	if w.serial.StopBits == 2 {
		fmt.Fprintf(b, "stop_bits = 2\n")
	}
	return name
}

package config

import (
	"fmt"
	"net"
	"strconv"
	"time"

	"skyhaul/edge/textline"
	"skyhaul/modbus"
	"skyhaul/modbus/bus"
	"skyhaul/modbus/serial"
)

// Line is a serial line or an endpoint.
type Line struct {
	Name    string
	Serial  *serial.Config // nil for an endpoint
	Address string         // host:port of an endpoint
	TLS     *TLS           // nil: in the clear
	Bus     bus.Options    // all but who dials and who logs
	// Listen says that another client owns the line: its answers are overheard,
	// and count for so long. Zero: the line is ours.
	Listen time.Duration
	// Text says how instruments on it speak that know no Modbus; nil for Modbus.
	// It lacks who dials and who logs.
	Text *textline.Options
}

// TLS names the files of Modbus/TCP Security: paths, or credential:NAME.
type TLS struct {
	CAFile, CertFile, KeyFile string // PEM
	ServerName                string // in the server's certificate
}

// host:port, either of them may be empty where net.Listen or net.Dial takes it.
func (t *table) checkAddress(key, addr string) {
	_, port, err := net.SplitHostPort(addr)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		t.fail(key, "%q is not host:port", addr)
	}
}

func (r *reader) lines(root *table) (ls []Line) {
	for _, t := range root.subs("line") {
		ls = append(ls, r.line(t))
	}
	for _, t := range root.subs("endpoint") {
		ls = append(ls, r.endpoint(t))
	}
	seen := map[string]bool{}
	for _, l := range ls {
		if l.Name != "" && seen[l.Name] {
			r.probs.add("%s: name %q is used for two lines or endpoints", root.where("line"), l.Name)
		}
		seen[l.Name] = true
	}
	return ls
}

// parities are the words of the file.
var parities = map[string]serial.Parity{
	"none": serial.NoParity, "even": serial.EvenParity, "odd": serial.OddParity,
	"mark": serial.MarkParity, "space": serial.SpaceParity,
}

// emptyBus has what the units of a line fill in.
func (t *table) emptyBus() bus.Options {
	return bus.Options{
		Timeout: t.timeout(), Gap: map[modbus.UnitID]time.Duration{}, Dialects: map[modbus.UnitID]modbus.Dialect{},
		Avoid: map[modbus.UnitID][]bus.Range{}, Exclusive: map[modbus.UnitID][]bus.Range{},
	}
}

func (r *reader) line(t *table) Line {
	name := t.needText("name", "units say by it which line they are on")
	t.name = "line " + strconv.Quote(name)
	c := serial.Config{
		Device:   t.needText("device", "as /dev/ttyUSB0"),
		Baud:     t.integer("baud", 9600, 50, 4_000_000),
		DataBits: t.integer("data_bits", 8, 7, 8),
		Parity:   parities[t.choice("parity", "none", "none", "even", "odd", "mark", "space")],
		StopBits: t.integer("stop_bits", 1, 1, 2),
	}
	c.RS485 = t.rs485()
	l := Line{Name: name, Serial: &c, Bus: t.emptyBus()}
	switch t.choice("framing", "rtu", "rtu", "ascii", "text") {
	case "ascii":
		l.Bus.Framing = modbus.ASCII
	case "text":
		l.text(t)
		return l
	}
	l.Bus.Timing = modbus.LineTiming{Bit: c.Bit(), CharBits: c.CharBits()}
	l.Listen = t.duration("listen_only", 0, time.Second, time.Hour)
	if l.Listen > 0 && l.Bus.Framing != modbus.RTU {
		t.fail("listen_only", "goes with framing rtu alone")
	}
	return l
}

// rs485 reads how the driver switches the direction of a two-wire line; nil
// where it doesn't.
func (t *table) rs485() *serial.RS485 {
	const most = 100 * time.Millisecond
	on := t.flag("rs485", false)
	c := &serial.RS485{
		RTSAfterSend: t.flag("rs485_rts_after_send", false),
		HearSelf:     t.flag("rs485_hear_self", false),
		Terminate:    t.flag("rs485_terminate", false),
		DelayBefore:  t.duration("rs485_delay_before", 0, 0, most),
		DelayAfter:   t.duration("rs485_delay_after", 0, 0, most),
	}
	if on {
		return c
	}
	if *c != (serial.RS485{}) {
		t.fail("rs485", "must be true where rs485_* keys are given")
	}
	return nil
}

func (r *reader) endpoint(t *table) Line {
	name := t.needText("name", "units say by it which endpoint they are behind")
	t.name = "endpoint " + strconv.Quote(name)
	l := Line{Name: name, Address: t.needText("address", "host:port")}
	if l.Address != "" {
		t.checkAddress("address", l.Address)
	}
	l.Bus = t.emptyBus()
	l.Bus.Framing = streams[t.choice("framing", "tcp", "tcp", "rtu-over-tcp", "ascii-over-tcp")]
	l.TLS = r.tls(t, l.Bus.Framing)
	if l.TLS != nil && !t.has("server_name") {
		l.TLS.ServerName, _, _ = net.SplitHostPort(l.Address)
	}
	return l
}

// streams are the words of the file.
var streams = map[string]modbus.Framing{"tcp": modbus.TCP, "rtu-over-tcp": modbus.RTUOverTCP, "ascii-over-tcp": modbus.ASCIIOverTCP}

// tls reads the files of Modbus/TCP Security; nil where that is not asked for.
func (r *reader) tls(t *table, f modbus.Framing) *TLS {
	on := t.flag("tls", false)
	c := &TLS{
		CAFile: r.path(t.text("ca_file", "")), CertFile: r.path(t.text("cert_file", "")), KeyFile: r.path(t.text("key_file", "")),
		ServerName: t.text("server_name", ""),
	}
	switch {
	case !on && *c != (TLS{}):
		t.fail("tls", "must be true where its files are given")
	case !on:
		return nil
	case c.CAFile == "" || c.CertFile == "" || c.KeyFile == "":
		t.fail("tls", "needs ca_file, cert_file and key_file: both ends of Modbus/TCP Security show a certificate")
	case f != modbus.TCP:
		t.fail("tls", "goes with framing tcp alone")
	}
	return c
}

func (t *table) timeout() time.Duration {
	return t.duration("timeout", time.Second, 50*time.Millisecond, time.Minute)
}

// What a read costs before anything is learnt: a usual turnaround on a line; a
// usual round trip behind an endpoint, by which merging always pays. A block of
// longestRead at most lets an operator's write wait no longer than that, but on
// a slow line a few values may always be read together.
const (
	usualTurnaround = 5 * time.Millisecond
	usualRoundTrip  = 50 * time.Millisecond
	longestRead     = 160 * time.Millisecond
)

func (l *Line) cost() bus.Cost {
	switch {
	case l.Listen > 0:
		return bus.Cost{Longest: 1, Byte: 1} // each range by itself: nobody knows what the other client reads at once
	case l.Bus.Timing.Bit == 0:
		return bus.Cost{Turnaround: usualRoundTrip, Byte: time.Microsecond}
	}
	c := l.Bus.Cost(l.Bus.Timing.T35() + usualTurnaround)
	c.Longest = max(longestRead, 2*c.Exchange)
	return c
}

// String names a line as messages do.
func (l *Line) String() string {
	if l.Serial != nil {
		return fmt.Sprintf("line %q on %s", l.Name, l.Serial.Device)
	}
	return fmt.Sprintf("endpoint %q at %s", l.Name, l.Address)
}

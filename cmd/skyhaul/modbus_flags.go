package main

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"skyhaul/config"
	"skyhaul/modbus"
	"skyhaul/modbus/serial"
)

// wiringFlags are what a command line says of a line or an endpoint.
type wiringFlags struct {
	cmd                          *cobra.Command
	device, parity, framing, tcp string
	tls                          config.TLS
	configFile, line, dialect    string
	baud, dataBits, stop, unit   int
	timeout                      time.Duration
	json                         bool
	listens                      bool // the command sends nothing
}

// framings are the words of the command line, as of a configuration.
var framings = []struct {
	word    string
	framing modbus.Framing
	serial  bool
}{
	{"rtu", modbus.RTU, true},
	{"ascii", modbus.ASCII, true},
	{"tcp", modbus.TCP, false},
	{"rtu-over-tcp", modbus.RTUOverTCP, false},
	{"ascii-over-tcp", modbus.ASCIIOverTCP, false},
}

// connectFlags adds the flags that name a line or an endpoint.
func connectFlags(cmd *cobra.Command) *wiringFlags {
	f := &wiringFlags{cmd: cmd}
	f.sourceFlags()
	flags := cmd.Flags()
	flags.IntVar(&f.baud, "baud", 9600, "bits per second of the line")
	flags.StringVar(&f.parity, "parity", "N", "parity of the line: N, E or O")
	flags.IntVar(&f.dataBits, "data", 0, "data bits of the line: 7 or 8 (default 8; with --framing ascii 7)")
	flags.IntVar(&f.stop, "stop", 1, "stop bits of the line: 1 or 2")
	flags.DurationVar(&f.timeout, "timeout", time.Second, "longest wait `TIME` for an answer to begin")
	return f
}

// sourceFlags adds the flags that any command has.
func (f *wiringFlags) sourceFlags() {
	f.baud, f.parity, f.stop, f.timeout = 9600, "N", 1, time.Second
	flags := f.cmd.Flags()
	flags.StringVar(&f.device, "device", "", "serial `PORT`, as /dev/ttyUSB0 or COM3")
	flags.StringVar(&f.tcp, "tcp", "", "`HOST:PORT` of an endpoint instead of a line")
	flags.StringVar(&f.framing, "framing", "", "`FRAMING`: rtu (default) or ascii on a line; tcp (default), rtu-over-tcp or ascii-over-tcp with an endpoint")
	flags.StringVar(&f.tls.CAFile, "tls-ca", "", "`FILE` with who vouches for the endpoint (PEM); with the next two: Modbus/TCP Security")
	flags.StringVar(&f.tls.CertFile, "tls-cert", "", "`FILE` with the certificate to show (PEM)")
	flags.StringVar(&f.tls.KeyFile, "tls-key", "", "`FILE` with its key (PEM)")
	flags.StringVar(&f.tls.ServerName, "tls-name", "", "`NAME` in the endpoint's certificate (default: the host of --tcp)")
	flags.StringVar(&f.configFile, "config", "", "take all this from a configuration `FILE`, see --line")
	flags.StringVar(&f.line, "line", "", "`NAME` of the line or endpoint in --config")
	flags.BoolVar(&f.json, "json", false, "print JSON")
}

// dialectFlag adds --dialect, for commands that ask one unit.
func (f *wiringFlags) dialectFlag() {
	f.cmd.Flags().StringVar(&f.dialect, "dialect", "", "`DIALECT` of the unit: modbus or enron (default: the configuration's, else modbus)")
}

// dialects are the words of a configuration.
var dialects = map[string]modbus.Dialect{"modbus": nil, "enron": modbus.Enron()}

// spoken returns the dialects that command line and configuration give.
func (f *wiringFlags) spoken(configured map[modbus.UnitID]modbus.Dialect) (map[modbus.UnitID]modbus.Dialect, error) {
	if f.dialect == "" {
		return configured, nil
	}
	d, ok := dialects[f.dialect]
	if !ok {
		return nil, usageError{fmt.Errorf("--dialect %q: modbus or enron", f.dialect)}
	}
	return map[modbus.UnitID]modbus.Dialect{modbus.UnitID(f.unit): d}, nil
}

// unitFlag adds --unit.
func (f *wiringFlags) unitFlag() {
	f.cmd.Flags().IntVar(&f.unit, "unit", 1, "unit `ID`, 1 to 247; 0 to 255 with an endpoint")
}

// wiring returns what the flags say.
func (f *wiringFlags) wiring() (w wiring, err error) {
	given := 0
	for _, s := range []string{f.device, f.tcp, f.configFile} {
		if s != "" {
			given++
		}
	}
	switch {
	case given != 1:
		return w, usageError{fmt.Errorf("give one of --device PORT, --tcp HOST:PORT and --config FILE: see %s --help", f.cmd.CommandPath())}
	case f.timeout < time.Millisecond || f.timeout > time.Hour:
		return w, usageError{fmt.Errorf("--timeout %v: 1ms to 1h", f.timeout)}
	case f.line != "" && f.configFile == "":
		return w, usageError{errors.New("--line NAME is of a configuration: add --config FILE")}
	case f.configFile != "":
		return f.configured()
	}
	if w.dialects, err = f.spoken(nil); err != nil {
		return w, err
	}
	w.timeout = f.timeout
	if f.device != "" {
		w.serial, err = f.character()
	} else {
		w.address, err = f.tcp, checkAddress(f.tcp)
	}
	if err == nil {
		w.framing, err = f.frames(w.serial != nil)
	}
	if err == nil {
		w.tls, err = f.security(w)
	}
	if err != nil {
		return wiring{}, usageError{err}
	}
	return w, nil
}

// security returns the files of Modbus/TCP Security, nil where none is given.
func (f *wiringFlags) security(w wiring) (*config.TLS, error) {
	t := f.tls
	switch {
	case t == config.TLS{}:
		return nil, nil
	case t.CAFile == "" || t.CertFile == "" || t.KeyFile == "":
		return nil, errors.New("TLS needs all of --tls-ca, --tls-cert and --tls-key")
	case w.serial != nil || w.framing != modbus.TCP:
		return nil, errors.New("TLS is for --tcp with --framing tcp")
	}
	if t.ServerName == "" {
		t.ServerName, _, _ = net.SplitHostPort(w.address) // it was checked
	}
	return &t, nil
}

func (f *wiringFlags) character() (*serial.Config, error) {
	c := &serial.Config{Device: f.device, Baud: f.baud, StopBits: f.stop, DataBits: cmp.Or(f.dataBits, 8)}
	if f.framing == "ascii" {
		c.DataBits = cmp.Or(f.dataBits, 7)
	}
	switch p := strings.ToUpper(f.parity); {
	case p == "N" || p == "E" || p == "O":
		c.Parity = serial.Parity(p[0])
	default:
		return nil, fmt.Errorf("--parity %q: N, E or O", f.parity)
	}
	switch {
	case f.baud < 50 || f.baud > 4_000_000:
		return nil, fmt.Errorf("--baud %d: 50 to 4000000", f.baud)
	case c.DataBits != 7 && c.DataBits != 8 || c.DataBits == 7 && f.framing != "ascii":
		return nil, fmt.Errorf("--data %d: 8, or with --framing ascii 7 or 8", c.DataBits)
	case f.stop != 1 && f.stop != 2:
		return nil, fmt.Errorf("--stop %d: 1 or 2", f.stop)
	}
	return c, nil
}

func checkAddress(addr string) error {
	if host, port, err := net.SplitHostPort(addr); err != nil || host == "" || port == "" {
		return fmt.Errorf("--tcp %q: want host:port, as 10.0.0.5:502", addr)
	}
	return nil
}

// frames returns the framing of a line or an endpoint.
func (f *wiringFlags) frames(line bool) (modbus.Framing, error) {
	var fit []string
	for _, k := range framings {
		if k.serial != line {
			continue
		}
		if f.framing == "" || f.framing == k.word {
			return k.framing, nil
		}
		fit = append(fit, k.word)
	}
	return 0, fmt.Errorf("--framing %q: %s", f.framing, strings.Join(fit, " or "))
}

// configured takes the settings of a line from a configuration.
func (f *wiringFlags) configured() (w wiring, err error) {
	c, err := config.Load(f.configFile)
	if err != nil {
		return w, configError{err}
	}
	i := slices.IndexFunc(c.Lines, func(l config.Line) bool { return l.Name == f.line })
	if i < 0 {
		names := make([]string, len(c.Lines))
		for i, l := range c.Lines {
			names[i] = l.Name
		}
		return w, usageError{fmt.Errorf("--line %q: %s has %s", f.line, f.configFile, strings.Join(names, ", "))}
	}
	l := c.Lines[i]
	switch {
	case l.Text != nil:
		return w, usageError{fmt.Errorf("--line %q: its instruments send text, not Modbus", f.line)}
	case l.Listen > 0 && !f.listens:
		return w, usageError{fmt.Errorf("--line %q: another client owns it (listen_only), and two disturb each other: skyhaul modbus trace --config %s --line %s listens",
			f.line, f.configFile, f.line)}
	}
	w = wiring{serial: l.Serial, address: l.Address, tls: l.TLS, framing: l.Bus.Framing, timeout: l.Bus.Timeout}
	if f.cmd.Flags().Changed("timeout") {
		w.timeout = f.timeout
	}
	w.dialects, err = f.spoken(l.Bus.Dialects)
	return w, err
}

// oneUnit returns the unit that is asked.
func (f *wiringFlags) oneUnit(w wiring) (modbus.UnitID, error) {
	low, high := 1, 247
	if w.serial == nil {
		low, high = 0, 255
	}
	if f.unit < low || f.unit > high {
		return 0, usageError{fmt.Errorf("--unit %d: %d to %d", f.unit, low, high)}
	}
	return modbus.UnitID(f.unit), nil
}

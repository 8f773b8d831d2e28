package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"skyhaul/config"
	"skyhaul/modbus"
	"skyhaul/modbus/serial"
	"skyhaul/modbus/tap"
)

// wiring is a line or an endpoint and how to speak on it.
type wiring struct {
	serial  *serial.Config // nil for an endpoint
	address string         // host:port of an endpoint
	tls     *config.TLS    // nil: in the clear
	framing modbus.Framing
	timeout time.Duration

	dialects map[modbus.UnitID]modbus.Dialect
}

// wiringFlags are what a command line says of a line or an endpoint.
type wiringFlags struct {
	cmd                          *cobra.Command
	device, parity, framing, tcp string
	tls                          config.TLS
	configFile, line, dialect    string
	baud, stop, unit             int
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
	c := &serial.Config{Device: f.device, Baud: f.baud, StopBits: f.stop, DataBits: 8}
	switch p := strings.ToUpper(f.parity); {
	case p == "N" || p == "E" || p == "O":
		c.Parity = serial.Parity(p[0])
	default:
		return nil, fmt.Errorf("--parity %q: N, E or O", f.parity)
	}
	switch {
	case f.baud < 50 || f.baud > 4_000_000:
		return nil, fmt.Errorf("--baud %d: 50 to 4000000", f.baud)
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

// String names the line or endpoint for people.
func (w wiring) String() string {
	if w.serial == nil {
		return fmt.Sprintf("%s (%s)", w.address, w.framing)
	}
	return fmt.Sprintf("%s at %d %s", w.serial.Device, w.serial.Baud, character(*w.serial))
}

// character writes the settings of a character, such as "8E1".
func character(c serial.Config) string {
	return fmt.Sprintf("%d%c%d", cmp.Or(c.DataBits, 8), cmp.Or(c.Parity, serial.NoParity), cmp.Or(c.StopBits, 1))
}

func (w wiring) timing() modbus.LineTiming {
	if w.serial == nil {
		return modbus.LineTiming{}
	}
	return modbus.LineTiming{Bit: w.serial.Bit(), CharBits: w.serial.CharBits()}
}

// header describes a capture made here, begun now.
func (w wiring) header() tap.Header {
	h := tap.Header{Begun: time.Now().UTC(), Source: w.address, Framing: w.framing}
	if w.serial != nil {
		h.Source, h.Baud, h.Character = w.serial.Device, w.serial.Baud, character(*w.serial)
	}
	return h
}

// dialTimeout bounds how long an endpoint may take to accept.
const dialTimeout = 5 * time.Second

// dial opens the port or connects to the endpoint.
func (w wiring) dial(ctx context.Context) (modbus.Conn, error) {
	if w.serial != nil {
		p, err := serial.Open(*w.serial)
		if err != nil {
			return nil, portHint(err, w.serial.Device)
		}
		return p, nil
	}
	dialer := net.Dialer{Timeout: dialTimeout}
	dial := dialer.DialContext
	if w.tls != nil {
		security, err := clientTLS(w.tls)
		if err != nil {
			return nil, err
		}
		dial = (&tls.Dialer{NetDialer: &dialer, Config: security}).DialContext
	}
	c, err := dial(ctx, "tcp", w.address)
	if err != nil {
		return nil, endpointHint(err, w.address)
	}
	return c, nil
}

// clientTLS reads the files of Modbus/TCP Security.
func clientTLS(t *config.TLS) (*tls.Config, error) {
	cert, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("--tls-cert %s, --tls-key %s: %w", t.CertFile, t.KeyFile, err)
	}
	pem, err := os.ReadFile(t.CAFile)
	if err != nil {
		return nil, fmt.Errorf("--tls-ca: %w", err)
	}
	authorities := x509.NewCertPool()
	if !authorities.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("--tls-ca %s: there is no certificate in it", t.CAFile)
	}
	return modbus.ClientTLS(cert, authorities, t.ServerName), nil
}

// portHint says what to do about a port that can't be opened.
func portHint(err error, device string) error {
	if !strings.Contains(err.Error(), "in use") {
		return err
	}
	return fmt.Errorf("%s is in use%s: if it is the daemon, it owns its lines: stop it (systemctl stop skyhaul), do this, and start it again; "+
		"or leave it running and ask its gateway, where one is configured, with --tcp", device, holder(device))
}

// endpointHint says what a refused connection means.
func endpointHint(err error, address string) error {
	var dns *net.DNSError
	var untrusted *tls.CertificateVerificationError
	switch {
	case errors.As(err, &untrusted):
		return fmt.Errorf("%s shows a certificate that can't be trusted: %w: check --tls-ca and --tls-name, and the clock of this computer", address, untrusted.Err)
	case errors.As(err, &dns):
		return fmt.Errorf("%s: the name %q is not known: give the IP address, or check the DNS server", address, dns.Name)
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("%s refuses the connection: the host is there, but no Modbus server listens at this port (usual: 502; 802 with TLS): "+
			"is it switched on in the unit, and is another client connected where only one is allowed?", address)
	case errors.Is(err, os.ErrDeadlineExceeded), isTimeout(err):
		return fmt.Errorf("%s does not answer: no such host, no route, or a firewall drops the packets", address)
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return fmt.Errorf("%s can't be reached: no such host or no route: check the address, the cable and the netmask", address)
	}
	return err
}

func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.As(err, &t) && t.Timeout()
}

// session is a client at work.
type session struct {
	wiring
	client *modbus.Client
	conn   modbus.Conn
	began  time.Time
	once   bool // a read is not sent again
}

// connect opens the line or endpoint; tell, unless nil, hears what passes.
func (w wiring) connect(ctx context.Context, tell func(tap.Chunk)) (*session, error) {
	conn, err := w.dial(ctx)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	if tell != nil {
		conn = tap.NewConn(conn, began, tell)
	}
	client := modbus.NewClient(conn, w.framing, w.timing())
	for unit, d := range w.dialects {
		client.Speak(unit, d)
	}
	return &session{wiring: w, client: client, conn: conn, began: began}, nil
}

// tries is how often a read is sent before it is given up.
const tries = 3

// ask sends a request; a read that met silence or damage is sent again.
func (s *session) ask(ctx context.Context, unit modbus.UnitID, req modbus.PDU) (a modbus.Answer, err error) {
	n := tries
	if s.once || !req.Function().Reads() {
		n = 1
	}
	for range n {
		a, err = s.client.Do(ctx, unit, req, s.timeout)
		if !errors.Is(err, modbus.ErrTimeout) && !errors.Is(err, modbus.ErrDamaged) || ctx.Err() != nil {
			break
		}
	}
	return a, err
}

// hint adds to an error of an exchange what it means and what to do.
func (s *session) hint(err error) error {
	e, declined := errors.AsType[modbus.Exception](err)
	where := s.String()
	switch {
	case declined:
		return fmt.Errorf("%s: %w%s", where, err, exceptionHint(e))
	case errors.Is(err, modbus.ErrTimeout) && s.serial != nil:
		return fmt.Errorf("%s: %w: check power, A and B, the unit id and the settings: skyhaul modbus scan --device %s finds them", where, err, s.serial.Device)
	case errors.Is(err, modbus.ErrTimeout):
		return fmt.Errorf("%s: %w: it accepts connections, but this unit id is silent: skyhaul modbus scan --tcp %s finds those that answer", where, err, s.address)
	case errors.Is(err, modbus.ErrDamaged) && s.serial != nil:
		return fmt.Errorf("%s: %w: wrong baud rate or parity, two units with one id, or noise: skyhaul modbus scan --device %s says which", where, err, s.serial.Device)
	case errors.Is(err, modbus.ErrConn) && s.serial == nil:
		return fmt.Errorf("%s: %w: it accepted the connection and ended it: is it Modbus, is the framing right, does it allow another client?", where, err)
	}
	return fmt.Errorf("%s: %w", where, err)
}

// exceptionHint says what a unit that declines usually means.
func exceptionHint(e modbus.Exception) string {
	switch e {
	case modbus.IllegalFunction:
		return ": the unit is there but has no such function or table: try the other one, input or holding"
	case modbus.IllegalDataAddress:
		return ": the unit is there but has not all of these addresses: try fewer, or one less or more (skyhaul modbus read --expect finds a list that is off by one)"
	case modbus.IllegalDataValue:
		return ": the unit is there but refuses this quantity or value"
	case modbus.ServerDeviceBusy:
		return ": the unit is there but busy: try again"
	case modbus.GatewayPath, modbus.GatewayTarget:
		return ": the gateway is there, the unit behind it is not: check its id and its line"
	}
	return ""
}

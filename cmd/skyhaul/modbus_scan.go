package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"skyhaul/modbus"
	"skyhaul/modbus/serial"
	"skyhaul/modbus/survey"
)

// scanFlags are the flags of modbus scan.
type scanFlags struct {
	*wiringFlags
	bauds           []int
	parityList      []string
	units           string
	full            bool
	timeout, listen time.Duration
}

func modbusScanCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "scan",
		Short: "Find settings and units, or say what is wrong with the line",
		Long: "Listens first whether another client talks, then asks units 1 to 32 at the settings\n" +
			"that instruments come with, the likeliest first, until one answers; there it asks\n" +
			"all and identifies those that answer. With --full it tries all baud rates from 1200\n" +
			"to 115200, all parities and all unit ids. With --tcp it looks for units behind an\n" +
			"endpoint. It reads one register of each unit and writes nothing.",
		Example: "  skyhaul modbus scan --device /dev/ttyUSB0\n" +
			"  skyhaul modbus scan --device /dev/ttyUSB0 --baud 9600,19200 --units 1-247\n" +
			"  skyhaul modbus scan --tcp 10.0.0.5:502",
	}
	f := &scanFlags{wiringFlags: &wiringFlags{cmd: cmd}}
	f.sourceFlags()
	flags := cmd.Flags()
	flags.IntSliceVar(&f.bauds, "baud", nil, "only these `RATES`, as 9600,19200")
	flags.StringSliceVar(&f.parityList, "parity", nil, "only these `PARITIES`, as N,E")
	flags.StringVar(&f.units, "units", "", "unit `IDS`, as 1-32,100 (default 1-32; with --tcp also 255)")
	flags.BoolVar(&f.full, "full", false, "all baud rates, parities and unit ids")
	flags.DurationVar(&f.timeout, "timeout", 0, "longest wait `TIME` for an answer (default 100ms on a line, 1s with --tcp)")
	flags.DurationVar(&f.listen, "listen", 1500*time.Millisecond, "`TIME` to listen for another client before the first request")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return f.run(cmd) }
	return cmd
}

func (f *scanFlags) run(cmd *cobra.Command) error {
	w, err := f.wiring()
	if err != nil {
		return err
	}
	units, err := f.unitList(w)
	if err != nil {
		return usageError{err}
	}
	p := newScanProgress(cmd.ErrOrStderr())
	scan := f.line
	if w.serial == nil {
		scan = f.endpoint
	}
	r, err := scan(cmd.Context(), &w, units, p.tell)
	p.end()
	if err != nil {
		return err
	}
	ids, err := identifyAll(cmd.Context(), w, r)
	if err != nil {
		return err
	}
	if err := f.print(cmd.OutOrStdout(), w, r, ids); err != nil {
		return err
	}
	if r.Verdict != survey.Answers && r.Verdict != survey.Noisy {
		return errors.New(r.Evidence)
	}
	return nil
}

// line scans a line and leaves what was found in w.
func (f *scanFlags) line(ctx context.Context, w *wiring, units []modbus.UnitID, tell func(survey.Progress)) (r survey.Report, err error) {
	settings, err := f.settings(w.framing)
	if err != nil {
		return r, usageError{err}
	}
	if f.listen == 0 {
		f.listen = -1 // not at all
	}
	with := func(s survey.Settings) *serial.Config {
		c := s.Serial(w.serial.Device)
		c.RS485 = w.serial.RS485 // the adapter's, whatever the line has
		return &c
	}
	port := func(ctx context.Context, s survey.Settings) (modbus.Conn, error) {
		return wiring{serial: with(s)}.dial(ctx)
	}
	r, err = survey.Scan(ctx, port, survey.Options{Settings: settings, Units: units, Timeout: f.timeout, Listen: f.listen, Progress: tell})
	w.serial, w.timeout = with(r.Settings), time.Second
	return r, err
}

// endpoint scans an endpoint and leaves what was found in w.
func (f *scanFlags) endpoint(ctx context.Context, w *wiring, units []modbus.UnitID, tell func(survey.Progress)) (r survey.Report, err error) {
	if len(f.bauds)+len(f.parityList) > 0 {
		return r, usageError{errors.New("an endpoint has no baud rate and no parity: --baud and --parity are for --device")}
	}
	framings := []modbus.Framing{modbus.TCP, modbus.RTUOverTCP}
	if f.framing != "" || f.configFile != "" {
		framings = []modbus.Framing{w.framing}
	}
	dial := func(ctx context.Context) (modbus.Conn, error) { return w.dial(ctx) }
	r, err = survey.ScanEndpoint(ctx, dial, survey.EndpointOptions{Framings: framings, Units: units, Timeout: f.timeout, Progress: tell})
	w.framing, w.timeout = r.Framing, time.Second
	return r, err
}

// settings returns what to try.
func (f *scanFlags) settings(framing modbus.Framing) ([]survey.Settings, error) {
	var only []serial.Parity
	for _, p := range f.parityList {
		p = strings.ToUpper(p)
		if p != "N" && p != "E" && p != "O" {
			return nil, fmt.Errorf("--parity %q: N, E or O", p)
		}
		only = append(only, serial.Parity(p[0]))
	}
	for _, b := range f.bauds {
		if b < 50 || b > 4_000_000 {
			return nil, fmt.Errorf("--baud %d: 50 to 4000000", b)
		}
	}
	return survey.Usual(framing, f.bauds, only, f.full), nil
}

// unitList returns the ids to ask.
func (f *scanFlags) unitList(w wiring) ([]modbus.UnitID, error) {
	text, low, high := f.units, 1, 247
	switch {
	case text != "":
	case f.full:
		text = "1-247"
	default:
		text = "1-32"
	}
	if w.serial == nil {
		low, high = 0, 255
		if f.units == "" {
			text += ",255"
		}
	}
	var ids []modbus.UnitID
	for part := range strings.SplitSeq(text, ",") {
		from, to, ranged := strings.Cut(part, "-")
		a, err1 := strconv.Atoi(from)
		b, err2 := strconv.Atoi(to)
		if !ranged {
			b, err2 = a, nil
		}
		if err1 != nil || err2 != nil || a < low || b > high || a > b {
			return nil, fmt.Errorf("--units %q: want ids from %d to %d, as 1-32,100", f.units, low, high)
		}
		for id := a; id <= b; id++ {
			ids = append(ids, modbus.UnitID(id))
		}
	}
	return ids, nil
}

// scanProgress shows on a terminal how far a scan is.
type scanProgress struct {
	w    io.Writer // nil: no terminal
	last time.Time
}

func newScanProgress(w io.Writer) *scanProgress {
	if !paints(w) {
		return &scanProgress{}
	}
	return &scanProgress{w: w}
}

func (p *scanProgress) tell(s survey.Progress) {
	now := time.Now()
	if p.w == nil || now.Sub(p.last) < progressEvery {
		return
	}
	p.last = now
	where := s.Settings.String()
	if s.Settings.Baud == 0 {
		where = "endpoint"
	}
	what := fmt.Sprintf("asking unit %d", s.Unit)
	if s.Unit == 0 && s.Settings.Baud > 0 {
		what = "listening"
	}
	fmt.Fprintf(p.w, "\r%s, %s: %d %%, %v left at most", where, what, 100*s.Done/max(1, s.Total), s.Left.Round(time.Second))
	if len(s.Found) > 0 {
		fmt.Fprintf(p.w, ", found: %s", strings.Trim(fmt.Sprint(s.Found), "[]"))
	}
	fmt.Fprint(p.w, "\x1b[K")
}

func (p *scanProgress) end() {
	if p.w != nil {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
}

// mostIdentified bounds how many units are identified: a device that ignores
// the id is all of them.
const mostIdentified = 32

// identifyAll asks what the units are that answer.
func identifyAll(ctx context.Context, w wiring, r survey.Report) (map[modbus.UnitID]survey.Identity, error) {
	ids := map[modbus.UnitID]survey.Identity{}
	if len(r.Units) == 0 {
		return ids, nil
	}
	s, err := w.connect(ctx, nil)
	if err != nil {
		return nil, err
	}
	defer s.conn.Close()
	s.once = true
	for _, u := range r.Units {
		if u.Intact == 0 || len(ids) == mostIdentified {
			continue
		}
		id, err := survey.Identify(ctx, s.ask, u.Unit, survey.IdentifyOptions{Timing: w.timing()})
		switch {
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case errors.Is(err, modbus.ErrConn):
			return ids, nil // some hang up on what they don't know
		}
		ids[u.Unit] = id
	}
	return ids, nil
}

// jsonScan is modbus scan --json.
type jsonScan struct {
	Verdict  string     `json:"verdict"`
	Evidence string     `json:"evidence"`
	Settings string     `json:"settings,omitempty"`
	Framing  string     `json:"framing"`
	Echo     bool       `json:"echo"`
	Requests int        `json:"requests"`
	Units    []jsonUnit `json:"units"`
	Config   string     `json:"config,omitempty"` // a piece of a configuration
}

// jsonUnit is a unit that was found or identified.
type jsonUnit struct {
	Unit       modbus.UnitID     `json:"unit"`
	Asked      int               `json:"asked,omitempty"`
	Intact     int               `json:"intact,omitempty"`
	Turnaround float64           `json:"turnaround_ms"`
	Identity   string            `json:"identity"`
	Functions  map[string]string `json:"functions,omitempty"` // by code
	Objects    map[string]string `json:"objects,omitempty"`   // of function 43/14, by id
	ServerID   string            `json:"server_id,omitempty"` // of function 17, hex
	Registers  int               `json:"max_registers,omitempty"`
	Bits       int               `json:"max_bits,omitempty"`
	Order      string            `json:"order,omitempty"`
}

// print shows what was found. Where no unit answers the verdict is left to the
// error.
func (f *scanFlags) print(out io.Writer, w wiring, r survey.Report, ids map[modbus.UnitID]survey.Identity) error {
	config := ""
	if r.Verdict == survey.Answers || r.Verdict == survey.Noisy {
		config = snippet(w, r, ids)
	}
	if f.json {
		return json.NewEncoder(out).Encode(scanJSON(w, r, ids, config))
	}
	sc := newScreen(out)
	if err := unitTable(sc, r, ids); err != nil || config == "" {
		return err
	}
	_, err := fmt.Fprintf(out, "%s\n\nfor the configuration:\n\n%s", sc.paint(green, r.Evidence), config)
	return err
}

func scanJSON(w wiring, r survey.Report, ids map[modbus.UnitID]survey.Identity, config string) jsonScan {
	j := jsonScan{
		Verdict: r.Verdict.String(), Evidence: r.Evidence, Framing: w.framing.String(), Echo: r.Echo, Requests: r.Requests,
		Config: config, Units: []jsonUnit{},
	}
	if r.Settings.Baud > 0 {
		j.Settings = r.Settings.String()
	}
	for _, u := range r.Units {
		unit := jsonUnit{Unit: u.Unit}
		if id, ok := ids[u.Unit]; ok {
			unit = identityJSON(id)
		}
		unit.Asked, unit.Intact, unit.Turnaround = u.Asked, u.Intact, u.Turnaround.Seconds()*1000
		j.Units = append(j.Units, unit)
	}
	return j
}

// unitTable shows the units that were heard.
func unitTable(sc *screen, r survey.Report, ids map[modbus.UnitID]survey.Identity) error {
	if len(r.Units) == 0 {
		return nil
	}
	rows := [][]cell{cells("unit", "answers", "turnaround", "functions", "says of itself")}
	for _, u := range r.Units {
		row := cells(u.Unit, fmt.Sprintf("%d of %d", u.Intact, u.Asked), milliseconds(u.Turnaround.Seconds()*1000), "-", "-")
		if id, ok := ids[u.Unit]; ok {
			row[3].text, row[4].text = functionList(id), cmp.Or(id.Text(), "-")
		}
		if u.Intact < u.Asked || u.Damaged > 0 {
			row[1].style = yellow
		}
		rows = append(rows, row)
	}
	if err := sc.table(rows); err != nil {
		return err
	}
	_, err := fmt.Fprintln(sc.w)
	return err
}

// functionList names the functions that a unit answers.
func functionList(id survey.Identity) string {
	var codes []string
	for _, f := range id.Functions {
		e, declined := errors.AsType[modbus.Exception](f.Err)
		switch {
		case f.Err == nil:
			codes = append(codes, functionCode(f.Code))
		case declined && e != modbus.IllegalFunction:
			codes = append(codes, fmt.Sprintf("%s (%02X)", functionCode(f.Code), uint8(e)))
		}
	}
	return cmp.Or(strings.Join(codes, " "), "-")
}

func functionCode(fc modbus.FunctionCode) string {
	if fc == modbus.FuncReadDeviceIdentity {
		return "43/14"
	}
	return strconv.Itoa(int(fc))
}

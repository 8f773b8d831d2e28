package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"skyhaul/modbus"
	hear "skyhaul/modbus/listen"
	"skyhaul/modbus/tap"
)

// traceFlags are the flags of modbus trace.
type traceFlags struct {
	*wiringFlags
	poll, zeroBased bool
	count           int
	every, length   time.Duration
	save, from      string
}

func modbusTraceCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "trace [TABLE ADDRESS]",
		Short: "Show what passes on a line, frame by frame",
		Long: "Listens without sending a byte, until interrupted, and ends with statistics. With\n" +
			"--poll it asks itself for TABLE ADDRESS, as modbus read does. Each frame comes with\n" +
			"the time since the last one, the silence before it in characters and its own time\n" +
			"on the wire. Frames with a wrong checksum are marked. --save keeps a capture that\n" +
			"tests can play, --from shows one.",
		Example: "  skyhaul modbus trace --device /dev/ttyUSB0 --baud 19200 --parity E\n" +
			"  skyhaul modbus trace --tcp 10.0.0.5:502 --unit 1 --poll holding 40001 --count 4 --save tap.txt",
		Args: cobra.MaximumNArgs(2),
	}
	f := &traceFlags{wiringFlags: connectFlags(cmd)}
	f.unitFlag()
	flags := cmd.Flags()
	flags.BoolVar(&f.poll, "poll", false, "ask for TABLE ADDRESS")
	flags.BoolVar(&f.zeroBased, "zero-based", false, "ADDRESS is the number on the wire, from 0")
	flags.IntVar(&f.count, "count", 1, "how many registers or bits to ask for")
	flags.DurationVar(&f.every, "every", time.Second, "`TIME` from request to request")
	flags.DurationVar(&f.length, "for", 0, "end after `TIME`; 0: when interrupted")
	flags.StringVar(&f.save, "save", "", "write a capture to a new `FILE`")
	flags.StringVar(&f.from, "from", "", "show the capture in `FILE`")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if f.from != "" {
			return f.replay(cmd, args)
		}
		return f.live(cmd, args)
	}
	return cmd
}

// replay shows a saved capture.
func (f *traceFlags) replay(cmd *cobra.Command, args []string) error {
	if f.device != "" || f.tcp != "" || f.configFile != "" || f.poll || f.save != "" || len(args) > 0 {
		return usageError{errors.New("--from FILE shows a capture: no other source goes with it")}
	}
	file, err := os.Open(f.from)
	if err != nil {
		return err
	}
	defer file.Close()
	r, err := tap.NewReader(file)
	if err != nil {
		return fmt.Errorf("%s: %w", f.from, err)
	}
	t := newTrace(cmd.OutOrStdout(), f.json, r.Header())
	for {
		c, err := r.Next()
		switch {
		case errors.Is(err, io.EOF):
			return t.end()
		case err != nil:
			return fmt.Errorf("%s: %w", f.from, err)
		}
		t.chunk(c)
	}
}

// live shows what passes now.
func (f *traceFlags) live(cmd *cobra.Command, args []string) error {
	f.listens = !f.poll
	w, err := f.wiring()
	if err != nil {
		return err
	}
	req, unit, err := f.request(w, args)
	if err != nil {
		return err
	}
	ctx := cmd.Context()
	if f.length > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, f.length)
		defer cancel()
	}
	t := newTrace(cmd.OutOrStdout(), f.json, w.header())
	if f.save != "" {
		file, err := os.OpenFile(f.save, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
		if err != nil {
			return err
		}
		defer file.Close()
		if t.capture, err = tap.NewWriter(file, t.header); err != nil {
			return err
		}
	}
	s, err := w.connect(ctx, t.chunk)
	if err != nil {
		return err
	}
	defer s.conn.Close()
	if f.poll {
		err = f.ask(ctx, s, t, unit, req)
	} else {
		err = t.listen(ctx, s)
	}
	if t.failed != nil {
		return t.failed
	}
	return cmp.Or(err, t.end())
}

// request returns what to poll for.
func (f *traceFlags) request(w wiring, args []string) (modbus.PDU, modbus.UnitID, error) {
	switch {
	case f.poll && len(args) != 2:
		return nil, 0, usageError{errors.New("--poll needs TABLE ADDRESS, as --poll holding 40001")}
	case f.poll && f.every <= 0:
		return nil, 0, usageError{fmt.Errorf("--every %v: more than 0", f.every)}
	case !f.poll && len(args) > 0:
		return nil, 0, usageError{errors.New("TABLE ADDRESS is what to ask for: add --poll, or leave it out to listen only")}
	case !f.poll && w.framing == modbus.TCP:
		return nil, 0, usageError{errors.New("an endpoint can't be overheard: add --poll TABLE ADDRESS to trace requests of one's own")}
	case !f.poll:
		return nil, 0, nil
	}
	p, err := parsePlace(args[0], args[1], f.zeroBased)
	if err != nil {
		return nil, 0, err
	}
	unit, err := f.oneUnit(w)
	if err != nil {
		return nil, 0, err
	}
	req, err := modbus.ReadRequest(p.table.read, p.addr, f.count)
	if err != nil {
		return nil, 0, usageError{fmt.Errorf("--count %d: %w", f.count, err)}
	}
	return req, unit, nil
}

// ask polls until ctx ends. What a unit does wrong is in the trace.
func (f *traceFlags) ask(ctx context.Context, s *session, t *trace, unit modbus.UnitID, req modbus.PDU) error {
	for t.failed == nil {
		next := time.Now().Add(f.every)
		_, err := s.client.Do(ctx, unit, req, s.timeout)
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, modbus.ErrTimeout), errors.Is(err, modbus.ErrDamaged):
			t.silence(time.Since(s.began), err)
		case errors.Is(err, modbus.ErrConn):
			return s.hint(err)
		}
		// Others may talk meanwhile.
		if err := t.listenUntil(ctx, s, next); err != nil || ctx.Err() != nil {
			return err
		}
	}
	return nil
}

// trace prints frames and counts them.
type trace struct {
	screen *screen
	json   bool
	header tap.Header
	timing modbus.LineTiming

	capture *tap.Writer // nil: not kept
	failed  error       // to keep or to print
	frames  dissector
	began   time.Time
	last    time.Time // end of the last frame
	now     time.Time
	busy    time.Duration
	units   map[modbus.UnitID]*unitTrace
	noise   int // bytes
	damaged int // frames with a wrong checksum
}

// unitTrace counts what passed between clients and one unit.
type unitTrace struct {
	Unit       modbus.UnitID `json:"unit"`
	Requests   int           `json:"requests"`
	Answers    int           `json:"answers"`
	Exceptions int           `json:"exceptions"`
	Mean       float64       `json:"turnaround_mean_ms"`
	Most       float64       `json:"turnaround_max_ms"`

	paired int
}

func newTrace(w io.Writer, asJSON bool, h tap.Header) *trace {
	if h.Begun.IsZero() {
		h.Begun = time.Unix(0, 0)
	}
	return &trace{
		screen: newScreen(w), json: asJSON, header: h, timing: h.Timing(), began: h.Begun, now: h.Begun,
		frames: newDissector(h), units: map[modbus.UnitID]*unitTrace{},
	}
}

// listenUntil takes in what comes until a time, or ctx ends.
func (t *trace) listenUntil(ctx context.Context, s *session, end time.Time) error {
	ctx, cancel := context.WithDeadline(ctx, end)
	defer cancel()
	return t.listen(ctx, s)
}

// listen takes in what comes until ctx ends.
func (t *trace) listen(ctx context.Context, s *session) error {
	const tick = 50 * time.Millisecond // noise is told when silence has ended it
	buf := make([]byte, 512)
	for ctx.Err() == nil && t.failed == nil {
		if err := s.conn.SetReadDeadline(time.Now().Add(tick)); err != nil {
			return err
		}
		_, err := s.conn.Read(buf) // the tap tells what comes
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			t.now = t.began.Add(time.Since(s.began))
			t.show(t.frames.feed(t.now, tap.Received, nil))
		case err != nil:
			return s.hint(err)
		}
	}
	return nil
}

// chunk takes in what passed.
func (t *trace) chunk(c tap.Chunk) {
	if t.capture != nil && t.failed == nil {
		t.failed = t.capture.Write(c)
	}
	t.now = t.began.Add(c.At)
	t.show(t.frames.feed(t.now, c.Direction, c.Bytes))
}

// silence tells that no valid answer came.
func (t *trace) silence(at time.Duration, err error) {
	if t.json {
		t.encode(jsonFrame{At: at.Seconds(), Kind: "missing", Meaning: err.Error()})
		return
	}
	t.write("%s  %s\n", t.screen.paint(dim, fmt.Sprintf("%11.6f", at.Seconds())), t.screen.paint(red, plain(err.Error())))
}

// write prints, until printing fails.
func (t *trace) write(format string, args ...any) {
	if t.failed == nil {
		_, t.failed = fmt.Fprintf(t.screen.w, format, args...)
	}
}

// encode prints a value as JSON.
func (t *trace) encode(v any) {
	e := json.NewEncoder(t.screen.w)
	e.SetEscapeHTML(false)
	t.failed = cmp.Or(t.failed, e.Encode(v))
}

// longSilence is longer than any frame pauses.
const longSilence = time.Hour

// end prints what is left, and the statistics.
func (t *trace) end() error {
	t.show(t.frames.feed(t.now.Add(longSilence), tap.Received, nil))
	units := slices.SortedFunc(maps.Values(t.units), func(a, b *unitTrace) int { return cmp.Compare(a.Unit, b.Unit) })
	if t.json {
		t.encode(map[string]any{"units": units, "noise_bytes": t.noise, "wrong_checksums": t.damaged, "busy": t.share()})
		return t.failed
	}
	rows := [][]cell{cells("unit", "requests", "answers", "exceptions", "unanswered", "turnaround", "longest")}
	for _, u := range units {
		row := cells(u.Unit, u.Requests, u.Answers, u.Exceptions, max(0, u.Requests-u.Answers), milliseconds(u.Mean), milliseconds(u.Most))
		rows = append(rows, row)
	}
	fmt.Fprintln(t.screen.w)
	if err := t.screen.table(rows); err != nil {
		return err
	}
	_, err := fmt.Fprintf(t.screen.w, "\n%s; noise: %d bytes; wrong checksums: %d frames\n", t.load(), t.noise, t.damaged)
	return err
}

func milliseconds(ms float64) string {
	if ms == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f ms", ms)
}

// share returns how busy the line was, 0 to 1.
func (t *trace) share() float64 {
	if t.now.Sub(t.began) <= 0 {
		return 0
	}
	return float64(t.busy) / float64(t.now.Sub(t.began))
}

func (t *trace) load() string {
	if t.timing.Bit == 0 {
		return fmt.Sprintf("%v in all", t.now.Sub(t.began).Round(time.Millisecond))
	}
	return fmt.Sprintf("%v in all, the line was busy for %.1f %%", t.now.Sub(t.began).Round(time.Millisecond), 100*t.share())
}

// show counts and prints frames.
func (t *trace) show(fs []traced) {
	for i := range fs {
		f := &fs[i]
		t.count(f)
		if t.json {
			t.printJSON(f)
		} else {
			t.print(f)
		}
		t.last = f.end
	}
}

func (t *trace) count(f *traced) {
	t.busy += t.timing.Wire(len(f.Bytes))
	if f.Kind == hear.Noise {
		if strings.HasPrefix(f.meaning(), "WRONG") {
			t.damaged++
		} else {
			t.noise += len(f.Bytes)
		}
		return
	}
	u := t.units[f.Unit]
	if u == nil {
		u = &unitTrace{Unit: f.Unit}
		t.units[f.Unit] = u
	}
	switch {
	case f.echo:
	case f.Kind == hear.Request:
		u.Requests++
	default:
		u.answered(f)
	}
}

func (u *unitTrace) answered(f *traced) {
	u.Answers++
	if f.PDU.Function()&exceptionBit != 0 {
		u.Exceptions++
	}
	if f.Request == nil {
		return
	}
	ms := f.turnaround().Seconds() * 1000
	u.paired++
	u.Mean += (ms - u.Mean) / float64(u.paired)
	u.Most = max(u.Most, ms)
}

// turnaround returns the silence before an answer.
func (t *traced) turnaround() time.Duration { return max(0, t.At.Sub(t.Asked)) }

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

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
	"skyhaul/modbus/survey"
)

// modbusRead is what the command line of modbus read asks for.
type modbusRead struct {
	*wiringFlags
	zeroBased   bool
	count       int
	typ, order  string
	watch       time.Duration
	all         bool
	expect      string
	place       place
	stride      int             // registers that an address has: 1, but for wide items of a dialect
	encoding    survey.Encoding // zero: all
	expected    survey.Expected
	readUnit    modbus.UnitID
	samples     [][]uint16 // the last reads, for judging
	out, notice io.Writer
}

func modbusReadCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "read TABLE ADDRESS",
		Short: "Read registers or bits, and say what they may mean",
		Long: "TABLE is holding, input, coil or discrete. ADDRESS is a number as 40001 or 400001,\n" +
			"or with --zero-based the number on the wire. Without --type registers are shown in\n" +
			"all types and orders that look like a value, with the reason; they are read three\n" +
			"times for that. With --expect and the value on the instrument's display, it looks\n" +
			"two registers around, in both tables and with all scales, for what shows it.",
		Example: "  skyhaul modbus read --device /dev/ttyUSB0 --baud 9600 --unit 1 holding 40001 --count 4\n" +
			"  skyhaul modbus read --tcp 10.0.0.5:502 --unit 1 holding 40102 --expect 23.5",
		Args: cobra.ExactArgs(2),
	}
	r := &modbusRead{wiringFlags: connectFlags(cmd)}
	r.unitFlag()
	r.dialectFlag()
	flags := cmd.Flags()
	flags.BoolVar(&r.zeroBased, "zero-based", false, "ADDRESS is the number on the wire, from 0")
	flags.IntVar(&r.count, "count", 1, "how many registers or bits; with --type, how many values")
	flags.StringVar(&r.typ, "type", "", "read as `TYPE`: uint16 int16 uint32 int32 uint64 int64 float32 float64 bcd16 bcd32 text")
	flags.StringVar(&r.order, "order", "", "bytes in this `ORDER`, A the highest: ABCD CDAB BADC DCBA (default the highest first)")
	flags.DurationVar(&r.watch, "watch", 0, "read again every `INTERVAL` until interrupted")
	flags.BoolVar(&r.all, "all", false, "show also what is unlikely")
	flags.StringVar(&r.expect, "expect", "", "find the `VALUE` that the instrument shows")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		r.out, r.notice = cmd.OutOrStdout(), cmd.ErrOrStderr()
		w, err := r.parse(args)
		if err != nil {
			return err
		}
		s, err := w.connect(cmd.Context(), nil)
		if err != nil {
			return err
		}
		defer s.conn.Close()
		if r.expect != "" {
			return r.find(cmd.Context(), s)
		}
		return r.show(cmd.Context(), s)
	}
	return cmd
}

// parse checks what was asked for.
func (r *modbusRead) parse(args []string) (w wiring, err error) {
	if w, err = r.wiring(); err != nil {
		return w, err
	}
	if r.readUnit, err = r.oneUnit(w); err != nil {
		return w, err
	}
	if r.place, err = parsePlace(args[0], args[1], r.zeroBased); err != nil {
		return w, err
	}
	items := w.dialects[r.readUnit].ItemBytes(r.place.table.read, r.place.addr)
	r.stride = max(1, items/2)
	bits := r.place.table.read.Bits()
	switch {
	case bits && (r.typ != "" || r.order != "" || r.expect != ""):
		return w, usageError{fmt.Errorf("table %s holds bits: --type, --order and --expect are for registers", r.place.table.name)}
	case r.typ == "" && r.order != "":
		return w, usageError{errors.New("--order needs a --type, as --type float32")}
	case r.expect != "" && (r.typ != "" || r.watch != 0):
		return w, usageError{errors.New("--expect tries all types, once: leave --type and --watch out")}
	case items < 0:
		return w, usageError{fmt.Errorf("%s is an archive or a log of the unit: the daemon keeps its records, see [[unit.archive]] and [unit.log] in skyhaul init --reference", r.place)}
	case r.stride > 1 && r.expect != "":
		return w, usageError{fmt.Errorf("%s holds one value of %d bytes at each address: --expect is for lists of plain registers", r.place, items)}
	case r.watch < 0:
		return w, usageError{fmt.Errorf("--watch %v: more than 0", r.watch)}
	}
	if r.typ != "" {
		r.encoding, err = survey.ParseEncoding(r.typ, r.order)
	}
	if r.expect != "" {
		r.expected, err = survey.ParseExpected(r.expect)
	}
	if err != nil {
		return w, usageError{err}
	}
	if e := r.encoding; e.Type() != "" && e.Registers()%r.stride != 0 {
		return w, usageError{fmt.Errorf("--type %s: %s holds values of %d bytes", e.Type(), r.place, items)}
	}
	if _, err = w.dialects[r.readUnit].ReadRequest(r.place.table.read, r.place.addr, r.quantity()); err != nil {
		return w, usageError{fmt.Errorf("--count %d: one request reads 1 to %d registers or 1 to %d bits, and none past wire 65535%s",
			r.count, modbus.MaxReadRegisters, modbus.MaxReadBits, wideLimit(items))}
	}
	return w, nil
}

// wideLimit adds how many wide items one request reads.
func wideLimit(items int) string {
	if items <= 2 {
		return ""
	}
	return fmt.Sprintf("; here, with %d bytes at each address, 1 to %d of them, and none past the range", items, 2*modbus.MaxReadRegisters/items)
}

// quantity returns how many registers, bits or items of a dialect are read.
func (r *modbusRead) quantity() int { return r.count * max(1, r.encoding.Registers()/r.stride) }

// at returns the place of a register among those read.
func (r *modbusRead) at(register int) place { return r.place.at(register / r.stride) }

// span names the addresses of registers from one on.
func (r *modbusRead) span(register, n int) string {
	return r.at(register).span((n + r.stride - 1) / r.stride)
}

// show reads and prints, once or until interrupted. While it watches, a unit
// that does not answer may come back.
func (r *modbusRead) show(ctx context.Context, s *session) error {
	for {
		print, err := r.once(ctx, s)
		switch {
		case ctx.Err() != nil:
			return nil
		case err == nil:
			err = print()
		case r.watch > 0 && !errors.Is(err, modbus.ErrConn):
			_, err = fmt.Fprintln(r.notice, s.hint(err))
		default:
			err = s.hint(err)
		}
		if err != nil || r.watch == 0 || !pause(ctx, r.watch) {
			return err
		}
	}
}

// pause waits for d; false if ctx ended.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// once reads and returns what prints it.
func (r *modbusRead) once(ctx context.Context, s *session) (print func() error, err error) {
	if r.place.table.read.Bits() {
		bits, err := r.bits(ctx, s)
		return func() error { return r.printBits(bits) }, err
	}
	if err := r.sample(ctx, s); err != nil {
		return nil, err
	}
	if r.encoding.Type() != "" {
		return r.values, nil
	}
	return r.views, nil
}

const (
	judged      = 3 // reads that a judgement takes
	kept        = 10
	sampleEvery = 150 * time.Millisecond
)

// sample reads the registers once, or as often as a first judgement takes.
func (r *modbusRead) sample(ctx context.Context, s *session) error {
	n := 1
	if r.encoding.Type() == "" && len(r.samples) == 0 {
		n = judged
	}
	for i := range n {
		if i > 0 && !pause(ctx, sampleEvery) {
			return context.Cause(ctx)
		}
		regs, err := survey.ReadRegisters(ctx, s.ask, r.readUnit, r.place.table.read, r.place.addr, r.quantity())
		if err != nil {
			return err
		}
		r.samples = append(r.samples, regs)
	}
	r.samples = r.samples[max(0, len(r.samples)-kept):]
	return nil
}

func (r *modbusRead) last() []uint16 { return r.samples[len(r.samples)-1] }

// at returns the place some items further on.
func (p place) at(offset int) place { return place{p.table, p.addr + uint16(offset)} }

// span names items in a row: 40101 or 40101-40102.
func (p place) span(n int) string {
	first := strconv.Itoa(p.table.number(p.addr))
	if n <= 1 {
		return first
	}
	return first + "-" + strconv.Itoa(p.table.number(p.addr+uint16(n-1)))
}

// heading says what was read, on a terminal that is watched on a clear screen.
func (r *modbusRead) heading(items int) {
	if r.watch > 0 && paints(r.out) {
		fmt.Fprint(r.out, "\x1b[H\x1b[2J") // home, clear
	}
	fmt.Fprintf(r.out, "unit %d, %s %s, on the wire %d", r.readUnit, r.place.table.name, r.place.span(items), r.place.addr)
	if items > 1 {
		fmt.Fprintf(r.out, "-%d", int(r.place.addr)+items-1)
	}
	fmt.Fprintln(r.out)
}

// jsonItem is an item that was read.
type jsonItem struct {
	Table   string `json:"table"`
	Address int    `json:"address"`
	Wire    uint16 `json:"wire"`
	Value   string `json:"value"`
	Type    string `json:"type,omitempty"`
	Order   string `json:"order,omitempty"`
	Raw     string `json:"raw,omitempty"`    // hex
	Looks   string `json:"looks,omitempty"`  // likely, possible or unlikely
	Reason  string `json:"reason,omitempty"` // of that
}

func (p place) item(value string) jsonItem {
	return jsonItem{Table: p.table.name, Address: p.table.number(p.addr), Wire: p.addr, Value: value}
}

// jsonRead is one pass of modbus read --json.
type jsonRead struct {
	Unit  modbus.UnitID `json:"unit"`
	Time  time.Time     `json:"time"`
	Items []jsonItem    `json:"items"`
}

func (r *modbusRead) printJSON(items []jsonItem) error {
	return json.NewEncoder(r.out).Encode(jsonRead{r.readUnit, time.Now().UTC(), items})
}

// bits reads coils or discrete inputs.
func (r *modbusRead) bits(ctx context.Context, s *session) ([]bool, error) {
	req, err := modbus.ReadRequest(r.place.table.read, r.place.addr, r.count)
	if err != nil {
		return nil, err
	}
	a, err := s.ask(ctx, r.readUnit, req)
	if err != nil {
		return nil, err
	}
	return modbus.Bits(a.PDU, r.count)
}

func (r *modbusRead) printBits(on []bool) error {
	items := make([]jsonItem, len(on))
	rows := [][]cell{cells("address", "wire", "value")}
	for i, v := range on {
		value := "0"
		if v {
			value = "1"
		}
		items[i] = r.place.at(i).item(value)
		rows = append(rows, cells(items[i].Address, items[i].Wire, value))
	}
	if r.json {
		return r.printJSON(items)
	}
	r.heading(r.count)
	return newScreen(r.out).table(rows)
}

// values prints the registers in the type that was asked for.
func (r *modbusRead) values() error {
	regs := r.last()
	width := cmp.Or(r.encoding.Registers(), len(regs))
	var items []jsonItem
	rows := [][]cell{cells("address", "wire", r.encoding, "hex")}
	for at := 0; at+width <= len(regs); at += width {
		part := regs[at : at+width]
		value, _, err := r.encoding.Value(part)
		item := r.at(at).item(value)
		item.Type, item.Order, item.Raw = r.encoding.Type(), r.encoding.Order(), hexRegisters(part)
		if err != nil {
			item.Value, item.Reason = "-", err.Error()
		}
		items = append(items, item)
		rows = append(rows, cells(r.span(at, width), item.Wire, item.Value, item.Raw))
	}
	if r.json {
		return r.printJSON(items)
	}
	r.heading(len(regs) / r.stride)
	return newScreen(r.out).table(rows)
}

func hexRegisters(regs []uint16) string {
	words := make([]string, len(regs))
	for i, v := range regs {
		words[i] = fmt.Sprintf("%04X", v)
	}
	return strings.Join(words, " ")
}

// views prints the registers in all types and orders that look like a value.
func (r *modbusRead) views() error {
	var items []jsonItem
	rows := [][]cell{cells("address", "type", "order", "value", "looks", "because")}
	for _, v := range survey.Readings(r.samples...) {
		if v.Mark == survey.Unlikely && !r.all {
			continue
		}
		item := r.at(v.Offset).item(v.Value)
		item.Type, item.Order, item.Looks, item.Reason = v.Encoding.Type(), v.Encoding.Order(), v.Mark.String(), v.Reason
		item.Raw = hexRegisters(r.last()[v.Offset : v.Offset+v.Registers])
		items = append(items, item)
		row := cells(r.span(v.Offset, v.Registers), item.Type, item.Order, item.Value, item.Looks, item.Reason)
		row[4].style = map[survey.Mark]string{survey.Likely: green, survey.Unlikely: dim}[v.Mark]
		rows = append(rows, row)
	}
	if r.json {
		return r.printJSON(items)
	}
	regs := r.last()
	r.heading(len(regs) / r.stride)
	raw := [][]cell{cells("address", "wire", "hex", "uint16", "int16")}
	for i, v := range regs {
		p := r.at(i)
		raw = append(raw, cells(p.table.number(p.addr), p.addr, fmt.Sprintf("%04X", v), v, int16(v)))
	}
	sc := newScreen(r.out)
	if err := sc.table(raw); err != nil {
		return err
	}
	fmt.Fprintln(r.out)
	return sc.table(rows)
}

// find says where and how the value on the display is kept.
func (r *modbusRead) find(ctx context.Context, s *session) error {
	blocks, err := survey.Around(ctx, s.ask, r.readUnit, r.place.addr)
	if err != nil {
		return s.hint(err)
	}
	ms := survey.Find(r.expected, r.place.table.read, r.place.addr, blocks)
	if r.json {
		return r.findJSON(ms)
	}
	if len(ms) == 0 {
		return fmt.Errorf("nothing within two registers of %s shows %s, in either table, in any type, order or scale: "+
			"check the unit id and the address, and that the value stood still; skyhaul modbus read --all shows what is there", r.place, r.expect)
	}
	fmt.Fprintln(r.out, r.sentence(ms[0]))
	if len(ms) == 1 {
		return nil
	}
	fmt.Fprintln(r.out, "\nother readings show it too; ask again when the value has changed, with all its digits")
	rows := [][]cell{cells("address", "wire", "table", "type", "order", "holds", "times")}
	for _, m := range ms[1:min(len(ms), maxOthers)] {
		p := place{tableOf(m.Function), m.Addr}
		rows = append(rows, cells(p.span(m.Encoding.Registers()), p.addr, p.table.name, m.Encoding.Type(), m.Encoding.Order(), m.Value, factor(m.Power)))
	}
	return newScreen(r.out).table(rows)
}

// maxOthers bounds how many readings are listed beside the best.
const maxOthers = 12

// factor writes a power of ten.
func factor(power int) string {
	if power >= 0 {
		return "1" + strings.Repeat("0", power)
	}
	return "0." + strings.Repeat("0", -power-1) + "1"
}

// sentence says what was found and what it means for the list.
func (r *modbusRead) sentence(m survey.Match) string {
	p := place{tableOf(m.Function), m.Addr}
	how := m.Encoding.String()
	if m.Power != 0 {
		how += " times " + factor(m.Power)
	}
	text := fmt.Sprintf("%s is %s at wire %d, that is %s %d if counting from 1", r.expect, how, p.addr, p.table.name, p.table.number(p.addr))
	switch off := int(p.addr) - int(r.place.addr); {
	case off == 0 && p.table == r.place.table:
		return text + ": the address is right"
	case off == 0:
		return text + fmt.Sprintf(": the number is right, but the table is %s", p.table.name)
	case off == 1 || off == -1:
		return text + fmt.Sprintf(": the list is off by one, add %+d to its addresses", off) + otherTable(p, r.place)
	default:
		return text + fmt.Sprintf(": the list is off by %d, add %+d to its addresses", max(off, -off), off) + otherTable(p, r.place)
	}
}

func otherTable(found, meant place) string {
	if found.table == meant.table {
		return ""
	}
	return ", and the table is " + found.table.name
}

// jsonMatch is a reading that shows the value.
type jsonMatch struct {
	jsonItem
	Factor float64 `json:"factor"`
	Off    int     `json:"off"` // from the address that was meant
}

func (r *modbusRead) findJSON(ms []survey.Match) error {
	out := []jsonMatch{}
	for _, m := range ms {
		item := place{tableOf(m.Function), m.Addr}.item(m.Value)
		item.Type, item.Order = m.Encoding.Type(), m.Encoding.Order()
		f, err := strconv.ParseFloat(factor(m.Power), 64)
		if err != nil {
			return err
		}
		out = append(out, jsonMatch{item, f, int(m.Addr) - int(r.place.addr)})
	}
	return json.NewEncoder(r.out).Encode(out)
}

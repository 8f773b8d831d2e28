package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"skyhaul/modbus"
	"skyhaul/modbus/survey"
)

// modbusWrite is what the command line of modbus write asks for.
type modbusWrite struct {
	*wiringFlags
	zeroBased, yes, broadcast bool
	typ, order                string
	place                     place
	encoding                  survey.Encoding
	value                     string
	regs                      []uint16 // of a register
	on                        bool     // of a coil
	target                    modbus.UnitID
	speaks                    modbus.Dialect
	in                        io.Reader
	out                       io.Writer
}

func modbusWriteCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "write TABLE ADDRESS VALUE",
		Short: "Write one value, and say what was there before and is now",
		Long: "TABLE is holding or coil. Shows the value that is there, asks, writes, reads back.\n" +
			"Without a terminal it needs --yes. A register is written with function 6, a value of\n" +
			"several with function 16; a unit that declines the one is offered the other. A coil\n" +
			"is on or off.",
		Example: "  skyhaul modbus write --device /dev/ttyUSB0 --unit 1 holding 40101 23.5 --type float32 --order CDAB\n" +
			"  skyhaul modbus write --tcp 10.0.0.5:502 --unit 1 coil 17 on",
		Args: cobra.ExactArgs(3),
	}
	m := &modbusWrite{wiringFlags: connectFlags(cmd)}
	m.unitFlag()
	m.dialectFlag()
	flags := cmd.Flags()
	flags.BoolVar(&m.zeroBased, "zero-based", false, "ADDRESS is the number on the wire, from 0")
	flags.StringVar(&m.typ, "type", "uint16", "`TYPE` of the value: uint16 int16 uint32 int32 uint64 int64 float32 float64 bcd16 bcd32 text")
	flags.StringVar(&m.order, "order", "", "bytes in this `ORDER`, A the highest: ABCD CDAB BADC DCBA (default the highest first)")
	flags.BoolVarP(&m.yes, "yes", "y", false, "do not ask")
	flags.BoolVar(&m.broadcast, "broadcast", false, "with --unit 0: all units of the line obey, none answers")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		m.in, m.out = cmd.InOrStdin(), cmd.OutOrStdout()
		w, err := m.parse(args)
		if err != nil {
			return err
		}
		s, err := w.connect(cmd.Context(), nil)
		if err != nil {
			return err
		}
		defer s.conn.Close()
		if m.broadcast {
			return m.all(cmd.Context(), s)
		}
		return m.one(cmd.Context(), s)
	}
	return cmd
}

// parse checks what was asked for.
func (m *modbusWrite) parse(args []string) (w wiring, err error) {
	if w, err = m.wiring(); err != nil {
		return w, err
	}
	if m.place, err = parsePlace(args[0], args[1], m.zeroBased); err != nil {
		return w, err
	}
	if m.target, err = m.addressee(w); err != nil {
		return w, usageError{err}
	}
	m.value, m.speaks = args[2], w.dialects[m.target]
	switch m.place.table.name {
	case "coil":
		err = m.parseCoil()
	case "holding":
		err = m.parseRegisters()
	default:
		err = fmt.Errorf("table %s can't be written: holding or coil", m.place.table.name)
	}
	if err == nil && !m.yes && !isTerminal(m.in) {
		err = errors.New("nobody is here to ask: add --yes to write")
	}
	if err != nil {
		return w, usageError{err}
	}
	return w, nil
}

// addressee returns the unit, 0 for all.
func (m *modbusWrite) addressee(w wiring) (modbus.UnitID, error) {
	switch {
	case m.unit == 0 && m.broadcast && w.framing == modbus.TCP:
		return 0, errors.New("--broadcast: there is none on Modbus/TCP")
	case m.unit == 0 && m.broadcast:
		return modbus.Broadcast, nil
	case m.unit == 0 && w.serial != nil:
		return 0, errors.New("--unit 0 is a broadcast, which all units of the line obey: add --broadcast if that is meant")
	case m.broadcast:
		return 0, errors.New("--broadcast goes with --unit 0")
	}
	return m.oneUnit(w)
}

func (m *modbusWrite) parseCoil() error {
	if m.cmd.Flags().Changed("type") || m.order != "" {
		return errors.New("a coil has no --type and no --order")
	}
	switch strings.ToLower(m.value) {
	case "on", "1", "true":
		m.on = true
	case "off", "0", "false":
	default:
		return fmt.Errorf("value %q: a coil is on or off", m.value)
	}
	return nil
}

func (m *modbusWrite) parseRegisters() (err error) {
	if m.encoding, err = survey.ParseEncoding(m.typ, m.order); err != nil {
		return err
	}
	if m.regs, err = m.encoding.Encode(m.value); err != nil {
		return err
	}
	if size := m.itemBytes(); 2*len(m.regs)%size != 0 {
		return fmt.Errorf("--type %s: %s holds values of %d bytes", m.encoding.Type(), m.place, size)
	}
	_, err = m.requests()
	return err
}

// itemBytes returns how many bytes an address holds.
func (m *modbusWrite) itemBytes() int {
	return max(2, m.speaks.ItemBytes(modbus.FuncWriteRegisters, m.place.addr))
}

// requests returns the request that writes and, where there is one, another
// that does the same.
func (m *modbusWrite) requests() ([]modbus.PDU, error) {
	if m.place.table.name == "coil" {
		many, err := modbus.WriteCoils(m.place.addr, []bool{m.on})
		return []modbus.PDU{modbus.WriteCoil(m.place.addr, m.on), many}, err
	}
	many, err := m.speaks.WriteItems(m.place.addr, m.regs)
	if err != nil || 2*len(m.regs) > m.itemBytes() {
		return []modbus.PDU{many}, err
	}
	one, err := m.speaks.WriteItem(m.place.addr, m.regs...)
	return []modbus.PDU{one, many}, err
}

// read returns what is there as text.
func (m *modbusWrite) read(ctx context.Context, s *session) (value string, regs []uint16, err error) {
	if m.place.table.name == "holding" {
		regs, err = survey.ReadRegisters(ctx, s.ask, m.target, modbus.FuncReadHoldingRegisters, m.place.addr, 2*len(m.regs)/m.itemBytes())
		if err != nil {
			return "", nil, err
		}
		value, _, err = m.encoding.Value(regs)
		if err != nil {
			value = "no " + m.encoding.String() // as it stands, and it may be overwritten
		}
		return value, regs, nil
	}
	req, err := modbus.ReadRequest(modbus.FuncReadCoils, m.place.addr, 1)
	if err != nil {
		return "", nil, err
	}
	a, err := s.ask(ctx, m.target, req)
	if err != nil {
		return "", nil, err
	}
	bits, err := modbus.Bits(a.PDU, 1)
	if err != nil {
		return "", nil, err
	}
	return onOff(bits[0]), nil, nil
}

func onOff(on bool) string {
	if on {
		return "on"
	}
	return "off"
}

// wanted is the value as it will be read back.
func (m *modbusWrite) wanted() string {
	if m.place.table.name == "coil" {
		return onOff(m.on)
	}
	value, _, err := m.encoding.Value(m.regs)
	if err != nil {
		return m.value
	}
	return value
}

// jsonWrite is modbus write --json.
type jsonWrite struct {
	Unit    modbus.UnitID `json:"unit"`
	Table   string        `json:"table"`
	Address int           `json:"address"`
	Wire    uint16        `json:"wire"`
	Before  string        `json:"before,omitempty"`
	Wrote   string        `json:"wrote"`
	After   string        `json:"after,omitempty"`
}

// one writes to one unit.
func (m *modbusWrite) one(ctx context.Context, s *session) error {
	before, _, err := m.read(ctx, s)
	if err != nil {
		return fmt.Errorf("nothing was written, since what is there can't be read: %w", s.hint(err))
	}
	if !m.json {
		fmt.Fprintf(m.out, "unit %d, %s: is %s\n", m.target, m.place, plain(before))
	}
	if err := m.confirm(fmt.Sprintf("write %s?", m.wanted())); err != nil {
		return err
	}
	if err := m.send(ctx, s); err != nil {
		return err
	}
	after, regs, err := m.read(ctx, s)
	if err != nil {
		return fmt.Errorf("%s was written, but can't be read back: %w", m.wanted(), s.hint(err))
	}
	if m.json {
		err = json.NewEncoder(m.out).Encode(jsonWrite{m.target, m.place.table.name, m.place.table.number(m.place.addr), m.place.addr, before, m.wanted(), after})
	} else {
		fmt.Fprintf(m.out, "unit %d, %s: was %s, wrote %s, reads back %s\n", m.target, m.place, plain(before), m.wanted(), plain(after))
	}
	if after != m.wanted() || !slices.Equal(regs, m.regs) {
		return cmp.Or(err, fmt.Errorf("unit %d took the write, but keeps %s: it may limit, round or lock the value, or its program writes it too", m.target, plain(after)))
	}
	return err
}

// confirm asks at the terminal.
func (m *modbusWrite) confirm(question string) error {
	if m.yes {
		return nil
	}
	fmt.Fprint(m.out, question+" [y/N] ")
	line, _ := bufio.NewReader(m.in).ReadString('\n') // an end is a no
	if answer := strings.ToLower(strings.TrimSpace(line)); answer != "y" && answer != "yes" {
		return errors.New("nothing was written")
	}
	return nil
}

// send writes, with another function where the unit has not the first.
func (m *modbusWrite) send(ctx context.Context, s *session) error {
	reqs, err := m.requests()
	if err != nil {
		return err
	}
	for _, req := range reqs {
		_, err = s.ask(ctx, m.target, req)
		if e, declined := errors.AsType[modbus.Exception](err); !declined || e != modbus.IllegalFunction {
			break
		}
	}
	_, declined := errors.AsType[modbus.Exception](err)
	switch {
	case err == nil:
		return nil
	case declined:
		return fmt.Errorf("nothing was written: %w", s.hint(err))
	}
	return fmt.Errorf("whether it was written is not known: read it: %w", s.hint(err))
}

// all writes to all units of a line.
func (m *modbusWrite) all(ctx context.Context, s *session) error {
	if err := m.confirm(fmt.Sprintf("write %s to %s of ALL units of the line?", m.wanted(), m.place)); err != nil {
		return err
	}
	reqs, err := m.requests()
	if err != nil {
		return err
	}
	if _, err := s.client.Do(ctx, modbus.Broadcast, reqs[0], s.timeout); err != nil {
		return s.hint(err)
	}
	if m.json {
		return json.NewEncoder(m.out).Encode(jsonWrite{modbus.Broadcast, m.place.table.name, m.place.table.number(m.place.addr), m.place.addr, "", m.wanted(), ""})
	}
	fmt.Fprintf(m.out, "all units, %s: wrote %s; none answers, so read them\n", m.place, m.wanted())
	return nil
}

package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"skyhaul/modbus"
	"skyhaul/modbus/sim"
)

func simCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "sim",
		Short: "Serve recorded or made-up registers as Modbus units",
		Long: "Replays a recording: a CSV file with ts_ms and a column for each tag, read through\n" +
			"a map file that says in which unit and registers each tag lies. Or, with --units,\n" +
			"serves units whose registers 0 to 999 of each table hold their own address.\n" +
			"The units answer on a pty (Linux), in the time that a line takes and as badly as\n" +
			"--faults says, or as Modbus/TCP; with --tcp and --framing rtu, like a line behind a\n" +
			"serial device server.\n\n" +
			"Faults are listed with the probability that an answer has them, as drop=0.02:\n" +
			"  drop no answer; exception 04; noise, noise-before, noise-after 1 to 3 bytes more;\n" +
			"  flip one bit; corrupt each byte; wrong-unit; cut its end; split by a pause\n" +
			"  (split-by=20ms); break ahead of it; late, when the next request came or late-by=2s;\n" +
			"  slow, ten turnarounds; hang-up, the port is away (away=1s).\n" +
			"Without a probability: echo, and swapped, the two wires of the client.",
		Example: "  skyhaul sim --map site7.map.json --replay site7.csv.zst --pty /tmp/ttyS7\n" +
			"  skyhaul sim --units 1,3,7 --settings 19200-8E1 --faults noise=0.05,late=0.01 --pty /tmp/ttyS7",
	}
	var o simFlags
	o.add(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := o.check(); err != nil {
			return usageError{err}
		}
		line, faults, err := o.line()
		if err != nil {
			return usageError{err}
		}
		served, err := o.serve(&line)
		if err != nil {
			return err
		}
		return o.run(cmd.Context(), cmd.ErrOrStderr(), line, faults, served)
	}
	return cmd
}

// simFlags are the flags of the command.
type simFlags struct {
	mapFile, replay  string
	interval         time.Duration
	loop             bool
	units, twins     []uint
	pty, tcp         string
	framing          string
	dialect          string
	settings, faults string
	baud             int
	lenient, echo    bool
	poller           uint
	turnaround       time.Duration
	jitter           time.Duration
	speed            float64
	seed             uint64
}

func (o *simFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&o.mapFile, "map", "", "map `FILE` (JSON); needs --replay")
	flags.StringVar(&o.replay, "replay", "", "recording `FILE.csv[.zst]`")
	flags.DurationVar(&o.interval, "interval", 0, "time from row to row; 0: as recorded")
	flags.BoolVar(&o.loop, "loop", false, "begin again after the last row; else it stays")
	flags.UintSliceVar(&o.units, "units", nil, "in place of a recording: `IDs` of units with made-up registers, as 1,3,7")
	flags.StringVar(&o.dialect, "dialect", "modbus", "`modbus|enron`; enron: 3001, 5001, 7001 to ..100, and an archive at 701")
	flags.UintSliceVar(&o.twins, "twins", nil, "`IDs` that another unit has as well; both answer at once")
	flags.StringVar(&o.pty, "pty", "", "make a pty and let `LINK` name its clients' end")
	flags.StringVar(&o.tcp, "tcp", "", "listen on `ADDR`, as 127.0.0.1:1502")
	flags.StringVar(&o.framing, "framing", "", "`rtu|ascii|tcp` (default rtu with --pty, tcp with --tcp)")
	flags.IntVar(&o.baud, "baud", 9600, "bits per second of a line that takes any client's settings")
	flags.StringVar(&o.settings, "settings", "", "`LINE` settings of the units, as 19200-8E1: clients need the same")
	flags.BoolVar(&o.lenient, "lenient", false, "the units understand a client with other settings, and answer with theirs")
	flags.DurationVar(&o.turnaround, "turnaround", 5*time.Millisecond, "pause of a unit before its answer")
	flags.DurationVar(&o.jitter, "jitter", 0, "what the turnaround may be longer, at random")
	flags.StringVar(&o.faults, "faults", "", "`LIST` of faults, as noise=0.05,late=0.01")
	flags.BoolVar(&o.echo, "echo", false, "the client hears its own requests, as on two wires")
	flags.UintVar(&o.poller, "poller", 0, "another client reads 10 registers of `UNIT` each second")
	flags.Uint64Var(&o.seed, "seed", 0, "of the faults' dice: the same faults again")
	flags.Float64Var(&o.speed, "speed", 1, "divide every interval and bit time by this")
}

func (o *simFlags) check() error {
	recorded := o.mapFile != "" && o.replay != ""
	switch {
	case len(o.units) == 0 && !recorded:
		return errors.New("--map FILE and --replay FILE are needed")
	case len(o.units) > 0 && (o.mapFile != "" || o.replay != ""):
		return errors.New("give either --units or --map and --replay")
	case o.dialect != "modbus" && (o.dialect != "enron" || len(o.units) == 0):
		return fmt.Errorf("--dialect %q is not modbus or, with --units, enron", o.dialect)
	case (o.pty == "") == (o.tcp == ""):
		return errors.New("give either --pty LINK or --tcp ADDR")
	case o.baud < 50 || o.speed <= 0:
		return errors.New("--baud is at least 50, --speed more than 0")
	case !o.onLine() && (o.framing != "" && o.framing != "tcp"):
		return fmt.Errorf("--framing %q is not rtu, ascii or tcp", o.framing)
	case !o.onLine() && (o.settings != "" || o.faults != "" || o.echo || o.poller != 0 || len(o.twins) > 0):
		return errors.New("--settings, --faults, --echo, --poller and --twins need a line: --pty or --framing rtu")
	case o.pty != "" && o.framing == "tcp":
		return errors.New("a pty is no place for --framing tcp")
	}
	return nil
}

// onLine reports whether there is a line, with its time and faults.
func (o *simFlags) onLine() bool {
	return o.framing == "rtu" || o.framing == "ascii" || o.framing == "" && o.pty != ""
}

// line returns the line without its port and what is recorded.
func (o *simFlags) line() (line sim.Options, f sim.Faults, err error) {
	line = sim.Options{
		Timing:  modbus.LineTiming{Bit: time.Second / time.Duration(o.baud), CharBits: 10},
		Lenient: o.lenient, Turnaround: o.turnaround, Jitter: o.jitter, Speed: o.speed, Seed: o.seed,
	}
	if o.framing == "ascii" {
		line.Framing = modbus.ASCII
	}
	if o.settings != "" {
		if line.Settings, err = sim.ParseLineSettings(o.settings); err != nil {
			return line, f, fmt.Errorf("--settings: %w", err)
		}
	}
	if f, err = sim.ParseFaults(o.faults); err != nil {
		return line, f, fmt.Errorf("--faults: %w", err)
	}
	f.Echo = f.Echo || o.echo
	if line.Units, err = madeUp("--units", o.units, o.dialect); err != nil {
		return line, f, err
	}
	if line.Twins, err = madeUp("--twins", o.twins, o.dialect); err != nil {
		return line, f, err
	}
	if o.poller == 0 {
		return line, f, nil
	}
	req, err := modbus.ReadRequest(modbus.FuncReadHoldingRegisters, 0, 10)
	line.Others = []sim.Poller{{Unit: modbus.UnitID(o.poller), Request: req, Every: time.Second}}
	return line, f, err
}

// serve gives the line what is recorded, and says what its units are.
func (o *simFlags) serve(line *sim.Options) (what string, err error) {
	if len(o.units) > 0 {
		return fmt.Sprintf("units %s", strings.Trim(fmt.Sprint(o.units), "[]")), nil
	}
	rec, err := sim.Load(o.replay, o.mapFile)
	if err != nil {
		return "", err
	}
	line.Units = sim.NewReplay(rec, sim.ReplayOptions{Interval: o.interval, Speed: o.speed, Loop: o.loop})
	return fmt.Sprintf("%d points, %d rows", len(rec.Points()), rec.Rows()), nil
}

// madeUp returns units whose registers hold their own address.
func madeUp(flag string, ids []uint, dialect string) (modbus.Units, error) {
	units := make(modbus.Units)
	for _, id := range ids {
		if id < 1 || id > 247 {
			return nil, fmt.Errorf("%s: unit %d is not 1 to 247", flag, id)
		}
		if dialect == "enron" {
			units[modbus.UnitID(id)] = madeUpEnron()
		} else {
			units[modbus.UnitID(id)] = madeUpUnit()
		}
	}
	return units, nil
}

func madeUpUnit() *modbus.Bank {
	const registers = 1000
	bank := new(modbus.Bank)
	for addr := range uint16(registers) {
		bank.Set(modbus.HoldingRegisters, addr, addr)
		bank.Set(modbus.InputRegisters, addr, addr)
		bank.Set(modbus.Coils, addr, addr&1)
		bank.Set(modbus.DiscreteInputs, addr, addr&1)
	}
	return bank
}

// madeUpEnron is a flow computer whose numbers are their own values. Its
// archive holds a day of hours: date, time and two floats each.
func madeUpEnron() *modbus.Bank {
	const items, hours = 100, 24
	bank := &modbus.Bank{Dialect: modbus.Enron()}
	for i := range uint16(items) {
		bank.Set(modbus.Coils, 1001+i, i&1)
		bank.Set(modbus.HoldingRegisters, 3001+i, 3001+i)
		bank.Set(modbus.HoldingRegisters, 5001+i, 0, 5001+i)
		float := math.Float32bits(7001 + float32(i))
		bank.Set(modbus.HoldingRegisters, 7001+i, uint16(float>>16), uint16(float))
	}
	for hour := range uint16(hours) {
		var record []byte
		for _, v := range []float32{10126, 10000 * float32(hour), float32(hour), 100} { // 01/01/26
			record = binary.BigEndian.AppendUint32(record, math.Float32bits(v))
		}
		bank.Archives.SetRecord(701, hour, record)
	}
	return bank
}

func (o *simFlags) run(ctx context.Context, log io.Writer, line sim.Options, f sim.Faults, what string) error {
	if o.pty != "" {
		line.Open = sim.PTY(o.pty)
		fmt.Fprintf(log, "%s; open %s at %s\n", what, o.pty, o.speaks(line))
		return serveLine(ctx, line, f)
	}
	ln, err := new(net.ListenConfig).Listen(context.WithoutCancel(ctx), "tcp", o.tcp)
	if err != nil {
		return err
	}
	if !o.onLine() {
		fmt.Fprintf(log, "serving Modbus/TCP on %s\n", ln.Addr())
		return sim.ServeTCP(ctx, ln, line.Units)
	}
	defer ln.Close()
	line.Open = sim.DeviceServer(ln.(*net.TCPListener))
	fmt.Fprintf(log, "%s; serving a line of %s on %s\n", what, o.speaks(line), ln.Addr())
	return serveLine(ctx, line, f)
}

// speaks says how to talk to a line.
func (o *simFlags) speaks(line sim.Options) string {
	how := fmt.Sprintf("%d baud 8N1", o.baud)
	if line.Settings.Baud > 0 {
		how = line.Settings.String()
	}
	if line.Framing == modbus.ASCII {
		how += " ASCII"
	}
	return how
}

func serveLine(ctx context.Context, o sim.Options, f sim.Faults) error {
	line := sim.NewLine(o)
	line.SetFaults(f)
	return line.Run(ctx)
}

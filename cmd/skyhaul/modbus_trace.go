package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"skyhaul/modbus"
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
	if isTerminal(cmd.ErrOrStderr()) {
		fmt.Fprintf(cmd.ErrOrStderr(), "%s: Ctrl-C ends the trace and shows its statistics\n", w)
	}
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

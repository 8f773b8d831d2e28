package main

import (
	"context"
	"fmt"
	"net"
	"time"

	"github.com/spf13/cobra"

	"skyhaul/modbus"
	"skyhaul/modbus/sim"
)

func simCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "sim",
		Short: "Serve recorded registers as Modbus units",
		Long: "Replays a recording: a CSV file with ts_ms and a column for each tag, read through\n" +
			"a map file that says in which registers each tag lies. The units answer on a pty,\n" +
			"in the time that a line of --baud takes (Linux), or as Modbus/TCP.",
		Example: "  skyhaul sim --map site7.map.json --replay site7.csv.zst --pty /tmp/ttyS7",
	}
	flags := cmd.Flags()
	mapFile := flags.String("map", "", "map `FILE` (JSON, required)")
	replay := flags.String("replay", "", "recording `FILE.csv[.zst]` (required)")
	pty := flags.String("pty", "", "make a pty and let `LINK` name its clients' end")
	tcp := flags.String("tcp", "", "listen on `ADDR`, as 127.0.0.1:1502")
	baud := flags.Int("baud", 9600, "bits per second of the pty's line")
	turnaround := flags.Duration("turnaround", 5*time.Millisecond, "pause of a unit before its answer on the pty")
	interval := flags.Duration("interval", 0, "time from row to row; 0: as recorded")
	speed := flags.Float64("speed", 1, "divide every interval and bit time by this")
	loop := flags.Bool("loop", false, "begin again after the last row; else it stays")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		switch {
		case *mapFile == "" || *replay == "":
			return usageError{fmt.Errorf("--map FILE and --replay FILE are needed")}
		case (*pty == "") == (*tcp == ""):
			return usageError{fmt.Errorf("give either --pty LINK or --tcp ADDR")}
		case *baud < 50 || *speed <= 0:
			return usageError{fmt.Errorf("--baud is at least 50, --speed more than 0")}
		}
		rec, err := sim.Load(*replay, *mapFile)
		if err != nil {
			return err
		}
		units := sim.NewReplay(rec, sim.ReplayOptions{Interval: *interval, Speed: *speed, Loop: *loop})
		if *tcp != "" {
			return serveSim(cmd, units, *tcp)
		}
		line := sim.NewLine(sim.Options{
			Open: sim.PTY(*pty), Units: units, Speed: *speed, Turnaround: *turnaround,
			Timing: modbus.LineTiming{Bit: time.Second / time.Duration(*baud), CharBits: 10},
		})
		fmt.Fprintf(cmd.ErrOrStderr(), "%d points, %d rows; open %s at %d baud 8N1\n", len(rec.Points()), rec.Rows(), *pty, *baud)
		return line.Run(cmd.Context())
	}
	return cmd
}

func serveSim(cmd *cobra.Command, units modbus.Handler, addr string) error {
	ln, err := new(net.ListenConfig).Listen(context.WithoutCancel(cmd.Context()), "tcp", addr)
	if err != nil {
		return err
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "serving Modbus/TCP on %s\n", ln.Addr())
	return sim.ServeTCP(cmd.Context(), ln, units)
}

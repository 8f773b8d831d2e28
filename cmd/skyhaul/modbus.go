package main

import (
	"github.com/spf13/cobra"
)

func modbusCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "modbus",
		Short: "Commission a line or an endpoint: read, write, scan, identify, trace",
		Long: "Speaks Modbus on a serial line or with an endpoint, without the daemon. A line has\n" +
			"one owner: while the daemon runs, its lines can't be opened.",
		Example: "  skyhaul modbus scan --device /dev/ttyUSB0\n" +
			"  skyhaul modbus read --device /dev/ttyUSB0 --baud 9600 --parity N --unit 1 holding 40001 --count 4",
	}
	cmd.AddCommand(modbusReadCommand(), modbusWriteCommand(), modbusScanCommand(), modbusIdentifyCommand(), modbusTraceCommand(), modbusPortsCommand())
	return cmd
}

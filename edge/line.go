package edge

import (
	"context"
	"log/slog"
	"net"

	"skyhaul/config"
	"skyhaul/modbus"
	"skyhaul/modbus/bus"
	"skyhaul/modbus/serial"
)

func newLine(c *config.Line, log *slog.Logger) *line {
	o := c.Bus
	o.Log = log.With("line", c.Name)
	o.Dial = dialEndpoint(c.Address)
	if c.Serial != nil {
		o.Dial = openPort(*c.Serial)
	}
	return &line{bus.New(o), c}
}

func dialEndpoint(addr string) func(context.Context) (modbus.Conn, error) {
	return func(ctx context.Context) (modbus.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", addr)
	}
}

func openPort(c serial.Config) func(context.Context) (modbus.Conn, error) {
	return func(context.Context) (modbus.Conn, error) {
		return serial.Open(c)
	}
}

package edge

import (
	"context"
	"log/slog"
	"net"

	"skyhaul/config"
	"skyhaul/edge/textline"
	"skyhaul/modbus"
	"skyhaul/modbus/bus"
	"skyhaul/modbus/serial"
)

func newLine(c *config.Line, log *slog.Logger) *line {
	l := &line{config: c}
	dial := dialEndpoint(c.Address)
	if c.Serial != nil {
		dial = openPort(*c.Serial)
	}
	o := c.Bus
	o.Log = log.With("line", c.Name)
	if c.Text != nil {
		text := *c.Text
		text.Dial, text.Log = dial, o.Log
		dial = textline.Dial(text)
	}
	o.Dial = func(ctx context.Context) (modbus.Conn, error) {
		conn, err := dial(ctx)
		l.dialled.Store(&err)
		return conn, err
	}
	l.Line = bus.New(o)
	return l
}

// lastError says why the line can't be opened; "" where it could or nobody tried.
func (l *line) lastError() string {
	if err := l.dialled.Load(); err != nil && *err != nil {
		return (*err).Error()
	}
	return ""
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

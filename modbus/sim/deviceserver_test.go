package sim

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"skyhaul/modbus"
)

func TestDeviceServerHasOneClientAfterTheOther(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	timing := modbus.LineTiming{Bit: time.Second / 115200, CharBits: 10}
	l := NewLine(Options{Open: DeviceServer(ln.(*net.TCPListener)), Timing: timing, Units: modbus.Units{1: unitOf()}})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- l.Run(ctx) }()
	ask := func() error {
		c, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		a, err := readWithin(t, 5*time.Second, modbus.NewClient(c, modbus.RTUOverTCP, modbus.LineTiming{}), 1, 10)
		if least := timing.Wire(8+25) + timing.T35(); err == nil && a.Total < least {
			t.Errorf("10 registers in %v, the line needs %v", a.Total, least)
		}
		return err
	}
	for range 3 {
		if err := ask(); err != nil {
			t.Fatal(err)
		}
	}
	l.SetFaults(Faults{HangUp: 1, Away: 10 * time.Millisecond})
	if err := ask(); !errors.Is(err, modbus.ErrConn) {
		t.Errorf("got %v, want a lost connection", err)
	}
	l.SetFaults(Faults{})
	if err := ask(); err != nil {
		t.Errorf("after the port is back: %v", err)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

package sim

import (
	"context"
	"net"
	"testing"
	"time"

	"skyhaul/modbus"
)

func TestTCPServesSeveralClients(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- ServeTCP(ctx, ln, modbus.Units{1: unitOf(), 2: unitOf()}) }()
	for range 3 {
		c, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		client := modbus.NewClient(c, modbus.TCP, modbus.LineTiming{})
		for unit := range modbus.UnitID(2) {
			if _, err := readWithin(t, 5*time.Second, client, 1+unit, 125); err != nil {
				t.Error(err)
			}
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

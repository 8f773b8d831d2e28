package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"skyhaul/config"
	"skyhaul/modbus"
	"skyhaul/modbus/serial"
	"skyhaul/modbus/survey"
)

func TestWhatAScanFindsIsAConfiguration(t *testing.T) {
	point := "[[unit.point]]\nid = 1\ntag = \"P\"\naddress = 40001\n\n[[group]]\nname = \"g\"\ninterval = \"10s\"\n"
	r := survey.Report{Units: []survey.Found{{Unit: 3, Asked: 4, Intact: 4}}}
	ids := map[modbus.UnitID]survey.Identity{3: {Unit: 3, Order: "CDAB", OrderReason: "so it seems", ServerID: []byte("FT-1000 \"x\"\n")}}
	line := func(c serial.Config, f modbus.Framing) wiring { return wiring{serial: &c, framing: f} }
	for name, w := range map[string]wiring{
		"line":     line(serial.Config{Device: `COM3`, Baud: 19200, DataBits: 8, Parity: serial.EvenParity, StopBits: 1}, modbus.RTU),
		"ascii":    line(serial.Config{Device: "/dev/ttyUSB0", Baud: 9600, DataBits: 7, Parity: serial.NoParity, StopBits: 2}, modbus.ASCII),
		"endpoint": {address: "192.0.2.10:502", framing: modbus.TCP},
		"server":   {address: "192.0.2.10:4001", framing: modbus.RTUOverTCP},
	} {
		file := filepath.Join(t.TempDir(), "skyhaul.toml")
		text := "[site]\nid = \"well-17\"\n\n[buffer]\ndir = \"store\"\n\n" + snippet(w, r, ids) + point
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := config.Load(file)
		if err != nil {
			t.Errorf("%s: %v\n%s", name, err, text)
			continue
		}
		l := c.Lines[0]
		got := wiring{serial: l.Serial, address: l.Address, framing: l.Bus.Framing, timeout: time.Second}
		w.timeout = time.Second
		if diff := cmp.Diff(w.String()+w.header().Character, got.String()+got.header().Character); diff != "" || got.framing != w.framing {
			t.Errorf("%s:\n%s", name, diff)
		}
	}
}

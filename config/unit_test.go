package config

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"skyhaul/modbus"
	"skyhaul/modbus/bus"
)

// unitWith is a site with one unit that has further keys.
func unitWith(addresses, keys, pt string) string {
	return "[site]\nid = \"a\"\n[[endpoint]]\nname = \"plc\"\naddress = \"h:502\"\n[[unit]]\nname = \"u\"\non = \"plc\"\nid = 1\n" +
		"addresses = \"" + addresses + "\"\n" + keys + "\n[[unit.point]]\nid = 1\ntag = \"PT\"\n" + pt + "\n[[group]]\nname = \"fast\"\ninterval = \"1m\"\n"
}

func TestPartsOfTablesAreCountedAsThePointsAre(t *testing.T) {
	c, err := load(t, unitWith("modicon", `avoid = ["40100-40199", "30007"]`+"\n"+`exclusive = ["1-8"]`, "address = 40001"))
	if err != nil {
		t.Fatal(err)
	}
	cost := c.Groups[0].Costs[1]
	want := []bus.Range{{Function: modbus.FuncReadHoldingRegisters, Addr: 99, Quantity: 100}, {Function: modbus.FuncReadInputRegisters, Addr: 6, Quantity: 1}}
	if diff := cmp.Diff(want, cost.Avoid); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]bus.Range{{Function: modbus.FuncReadCoils, Addr: 0, Quantity: 8}}, cost.Exclusive); diff != "" {
		t.Error(diff)
	}
	c, err = load(t, unitWith("zero-based", `exclusive = ["input 0-1"]`, "address = 1"))
	if err != nil {
		t.Fatal(err)
	}
	if got := c.Groups[0].Costs[1].Exclusive[0]; got != (bus.Range{Function: modbus.FuncReadInputRegisters, Addr: 0, Quantity: 2}) {
		t.Errorf("%+v", got)
	}
	for _, bad := range []string{`"x"`, `"40001-x"`, `"holding 40005-40001"`, `"40005-30007"`, `""`, `"coil 40001"`} {
		_, err := load(t, unitWith("modicon", "avoid = ["+bad+"]", "address = 40001"))
		if err == nil || !strings.Contains(err.Error(), "skyhaul.toml:11: unit \"u\": avoid: ") {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

func TestEnronItemsFillOneAddress(t *testing.T) {
	c, err := load(t, unitWith("zero-based", `dialect = "enron"`, "address = 7001\ntype = \"float32\"\n[[unit.point]]\nid = 2\ntag = \"TT\"\naddress = 7002\ntype = \"float32\"\n"+
		"[[unit.point]]\nid = 3\ntag = \"N\"\naddress = 3001"))
	if err != nil {
		t.Fatal(err)
	}
	if c.Lines[0].Bus.Dialects[1] == nil {
		t.Error("the line knows no dialect")
	}
	for i, want := range []bus.Range{
		{Function: 3, Addr: 7001, Quantity: 1, ItemBytes: 4}, {Function: 3, Addr: 7002, Quantity: 1, ItemBytes: 4}, {Function: 3, Addr: 3001, Quantity: 1, ItemBytes: 2},
	} {
		if got := c.Groups[0].Points[i].Range(); got != want {
			t.Errorf("point %d is read at %+v, want %+v", i, got, want)
		}
	}
	_, err = load(t, unitWith("zero-based", `dialect = "enron"`, "address = 7001"))
	if err == nil || !strings.Contains(err.Error(), `type: "uint16"`) {
		t.Errorf("16 bits of an item of 32: %v", err)
	}
}

func TestSecureEndpointNeedsItsFiles(t *testing.T) {
	files := "ca_file = \"ca.pem\"\ncert_file = \"site.pem\"\nkey_file = \"credential:site-key\"\n"
	for _, c := range []struct{ keys, want string }{
		{"tls = true\n" + files, ""},
		{files, `skyhaul.toml:3: endpoint "plc": tls: must be true where its files are given`},
		{"tls = true\n", `tls: needs ca_file, cert_file and key_file`},
		{"tls = true\nframing = \"rtu-over-tcp\"\n" + files, `tls: goes with framing tcp alone`},
	} {
		text := strings.Replace(unitWith("modicon", "", "address = 40001"), "address = \"h:502\"\n", "address = \"h:802\"\n"+c.keys, 1)
		got, err := load(t, text)
		switch {
		case c.want == "":
			if err != nil || got.Lines[0].TLS.ServerName != "h" || got.Lines[0].TLS.KeyFile != "credential:site-key" {
				t.Errorf("%v %+v", err, got)
			}
		case err == nil || !strings.Contains(err.Error(), c.want):
			t.Errorf("%q: %v", c.keys, err)
		}
	}
}

// A read of an exclusive range clears it.
func TestExclusiveRangeIsOneGroupsAndKnownToTheLine(t *testing.T) {
	const two = "address = 40001\ngroup = \"fast\"\n[[unit.point]]\nid = 2\ntag = \"N2\"\naddress = 40002\ngroup = "
	slow := "[[group]]\nname = \"slow\"\ninterval = \"1h\"\n"
	c, err := load(t, unitWith("modicon", `exclusive = ["40001-40002"]`, two+`"fast"`)+slow)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := load(t, unitWith("modicon", `exclusive = ["40001-40002"]`, "address = 40001\n[[unit.point]]\nid = 2\ntag = \"N2\"\naddress = 40002\n")); err != nil {
		t.Errorf("the only group need not be named: %v", err)
	}
	if len(c.Lines[0].Bus.Exclusive[1]) != 1 {
		t.Errorf("the line's are %v", c.Lines[0].Bus.Exclusive)
	}
	_, err = load(t, unitWith("modicon", `exclusive = ["40001-40002"]`, two+`"slow"`)+slow)
	if err == nil || !strings.Contains(err.Error(), `tag "N2": group: "slow" is in one exclusive range with tag "PT" of group "fast"`) {
		t.Error(err)
	}
}

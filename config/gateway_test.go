package config

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"skyhaul/modbus"
	"skyhaul/modbus/gateway"
)

// doored is a site with a gateway to its endpoint.
func doored(keys string) string {
	return unitWith("modicon", "", "address = 40001") + "[[gateway]]\nlisten = \"127.0.0.1:1502\"\n" + keys
}

func TestGatewayKnowsUnitsAndWhatMayBeWritten(t *testing.T) {
	c, err := load(t, doored("line = \"plc\"\nmax_age = \"5s\"\ndefault_unit = 1\n[[gateway.write]]\nunit = \"u\"\naddresses = [\"40100-40109\", \"17\"]"))
	if err != nil {
		t.Fatal(err)
	}
	g := c.Gateways[0]
	if g.Line != "plc" || g.Door.Framing != modbus.TCP || g.Door.MaxAge != 5*time.Second || g.TLS != nil {
		t.Errorf("%+v", g)
	}
	if diff := cmp.Diff(map[modbus.UnitID]modbus.UnitID{0: 1, 1: 1, 255: 1}, g.Door.Units); diff != "" {
		t.Error(diff)
	}
	want := []gateway.Write{
		{Unit: 1, Functions: []modbus.FunctionCode{6, 16}, First: 99, Last: 108},
		{Unit: 1, Functions: []modbus.FunctionCode{5, 15}, First: 16, Last: 16},
	}
	if diff := cmp.Diff(want, g.Door.Writes); diff != "" {
		t.Error(diff)
	}
}

func TestGatewayMistakes(t *testing.T) {
	for _, c := range []struct{ keys, want string }{
		{``, `line: is missing: the name of a line or an endpoint`},
		{`line = "x"`, `gateway "127.0.0.1:1502": line: there is no line or endpoint "x"`},
		{"line = \"plc\"\nreaders = [\"a\"]", `readers: are roles in certificates: they need tls`},
		{"line = \"plc\"\nreaders = []", `readers: is empty: leave the key out for everybody`},
		{"line = \"plc\"\n[[gateway.write]]\nunit = \"u\"\naddresses = [\"40001\"]\nroles = []", `roles: is empty: `},
		{"line = \"plc\"\n[[gateway.write]]\nunit = \"u\"\naddresses = [\"40001\"]\nroles = [\"a\"]", `roles: are roles in certificates: they need tls`},
		{"line = \"plc\"\n[[gateway.write]]\nunit = \"v\"\naddresses = [\"40001\"]", `unit: there is no unit "v" on the gateway's line`},
		{"line = \"plc\"\n[[gateway.write]]\nunit = \"u\"", `addresses: are missing`},
		{"line = \"plc\"\n[[gateway.write]]\nunit = \"u\"\naddresses = [\"30001\"]", `addresses: input registers and discrete inputs can't be written`},
	} {
		_, err := load(t, doored(c.keys))
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s\n got %v\nwant %s", c.keys, err, c.want)
		}
	}
}

package config

import (
	"fmt"
	"strings"
	"testing"

	"skyhaul/edge/profile"
	"skyhaul/modbus"
)

// profiled is a site with one unit of a profile.
func profiled(keys string) string {
	return "[site]\nid = \"a\"\n[[endpoint]]\nname = \"plc\"\naddress = \"h:502\"\n" +
		"[[unit]]\nname = \"FT-1\"\non = \"plc\"\nid = 1\n[unit.profile]\n" + keys + "\n[[group]]\nname = \"fast\"\ninterval = \"1m\"\n"
}

func TestEveryProfileIsAUnit(t *testing.T) {
	for _, name := range profile.Names() {
		p, err := profile.Get(name)
		if err != nil {
			t.Fatal(err)
		}
		c, err := load(t, profiled(fmt.Sprintf("name = %q\nfirst_id = 100", name)))
		if p.Template {
			if err == nil || !strings.Contains(err.Error(), "is a template") {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got, want := len(c.Groups[0].Points), len(profilePoints(p)); got != want {
			t.Errorf("%s: %d points, want %d", name, got, want)
		}
	}
}

func TestProfileGivesPointsAndKeys(t *testing.T) {
	c, err := load(t, profiled("name = \"endress-promass\"\nfirst_id = 100\nonly = [\"VOLUME_FLOW\", \"MASS_FLOW\"]\n"+
		"[[unit.profile.point]]\ntag = \"MASS_FLOW\"\nunit = \"kg/h\"\nhi = 40.0"))
	if err != nil {
		t.Fatal(err)
	}
	ps := c.Groups[0].Points
	if len(ps) != 2 {
		t.Fatalf("%d points", len(ps))
	}
	p := ps[0]
	if p.Tag != "FT-1.MASS_FLOW" || p.ID != 100 || p.Addr != 2006 || p.Function != modbus.FuncReadHoldingRegisters || p.Format.Order.String() != "CDAB" {
		t.Errorf("mass flow is %+v", p)
	}
	if p.Column.Unit != "kg/h" || len(p.Alarms) != 1 {
		t.Errorf("what the file changes: %+v", p)
	}
	if c := c.Units[0].Checks["FT-1.TEMPERATURE"]; c.High != 800 {
		t.Errorf("checks are %+v", c)
	}
	if ps[1].ID != 101 || len(ps[1].Alarms) != 0 {
		t.Errorf("volume flow is %+v", ps[1])
	}
}

func TestArchiveOfAProfileIsCompleted(t *testing.T) {
	const keys = "name = \"rockwell-1758-flo\"\nfirst_id = 100\n[[unit.profile.archive]]\nname = \"daily\"\nid = 900\nrecords = 35\nindex = 7099\n"
	c, err := load(t, profiled(keys))
	if err != nil {
		t.Fatal(err)
	}
	a := c.Harvests[0].Archives
	if len(a) != 1 || a[0].Address != 702 || a[0].Records != 35 || a[0].Layout.Size() != 64 {
		t.Errorf("%+v", a)
	}
	_, err = load(t, profiled(strings.Replace(keys, "daily", "weekly", 1)))
	if err == nil || !strings.Contains(err.Error(), `name: the profile has no archive "weekly": it has hourly, daily`) {
		t.Error(err)
	}
}

// What is counted as nobody said would open registers that nobody named.
func TestPartsOfAProfilesUnitAreNotCountedAsNobodySaid(t *testing.T) {
	for _, keys := range []string{`avoid = ["40100-40109"]`, `points = "l.csv"`} {
		_, err := load(t, strings.Replace(profiled("name = \"siemens-fus1010\"\nfirst_id = 100"), "id = 1\n", "id = 1\n"+keys+"\n", 1))
		if err == nil || !strings.Contains(err.Error(), "addresses") {
			t.Errorf("%s: %v", keys, err)
		}
	}
	c, err := load(t, strings.Replace(profiled("name = \"siemens-mag6000\"\nfirst_id = 100"), "id = 1\n", "id = 1\naddresses = \"modicon\"\navoid = [\"40100-40109\"]\n", 1))
	if err != nil || c.Groups[0].Costs[1].Avoid[0].Addr != 99 || c.Groups[0].Points[0].Addr != 3000 {
		t.Errorf("%v %+v", err, c)
	}
}

func TestProfileMistakes(t *testing.T) {
	for _, c := range []struct{ keys, want string }{
		{`first_id = 1`, `name: is missing: one of abb-`},
		{`name = "promass"` + "\nfirst_id = 1", `name: there is no profile "promass": there are `},
		{`name = "endress-promass"`, `first_id: is missing`},
		{`name = "endress-promass"` + "\nfirst_id = 1\nonly = [\"FLOW\"]", `only: the profile has no point "FLOW": it has MASS_FLOW, `},
		{`name = "endress-promass"` + "\nfirst_id = 1\nonly = \"FLOW\"", `only: FLOW is not a list of texts`},
		{`name = "endress-promass"` + "\nfirst_id = 1\n[[unit.profile.point]]\ntag = \"MASS_FLOW\"\nid = 7", `skyhaul.toml:15: [[point]]: id: is the profile's`},
		{`name = "endress-promass"` + "\nfirst_id = 1\n[[unit.profile.point]]\ntag = \"FLOW\"", `tag: the profile has no point "FLOW"`},
		{`name = "endress-promass"` + "\nfirst_id = 1\n[[unit.profile.point]]\ntag = \"MASS_FLOW\"\nunitt = \"bar\"", `unknown key "unitt": did you mean "unit"?`},
	} {
		_, err := load(t, profiled(c.keys))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s\n got %v\nwant %s", c.keys, err, c.want)
		}
		if err != nil && strings.Count(err.Error(), "\n") > 0 {
			t.Errorf("%s: more than one line: %v", c.keys, err)
		}
	}
}

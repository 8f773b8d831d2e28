package config

import (
	"strings"
	"testing"
	"time"
)

const hourly = "[[unit.archive]]\nid = 900\nname = \"hourly\"\naddress = 701\nrecords = 840\nindex = 7081\nfields = [\"date float32 mmddyy\", \"time float32 hhmmss\"]\n"

func TestArchivesAreHarvested(t *testing.T) {
	text := unitWith("zero-based", `dialect = "enron"`, "address = 7001\ntype = \"float32\"\n"+hourly+"[unit.log]\nid = 901\nfields = [\"what uint16\"]")
	text = strings.Replace(text, `id = "a"`, "id = \"a\"\ntimezone = \"Europe/Oslo\"\ngas_day_start = \"06:30\"", 1)
	c, err := load(t, text)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Harvests) != 1 || c.Harvests[0].Line != "plc" {
		t.Fatalf("%+v", c.Harvests)
	}
	s := c.Harvests[0].Spec
	a := s.Archives[0]
	if s.Name != "u" || s.Location.String() != "Europe/Oslo" || s.DayStart != 6*time.Hour+30*time.Minute || s.Dialect == nil {
		t.Errorf("%+v", s)
	}
	if a.ID != 900 || a.Address != 701 || a.First != 1 || a.Records != 840 || a.Index.Address != 7081 || len(a.Layout) != 2 || a.Every != 5*time.Minute {
		t.Errorf("%+v", a)
	}
	if s.Log.ID != 901 || s.Log.Address != 32 || s.Log.Ack != 32 {
		t.Errorf("%+v", s.Log)
	}
}

func TestArchiveMistakes(t *testing.T) {
	const float = "address = 7001\ntype = \"float32\"\n"
	for _, c := range []struct{ dialect, text, want string }{
		{"modbus", strings.Replace(float, "7001", "1", 1) + hourly, `skyhaul.toml:11: unit "u": dialect: must be enron: plain Modbus has no archives`},
		{"enron", float + strings.Replace(hourly, "701", "700", 1), `archive "hourly" of unit "u": address 700 is none of an archive`},
		{"enron", float + strings.Replace(hourly, "mmddyy", "mmddyy 3", 1), `fields: field 1 "date float32 mmddyy 3": `},
		{"enron", float + strings.Replace(hourly, "id = 900", "", 1), `id: is missing: number archives as you number points`},
		{"enron", float + strings.Replace(hourly, "id = 900", "id = 1", 1), `id: 1 is the id of tag "PT"`},
		{"enron", float + strings.Replace(hourly, "index = 7081", "", 1), `index: is missing: the number of the register`},
	} {
		_, err := load(t, unitWith("zero-based", `dialect = "`+c.dialect+`"`, c.text))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v\nwant %s", err, c.want)
		}
	}
}

package profile_test

import (
	"strings"
	"testing"

	"skyhaul/edge/profile"
)

// That a profile's points can be read is tested where they are: in config.
func TestEveryProfileSaysWhereItComesFrom(t *testing.T) {
	if n := len(profile.Names()); n < 8 {
		t.Fatalf("%d profiles", n)
	}
	for _, name := range profile.Names() {
		p, err := profile.Get(name)
		if err != nil {
			t.Error(err)
			continue
		}
		if p.Title == "" || p.Source == "" {
			t.Errorf("%s: without title or source", name)
		}
		switch p.Confidence {
		case profile.High:
		case profile.Medium, profile.Low:
			if len(p.Notes) == 0 {
				t.Errorf("%s: confidence %s, but no note on what to look at", name, p.Confidence)
			}
		default:
			t.Errorf("%s: confidence %q", name, p.Confidence)
		}
		checkPoints(t, p)
	}
}

func checkPoints(t *testing.T, p *profile.Profile) {
	points, _ := p.Unit["point"].([]any)
	if len(points) == 0 {
		t.Errorf("%s: no points", p.Name)
	}
	tags := map[any]bool{}
	for i, e := range points {
		point := e.(map[string]any)
		if point["number"] != int64(i+1) {
			t.Errorf("%s: point %d has number %v", p.Name, i+1, point["number"])
		}
		if _, has := point["address"]; has == p.Template {
			t.Errorf("%s: %v: address in a template, or none in a profile", p.Name, point["tag"])
		}
		if tags[point["tag"]] || point["description"] == nil {
			t.Errorf("%s: %v: tag used twice, or no description", p.Name, point["tag"])
		}
		tags[point["tag"]] = true
	}
	for _, c := range p.Checks {
		if !tags[c.Tag] || len(c.OneOf) == 0 && c.Low >= c.High {
			t.Errorf("%s: check of %q: no such point, or nothing can pass", p.Name, c.Tag)
		}
	}
	if !p.Template && len(p.Checks) == 0 && p.Identity == "" {
		t.Errorf("%s: nothing tells this instrument from another", p.Name)
	}
}

func TestUnknownProfileIsToldWithTheKnown(t *testing.T) {
	for _, name := range []string{"promas", "../profile", ""} {
		_, err := profile.Get(name)
		if err == nil || !strings.Contains(err.Error(), "eastron-sdm630, ") {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestCheckTellsWhatIsPossible(t *testing.T) {
	span := profile.Check{Low: -200, High: 850}
	codes := profile.Check{OneOf: []float64{1, 2, 6}}
	for _, c := range []struct {
		check *profile.Check
		value float64
		holds bool
		says  string
	}{
		{&span, -200, true, "-200 to 850"},
		{&span, 850.1, false, "-200 to 850"},
		{&codes, 6, true, "1, 2 or 6"},
		{&codes, 3, false, "1, 2 or 6"},
		{&profile.Check{OneOf: []float64{1}}, 1, true, "1"},
	} {
		if c.check.Holds(c.value) != c.holds || c.check.String() != c.says {
			t.Errorf("%v holds for %v: %v", c.check, c.value, !c.holds)
		}
	}
}

func TestIdentityIsPartOfWhatAUnitSays(t *testing.T) {
	p := profile.Profile{Identity: "endress"}
	if !p.Identifies("x", "Endress+Hauser") || p.Identifies("Siemens") || p.Identifies() {
		t.Error("wrong")
	}
	if !new(profile.Profile).Identifies("anything") {
		t.Error("an unknown identity must not refuse")
	}
}

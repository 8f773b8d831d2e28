package config

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"skyhaul/edge/profile"
	"skyhaul/edge/scan"
)

// profile lays the profile that a unit names under what the file says of the
// unit, and returns the profile's points as rows, which its own notation of
// addresses and byte order go with; nil without one.
func (t *table) profile(u *unit) (rows []*table, n notation) {
	pt := t.sub("profile", t.name+" profile")
	if pt == nil {
		return nil, n
	}
	name := pt.needText("name", "one of "+strings.Join(profile.Names(), ", "))
	prefix := pt.text("prefix", u.name+".")
	only := pt.words("only")
	group := pt.text("group", "")
	n.order = pt.text("order", "")
	first := pt.integer("first_id", 1, 1, math.MaxInt32)
	if !pt.has("first_id") {
		pt.fail("first_id", "is missing: the profile's points are numbered from it, once and for ever")
	}
	changes := pt.subs("point")
	archives := pt.subs("archive")
	if name == "" {
		return nil, n
	}
	p, err := profile.Get(name)
	if err == nil && p.Template {
		err = fmt.Errorf("%q is a template, with addresses for you to fill in: see skyhaul init --profile %[1]s", name)
	}
	if err != nil {
		pt.fail("name", "%v", err)
		return nil, n
	}
	points := profilePoints(p)
	pt.checkTags(points, only, changes)
	u.profile, u.checks = p.Title, map[string]profile.Check{}
	for _, c := range p.Checks {
		u.checks[prefix+c.Tag] = c
	}
	u.archives = pt.profileArchives(p, archives)
	for key, v := range p.Unit {
		switch key {
		case "point", "archive":
		case "addresses":
			n.addresses = v.(string)
		case "order":
			n.order = cmp.Or(n.order, v.(string))
		default:
			if !t.has(key) {
				t.values[key] = v
			}
		}
	}
	for _, values := range points {
		tag := values["tag"].(string)
		if len(only) > 0 && !slices.Contains(only, tag) {
			continue
		}
		row := newTable(t.probs, "", values, pt.where)
		row.values["id"] = int64(first) + values["number"].(int64) - 1
		delete(row.values, "number")
		if group != "" {
			row.values["group"] = group
		}
		for _, c := range changes {
			if c.text("tag", "") != tag {
				continue
			}
			for _, key := range []string{"id", "address"} {
				if c.has(key) {
					c.fail(key, "is the profile's: write a point of your own under [[unit.point]]")
				}
			}
			row.change(c)
		}
		row.values["tag"] = prefix + tag
		rows = append(rows, row)
	}
	return rows, n
}

// profileArchives completes the profile's archives by what the file says of
// them, which at the least is an id: only those are harvested.
func (t *table) profileArchives(p *profile.Profile, wanted []*table) (rows []*table) {
	known, _ := p.Unit["archive"].([]any)
	for _, w := range wanted {
		name := w.needText("name", "of the profile's archive")
		var names []string
		row := newTable(t.probs, w.name, nil, w.where)
		for _, e := range known {
			values := e.(map[string]any)
			names = append(names, values["name"].(string))
			if values["name"] == name {
				row.values = values
				row.change(w)
			}
		}
		switch {
		case row.values != nil:
			rows = append(rows, row)
		case name != "":
			w.fail("name", "the profile has no archive %q: it has %s", name, strings.Join(names, ", "))
		}
	}
	return rows
}

// ProfilePoints returns the points of a profile, with its own tags, as a unit
// with id 1 has them.
func ProfilePoints(p *profile.Profile) ([]scan.Point, error) {
	text, _ := ForProfile(p)
	c, err := parse(p.Name, []byte(text))
	if err != nil {
		return nil, err
	}
	points := c.Groups[0].Points
	for i := range points {
		points[i].Tag = strings.TrimPrefix(points[i].Tag, "unit-1.")
	}
	return points, nil
}

// profilePoints returns the points of a profile; their shape is tested with it.
func profilePoints(p *profile.Profile) (points []map[string]any) {
	for _, e := range p.Unit["point"].([]any) {
		points = append(points, e.(map[string]any))
	}
	return points
}

// change takes over what the file says of a part of the profile.
func (t *table) change(c *table) {
	maps.Copy(t.values, c.values)
	t.where = c.where
	for key := range c.values {
		c.known[key] = true // t tells of it
	}
}

// checkTags reports tags that the profile does not have.
func (t *table) checkTags(points []map[string]any, only []string, changes []*table) {
	var tags []string
	for _, p := range points {
		tags = append(tags, p["tag"].(string))
	}
	for _, tag := range only {
		if !slices.Contains(tags, tag) {
			t.fail("only", "the profile has no point %q: it has %s", tag, strings.Join(tags, ", "))
		}
	}
	for _, c := range changes {
		if tag := c.needText("tag", "of the profile's point that is changed"); tag != "" && !slices.Contains(tags, tag) {
			c.fail("tag", "the profile has no point %q: it has %s", tag, strings.Join(tags, ", "))
		}
	}
}

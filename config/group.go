package config

import (
	"strconv"
	"time"

	"skyhaul/edge/point"
	"skyhaul/edge/scan"
	"skyhaul/modbus"
	"skyhaul/modbus/bus"
)

// groups spreads the points over the groups, one for each line they lie on.
func (r *reader) groups(root *table, us []*unit) (gs []Group) {
	intervals := map[string]time.Duration{}
	r.intervals = map[string]string{}
	var names []string
	for _, t := range root.subs("group") {
		name := t.needText("name", "points say by it which group they are in")
		t.name = "group " + strconv.Quote(name)
		if _, ok := intervals[name]; ok {
			t.fail("name", "there is a group %q already", name)
		}
		if !t.has("interval") {
			t.fail("interval", "is missing: how often to scan, as 1s")
		}
		intervals[name] = t.duration("interval", time.Second, 50*time.Millisecond, 24*time.Hour)
		r.intervals[name] = t.where("interval")
		names = append(names, name)
	}
	index := map[string]int{}
	for _, u := range us {
		for _, p := range u.points {
			if p.group == "" && len(names) == 1 {
				p.group = names[0]
			}
			interval, ok := intervals[p.group]
			switch {
			case len(names) == 0:
				r.probs.add("%s: tag %q: group: there is none: write a [[group]] with a name and an interval", p.where, p.Tag)
				return nil // the same holds for every point
			case !ok:
				r.probs.add("%s: tag %q: group: there is no group %q: there are %q", p.where, p.Tag, p.group, names)
				continue
			}
			p.tooSeldom(&r.probs, p.group, interval)
			key := p.group + "\x00" + u.line
			i, ok := index[key]
			if !ok {
				i = len(gs)
				index[key] = i
				gs = append(gs, Group{Line: u.line, Group: scan.Group{Name: p.group, Interval: interval, Costs: map[modbus.UnitID]bus.Cost{}}})
			}
			u.clears(&r.probs, &p)
			gs[i].Costs[u.id] = u.cost
			gs[i].Points = append(gs[i].Points, p.Point)
		}
	}
	for i := range gs {
		if n := len(gs[i].Points); n > point.MaxColumns {
			r.probs.add("group %q on %q: %d points, %d are the most: split it", gs[i].Name, gs[i].Line, n, point.MaxColumns)
		}
	}
	return gs
}

// clears reports a point of another group in an exclusive range: each group
// reads it by itself, and clears it for the other.
func (u *unit) clears(probs *problems, p *placed) {
	for i := range u.points {
		other := &u.points[i]
		for _, e := range u.cost.Exclusive {
			if other.ID < p.ID && other.group != "" && other.group != p.group && e.Touches(p.Range()) && e.Touches(other.Range()) {
				probs.add("%s: tag %q: group: %q is in one exclusive range with tag %q of group %q: each group's read clears it for the other", p.where, p.Tag, p.group, other.Tag, other.group)
				return
			}
		}
	}
}

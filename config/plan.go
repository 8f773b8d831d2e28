package config

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"skyhaul/edge/point"
	"skyhaul/edge/scan"
	"skyhaul/modbus"
	"skyhaul/modbus/bus"
)

// LinePlan is what a configuration asks of a line or an endpoint.
type LinePlan struct {
	Line   *Line
	Groups []GroupPlan
	// Load is the share of the time that the line is busy. Over 1 the intervals
	// can't be kept. Behind an endpoint it rests on a guess of the round trip.
	Load float64
}

// GroupPlan is what one pass of a group takes.
type GroupPlan struct {
	Group    *Group
	Units    []UnitPlan
	Pass     time.Duration
	Requests int     // in a pass
	Bytes    int     // of values in a pass
	Readings float64 // sent in a day whatever they are, those of summaries among them
	Ruled    Ruled
}

// Ruled is what a rule leaves out readings of.
type Ruled struct {
	Points      int
	Least, Most float64 // readings sent in a day: of values that stand still, of none that does
}

// UnitPlan is what is read from one unit in a pass.
type UnitPlan struct {
	Unit   modbus.UnitID
	Points int
	Blocks []bus.Block
}

// Plan returns what the configuration asks of each line.
func (c *Config) Plan() (plans []LinePlan) {
	for i := range c.Lines {
		p := LinePlan{Line: &c.Lines[i]}
		for k := range c.Groups {
			if g := &c.Groups[k]; g.Line == p.Line.Name {
				gp := planGroup(g)
				p.Groups = append(p.Groups, gp)
				p.Load += float64(gp.Pass) / float64(g.Interval)
			}
		}
		plans = append(plans, p)
	}
	return plans
}

func planGroup(g *Group) GroupPlan {
	p := GroupPlan{Group: g}
	want := map[modbus.UnitID][]bus.Range{}
	for i := range g.Points {
		want[g.Points[i].Unit] = append(want[g.Points[i].Unit], g.Points[i].Range())
		p.count(&g.Points[i])
	}
	for _, unit := range slices.Sorted(maps.Keys(want)) {
		blocks := bus.Plan(want[unit], g.Costs[unit], nil)
		for _, b := range blocks {
			p.Pass += g.Costs[unit].Price(b.Range)
			p.Requests++
			p.Bytes += b.Bytes()
		}
		p.Units = append(p.Units, UnitPlan{unit, len(want[unit]), blocks})
	}
	return p
}

// count adds what a point sends in a day.
func (p *GroupPlan) count(pt *scan.Point) {
	const day = float64(24 * time.Hour)
	scans := day / float64(p.Group.Interval)
	switch {
	case pt.Local:
	case pt.Summary.Interval > 0:
		p.Readings += day / float64(pt.Summary.Interval) * float64(pt.Summary.Statistics.Len())
	case pt.Rule.Method != point.EveryReading:
		p.Ruled.Points++
		p.Ruled.Least += day / float64(pt.Rule.Silence)
		p.Ruled.Most += scans
	default:
		p.Readings += scans
	}
}

// overloaded reports lines that can't carry what is asked of them, with the
// arithmetic.
func (r *reader) overloaded(c *Config) {
	for _, p := range c.Plan() {
		if p.Line.Serial == nil || p.Load <= 1 {
			continue
		}
		for _, g := range p.Groups {
			r.probs.add("%s: group %q: a pass over %s takes %v (%s) and is asked for every %v: together the groups take %.0f %% of the line; lengthen the intervals %.2f times or more, or raise the baud rate",
				r.intervals[g.Group.Name], g.Group.Name, p.Line, g.Pass.Round(time.Millisecond), g.Arithmetic(p.Line), g.Group.Interval, 100*p.Load, math.Ceil(100*p.Load)/100)
		}
	}
}

// Arithmetic says how a pass comes to take what it takes, such as
// "4 requests of 26.7ms and 96 bytes of values at 1.042ms: 9600 baud 8N1".
func (p *GroupPlan) Arithmetic(l *Line) string {
	c := l.cost()
	requests := "request"
	if p.Requests > 1 {
		requests = "requests"
	}
	text := fmt.Sprintf("%d %s of %v and %d bytes of values at %v", p.Requests, requests,
		(c.Exchange + c.Turnaround).Round(100*time.Microsecond), p.Bytes, c.Byte.Round(time.Microsecond))
	if l.Serial != nil {
		text += ": " + l.Serial.String()
	}
	return text
}

// Readings returns how many readings the site sends in a day whatever they are,
// and what its points with rules may send beside.
func (c *Config) Readings() (n float64, ruled Ruled) {
	for _, p := range c.Plan() {
		for _, g := range p.Groups {
			n += g.Readings
			ruled.Points += g.Ruled.Points
			ruled.Least += g.Ruled.Least
			ruled.Most += g.Ruled.Most
		}
	}
	return n, ruled
}

// Describe names a block as an engineer does, such as "holding 0 to 24".
func Describe(b bus.Block) string {
	for _, t := range tables {
		if t.function == b.Function {
			return fmt.Sprintf("%s %d to %d", t.name, b.Addr, int(b.Addr)+b.Quantity-1)
		}
	}
	return ""
}

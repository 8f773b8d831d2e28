package edge

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"skyhaul/config"
	"skyhaul/edge/archive"
	"skyhaul/edge/point"
	"skyhaul/edge/scan"
	"skyhaul/edge/status"
	"skyhaul/modbus/bus"
)

func (l *line) status(st bus.Stats) status.Line {
	out := status.Line{Name: l.config.Name, Address: l.config.Address, State: "up", Busy: 100 * st.Busy, Driver: l.driverErrors()}
	if l.config.Serial != nil {
		out.Address = l.config.Serial.Device
	}
	if !st.Connected {
		out.State, out.LastError = "not connected", l.lastError()
	}
	for _, u := range st.Units {
		if u.Down || !st.Connected {
			out.UnitsDown++
		} else {
			out.UnitsUp++
		}
		out.Requests += u.Requests
		out.Errors += u.Timeouts + u.Damaged + u.Exceptions
	}
	return out
}

// unitsStatus tells of the units of a line.
func (d *Daemon) unitsStatus(line string, st bus.Stats) (list []status.Unit) {
	for _, u := range d.opts.Config.Units {
		if u.Line != line {
			continue
		}
		out := status.Unit{Name: u.Name, Line: line, ID: uint8(u.ID), State: status.UnitNotAsked}
		for i := range st.Units {
			if s := &st.Units[i]; s.Unit == u.ID {
				fillUnit(&out, s)
			}
		}
		list = append(list, out)
	}
	return list
}

func fillUnit(u *status.Unit, s *bus.UnitStats) {
	u.Requests, u.Timeouts, u.Damaged, u.Exceptions = s.Requests, s.Timeouts, s.Damaged, s.Exceptions
	if s.Turnaround > 0 {
		u.Turnaround = seconds(s.Turnaround)
	}
	if s.Since.IsZero() {
		return
	}
	u.State, u.StateAge = status.UnitUp, seconds(time.Since(s.Since))
	if s.Down {
		u.State = "down"
		if s.Cause != nil {
			u.State = s.Cause.Error()
		}
	}
}

func (s *scanner) status() status.Group {
	return status.Group{Name: s.group.Name, Line: s.group.Line, Interval: s.group.Interval.Seconds(), Points: len(s.group.Points), Overruns: s.Overruns()}
}

func archivesStatus(unit string, h *archive.Harvester) (list []status.Archive) {
	for _, a := range h.Status() {
		out := status.Archive{Unit: unit, Name: a.Name, Records: a.Records, Newest: a.Newest}
		if a.Err != nil {
			out.Error = a.Err.Error()
		}
		list = append(list, out)
	}
	return list
}

func (g *door) status() status.Gateway {
	st := g.Stats()
	out := status.Gateway{
		Address: g.config.Listen, Line: g.config.Line, State: "up", Clients: len(st.Clients), Requests: st.Requests, Remembered: st.Remembered,
		Exchanges: st.Exchanges, Writes: st.Writes, Declined: st.Declined, Refused: st.Refused,
	}
	if err := g.fault.get(); err != nil {
		out.State = err.Error()
	}
	return out
}

// against says what speaks against a unit being what its profile says.
func (d *Daemon) against(u config.Unit) (why []string) {
	for _, sc := range d.scanners {
		if len(u.Checks) == 0 || sc.group.Line != u.Line {
			continue
		}
		for _, r := range sc.Latest() {
			c, ok := u.Checks[r.Tag]
			if !ok || r.Unit != u.ID || r.Stamp.Boot == 0 || r.Quality != 0 {
				continue
			}
			if v := r.Value(r.Raw); !c.Holds(v) {
				why = append(why, fmt.Sprintf("%s is %g and must be %v", r.Tag, v, &c))
			}
		}
	}
	return why
}

func pointStatus(r scan.Reading, line string, now point.Stamp) status.Point {
	p := status.Point{
		Tag: r.Tag, Description: r.Description, Unit: r.Column.Unit,
		Quality: r.Quality.Status().String(), Reason: r.Quality.Reason().String(),
		Group: r.Group, Lane: r.Lane.String(), Line: line, UnitID: uint8(r.Unit),
	}
	if r.Stamp.Boot == 0 {
		return p // not read yet
	}
	p.Age = seconds(now.Boottime - r.Stamp.Boottime)
	if r.Quality.HasValue() {
		p.Value = strconv.FormatFloat(r.Value(r.Raw), 'f', int(r.Decimals), 64)
	}
	return p
}

// badPoints counts the points of a line that were read and are bad, and gives
// the reasons.
func badPoints(ps []status.Point, line string) (bad, all int, why []string) {
	for _, p := range ps {
		if p.Line != line || p.Age == nil {
			continue
		}
		all++
		if p.Quality != point.Bad.String() {
			continue
		}
		bad++
		if !slices.Contains(why, p.Reason) {
			why = append(why, p.Reason)
		}
	}
	return bad, all, why
}

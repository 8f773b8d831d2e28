package edge

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"skyhaul/bufferstore"
	"skyhaul/edge/point"
	"skyhaul/edge/status"
	"skyhaul/link"
	"skyhaul/link/window"
)

// Snapshot tells how the daemon is at this moment.
func (d *Daemon) Snapshot() status.Snapshot {
	now := d.opts.Clock.Now()
	s := status.Snapshot{
		Site: d.opts.Config.Site.ID, DisplayName: d.opts.Config.Site.DisplayName, Version: d.opts.Version,
		ConfigHash: fmt.Sprintf("%x", d.opts.Config.Hash), Started: d.started.UTC(), Time: now.Time(),
		TimeQuality: now.Quality.String(), ClockSteps: d.opts.Clock.Steps(),
	}
	if bound, ok := now.Bound(); ok {
		s.TimeBound = seconds(bound)
	}
	store := d.store.Stats()
	s.Buffer = bufferStatus(store)
	for _, l := range store.Lanes {
		lane := laneStatus(l)
		lane.OldestPending = d.oldest(l.Name, bufferstore.Seq(lane.Acked), now)
		s.Lanes = append(s.Lanes, lane)
	}
	for _, l := range d.lines {
		st := l.Stats()
		s.Lines = append(s.Lines, l.status(st))
		s.Units = append(s.Units, d.unitsStatus(l.config.Name, st)...)
	}
	for _, sc := range d.scanners {
		s.Groups = append(s.Groups, sc.status())
		for _, r := range sc.Latest() {
			s.Points = append(s.Points, pointStatus(r, sc.group.Line, now))
		}
	}
	for i, h := range d.harvests {
		s.Archives = append(s.Archives, archivesStatus(d.opts.Config.Harvests[i].Name, h)...)
	}
	for _, g := range d.doors {
		s.Gateways = append(s.Gateways, g.status())
	}
	if d.uplink != nil {
		s.Uplinks = []status.Uplink{d.uplinkStatus(now)}
	}
	s.Degraded = d.degraded(&s, store)
	return s
}

func seconds(d time.Duration) *float64 {
	s := d.Seconds()
	return &s
}

func bufferStatus(s bufferstore.Stats) status.Buffer {
	b := status.Buffer{Bytes: s.Disk, Quota: s.Quota, Quarantine: strings.Join(s.Quarantined, ", ")}
	if s.SyncError != nil {
		b.LastError = s.SyncError.Error()
	}
	if perDay := float64(s.Disk) / (s.Age.Hours() / 24); s.Age > time.Hour && perDay > 0 {
		days := float64(s.Quota-s.Disk) / perDay
		b.DaysLeft = &days
	}
	return b
}

func laneStatus(l bufferstore.LaneStats) status.Lane {
	out := status.Lane{Name: l.Name, Appended: uint64(l.Appended), Durable: uint64(l.Durable), Gaps: uint64(l.Gaps)}
	for _, c := range l.Cursors {
		if c.Name == hubCursor {
			out.Sent, out.Acked = uint64(c.Sent), uint64(c.Acked)
		}
	}
	out.Pending = out.Appended - out.Acked
	return out
}

// oldest returns the age of the first record after acked; nil without one.
func (d *Daemon) oldest(lane string, acked bufferstore.Seq, now point.Stamp) *float64 {
	for rec, err := range d.store.Lane(lane).Records(acked + 1) {
		stamp, ok := point.StampOf(rec.Data)
		if err != nil || !ok {
			return nil
		}
		if stamp.Boot == now.Boot {
			return seconds(now.Boottime - stamp.Boottime)
		}
		return seconds(max(now.Time().Sub(stamp.Time()), now.Boottime))
	}
	return nil
}

// daysShown is how far ahead the page shows windows.
const daysShown = 24 * time.Hour

func (d *Daemon) uplinkStatus(now point.Stamp) status.Uplink {
	st := d.uplink.Status()
	c := d.opts.Config.Uplink
	u := status.Uplink{
		Name: c.Address, Open: st.Window.Open, Session: st.Phase.String(), LastError: st.Err,
		BytesToday: st.Totals.Today.Billed, CostToday: st.Totals.Today.Money, Currency: c.Tariff.Currency,
		BytesPeriod: st.Totals.Period.Billed, CostPeriod: st.Totals.Period.Money, PeriodEnds: st.Totals.PeriodEnd,
	}
	if st.Window.Open {
		u.Until = st.Window.Until
	} else {
		u.Next = st.Window.Until
	}
	if !st.AckAt.IsZero() {
		u.LastAck = seconds(now.Time().Sub(st.AckAt))
	}
	for _, span := range window.Next(c.Window, now.Time(), 100) {
		if span.Start.After(now.Time().Add(daysShown)) {
			break
		}
		u.Windows = append(u.Windows, status.Window{Opens: span.Start, Closes: span.End})
	}
	return u
}

// degraded says in plain sentences what is not as it should be.
func (d *Daemon) degraded(s *status.Snapshot, store bufferstore.Stats) (list []string) {
	say := func(format string, args ...any) { list = append(list, fmt.Sprintf(format, args...)) }
	if err := d.keeper.fault.get(); err != nil {
		say("The buffer does not take readings; they are held in memory: %v.", err)
	}
	if d.thinner.short.get() != nil {
		say("The buffer is short of space; the oldest readings give way to summaries of minutes and hours.")
	}
	if err := d.thinner.failed.get(); err != nil {
		say("Summaries can't be made of readings that must go: %v.", err)
	}
	if len(store.Quarantined) > 0 {
		say("A damaged buffer was set aside: %s.", s.Buffer.Quarantine)
	}
	for name, err := range d.opts.State.Damage() {
		say("The kept value %s was damaged, an older one may be in use: %v.", name, err)
	}
	for _, l := range s.Lines {
		if l.State != "up" {
			say("Line %s is not connected: %s.", l.Name, cmp.Or(l.LastError, "check "+l.Address))
		} else if l.UnitsDown > 0 {
			say("On line %s %d of %d units do not answer.", l.Name, l.UnitsDown, l.UnitsDown+l.UnitsUp)
		} else if bad, all, why := badPoints(s.Points, l.Name); bad > 0 {
			say("On line %s %d of %d points are bad: %s.", l.Name, bad, all, strings.Join(why, ", "))
		}
	}
	for _, u := range d.opts.Config.Units {
		for _, why := range d.against(u) {
			say("Unit %s is perhaps no %s, or is set up otherwise: %s; skyhaul modbus identify --profile tells more.", u.Name, u.Profile, why)
		}
	}
	for _, a := range s.Archives {
		if a.Error != "" {
			say("Archive %s of %s can't be harvested: %s.", a.Name, a.Unit, a.Error)
		}
	}
	for _, g := range s.Gateways {
		if g.State != "up" {
			say("The gateway is missing at %s: %s.", g.Address, g.State)
		}
	}
	for _, l := range store.Lanes {
		if l.Lost > 0 {
			say("Lane %s has lost %d records; every gap is declared to the hub.", l.Name, l.Lost)
		}
	}
	if d.uplink == nil {
		return list
	}
	st := d.uplink.Status()
	if st.Phase == link.Spent {
		say("The byte budget of this period is spent; it begins again at %s.", st.Totals.PeriodEnd.Format(time.RFC3339))
	}
	if st.Failures > 0 {
		say("The last %d sessions failed: %s.", st.Failures, st.Err)
	}
	if st.Ledger != "" {
		say("The ledger can't be written: %s.", st.Ledger)
	}
	if n := st.Ignored.BadMAC; n > 0 {
		say("%d documents for this site were not made with its key.", n)
	}
	return list
}

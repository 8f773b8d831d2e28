package status

import (
	"github.com/prometheus/client_golang/prometheus"
)

// emit gives one sample: a value, then the values of the metric's labels.
type emit func(value float64, labels ...string)

// family is one metric and how to read it off a snapshot.
type family struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
	read func(s *Snapshot, emit emit)
}

func gauge(name, help string, read func(*Snapshot, emit), labels ...string) family {
	return family{prometheus.NewDesc("skyhaul_"+name, help, labels, nil), prometheus.GaugeValue, read}
}

func counter(name, help string, read func(*Snapshot, emit), labels ...string) family {
	return family{prometheus.NewDesc("skyhaul_"+name, help, labels, nil), prometheus.CounterValue, read}
}

// collector makes all metrics of a scrape from one snapshot.
type collector struct{ get func() Snapshot }

// Describe implements prometheus.Collector.
func (c collector) Describe(ch chan<- *prometheus.Desc) {
	for _, f := range families {
		ch <- f.desc
	}
}

// Collect implements prometheus.Collector.
func (c collector) Collect(ch chan<- prometheus.Metric) {
	s := c.get()
	for _, f := range families {
		f.read(&s, func(value float64, labels ...string) {
			m, err := prometheus.NewConstMetric(f.desc, f.kind, value, labels...)
			if err != nil {
				m = prometheus.NewInvalidMetric(f.desc, err)
			}
			ch <- m
		})
	}
}

var families = []family{
	gauge("info", "What runs here; always 1.", func(s *Snapshot, emit emit) { emit(1, s.Site, s.Version, s.ConfigHash) }, "site", "version", "config_hash"),
	gauge("start_time_seconds", "When the daemon started, in Unix time.", func(s *Snapshot, emit emit) { emit(float64(s.Started.UnixMilli()) / 1000) }),
	gauge("clock_quality", "Quality of the wall time; 1 at the one it has.", func(s *Snapshot, emit emit) { emit(1, s.TimeQuality) }, "quality"),
	gauge("clock_error_bound_seconds", "How far the wall time may be off; absent where nobody knows.", func(s *Snapshot, emit emit) { known(s.TimeBound, emit) }),
	counter("clock_steps_total", "Jumps of the wall clock by more than a second.", func(s *Snapshot, emit emit) { emit(float64(s.ClockSteps)) }),
	gauge("degraded_conditions", "Conditions that are not as they should be.", func(s *Snapshot, emit emit) { emit(float64(len(s.Degraded))) }),
	gauge("points", "Points by the quality of their newest reading.", pointsByQuality, "group", "quality"),

	gauge("line_up", "1 while the line or endpoint is open.", func(s *Snapshot, emit emit) {
		for _, l := range s.Lines {
			emit(truth(l.State == "up"), l.Name)
		}
	}, "line"),
	gauge("line_units", "Units that answer, and that do not.", func(s *Snapshot, emit emit) {
		for _, l := range s.Lines {
			emit(float64(l.UnitsUp), l.Name, "up")
			emit(float64(l.UnitsDown), l.Name, "down")
		}
	}, "line", "state"),
	gauge("line_busy_ratio", "Part of the last minute the line was in use, 0 to 1.", func(s *Snapshot, emit emit) {
		for _, l := range s.Lines {
			emit(l.Busy/100, l.Name)
		}
	}, "line"),
	counter("line_requests_total", "Requests sent.", func(s *Snapshot, emit emit) {
		for _, l := range s.Lines {
			emit(float64(l.Requests), l.Name)
		}
	}, "line"),
	counter("line_errors_total", "Requests without a valid answer.", func(s *Snapshot, emit emit) {
		for _, l := range s.Lines {
			emit(float64(l.Errors), l.Name)
		}
	}, "line"),

	counter("line_driver_errors_total", "Characters that the port's driver found wrong.", func(s *Snapshot, emit emit) {
		for _, l := range s.Lines {
			for kind, n := range l.Driver {
				emit(float64(n), l.Name, kind)
			}
		}
	}, "line", "kind"),

	gauge("unit_up", "1 while the unit answers, 0 while it is down; absent until it was asked.", func(s *Snapshot, emit emit) {
		for _, u := range s.Units {
			if u.State != UnitNotAsked {
				emit(truth(!u.down()), u.Name, u.Line)
			}
		}
	}, "unit", "line"),
	unit("requests", "Requests to the unit.", func(u Unit) uint64 { return u.Requests }),
	unit("timeouts", "Requests that it did not answer in time.", func(u Unit) uint64 { return u.Timeouts }),
	unit("damaged", "Requests that it did not answer validly.", func(u Unit) uint64 { return u.Damaged }),
	unit("exceptions", "Requests that it declined.", func(u Unit) uint64 { return u.Exceptions }),
	gauge("unit_turnaround_seconds", "Mean silence between a request and the unit's answer.", func(s *Snapshot, emit emit) {
		for _, u := range s.Units {
			known(u.Turnaround, emit, u.Name, u.Line)
		}
	}, "unit", "line"),
	counter("group_overruns_total", "Places of the grid passed over, since the pass before was not done.", func(s *Snapshot, emit emit) {
		for _, g := range s.Groups {
			emit(float64(g.Overruns), g.Name, g.Line)
		}
	}, "group", "line"),

	counter("archive_records_total", "Records taken from an instrument's archive.", func(s *Snapshot, emit emit) {
		for _, a := range s.Archives {
			emit(float64(a.Records), a.Unit, a.Name)
		}
	}, "unit", "archive"),
	gauge("archive_failing", "1 while an archive can't be harvested.", func(s *Snapshot, emit emit) {
		for _, a := range s.Archives {
			emit(truth(a.Error != ""), a.Unit, a.Name)
		}
	}, "unit", "archive"),
	gauge("gateway_clients", "Clients connected.", func(s *Snapshot, emit emit) {
		for _, g := range s.Gateways {
			emit(float64(g.Clients), g.Address)
		}
	}, "gateway"),
	gate("requests", "Requests of clients.", func(g Gateway) uint64 { return g.Requests }),
	gate("remembered", "Requests answered from memory.", func(g Gateway) uint64 { return g.Remembered }),
	gate("exchanges", "Exchanges on the line for clients.", func(g Gateway) uint64 { return g.Exchanges }),
	gate("refused", "Writes that are not on the list.", func(g Gateway) uint64 { return g.Refused }),

	lane("appended_records", "Sequence numbers given.", func(l Lane) uint64 { return l.Appended }),
	lane("durable_records", "Sequence numbers on flash.", func(l Lane) uint64 { return l.Durable }),
	lane("sent_records", "Sequence numbers taken by the broker.", func(l Lane) uint64 { return l.Sent }),
	lane("acked_records", "Sequence numbers durable at the hub.", func(l Lane) uint64 { return l.Acked }),
	lane("pending_records", "Records not acknowledged by the hub.", func(l Lane) uint64 { return l.Pending }),
	lane("gaps", "Declared gaps.", func(l Lane) uint64 { return l.Gaps }),
	gauge("lane_oldest_pending_seconds", "Age of the oldest record not acknowledged.", func(s *Snapshot, emit emit) {
		for _, l := range s.Lanes {
			known(l.OldestPending, emit, l.Name)
		}
	}, "lane"),

	gauge("buffer_bytes", "Flash that the buffer takes.", func(s *Snapshot, emit emit) { emit(float64(s.Buffer.Bytes)) }),
	gauge("buffer_quota_bytes", "Flash that it may take.", func(s *Snapshot, emit emit) { emit(float64(s.Buffer.Quota)) }),
	gauge("buffer_left_days", "Days until it is full without an acknowledgement; absent where nobody knows.", func(s *Snapshot, emit emit) { known(s.Buffer.DaysLeft, emit) }),
	gauge("buffer_quarantined", "1 while damaged content is set aside.", func(s *Snapshot, emit emit) { emit(truth(s.Buffer.Quarantine != "")) }),

	gauge("uplink_window_open", "1 while the window is open.", func(s *Snapshot, emit emit) {
		for _, u := range s.Uplinks {
			emit(truth(u.Open), u.Name)
		}
	}, "uplink"),
	gauge("uplink_last_ack_age_seconds", "Time since the hub last acknowledged.", func(s *Snapshot, emit emit) {
		for _, u := range s.Uplinks {
			known(u.LastAck, emit, u.Name)
		}
	}, "uplink"),
	gauge("uplink_today_bytes", "Billed bytes of today, both directions.", func(s *Snapshot, emit emit) {
		for _, u := range s.Uplinks {
			emit(float64(u.BytesToday), u.Name)
		}
	}, "uplink"),
	gauge("uplink_period_bytes", "Billed bytes of the billing period, both directions.", func(s *Snapshot, emit emit) {
		for _, u := range s.Uplinks {
			emit(float64(u.BytesPeriod), u.Name)
		}
	}, "uplink"),
	gauge("uplink_today_cost", "Cost of today in the tariff's currency.", func(s *Snapshot, emit emit) {
		for _, u := range s.Uplinks {
			if u.Currency != "" {
				emit(u.CostToday, u.Name, u.Currency)
			}
		}
	}, "uplink", "currency"),
}

func unit(name, help string, read func(Unit) uint64) family {
	return counter("unit_"+name+"_total", help, func(s *Snapshot, emit emit) {
		for _, u := range s.Units {
			emit(float64(read(u)), u.Name, u.Line)
		}
	}, "unit", "line")
}

func gate(name, help string, read func(Gateway) uint64) family {
	return counter("gateway_"+name+"_total", help, func(s *Snapshot, emit emit) {
		for _, g := range s.Gateways {
			emit(float64(read(g)), g.Address)
		}
	}, "gateway")
}

// lane is a gauge: a store begun anew after damage may count from less.
func lane(name, help string, read func(Lane) uint64) family {
	return gauge("lane_"+name, help, func(s *Snapshot, emit emit) {
		for _, l := range s.Lanes {
			emit(float64(read(l)), l.Name)
		}
	}, "lane")
}

func pointsByQuality(s *Snapshot, emit emit) {
	type key struct{ group, quality string }
	count := map[key]int{}
	for _, p := range s.Points {
		for _, q := range []string{"good", "uncertain", "bad"} {
			count[key{p.Group, q}] += 0 // a quality that nobody has is 0, not absent
		}
		count[key{p.Group, p.Quality}]++
	}
	for k, n := range count {
		emit(float64(n), k.group, k.quality)
	}
}

func known(v *float64, emit emit, labels ...string) {
	if v != nil {
		emit(*v, labels...)
	}
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

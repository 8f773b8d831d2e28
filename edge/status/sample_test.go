package status_test

import (
	"time"

	"skyhaul/edge/status"
)

// sample is a site with something of everything.
func sample() status.Snapshot {
	now := time.Date(2026, 12, 24, 13, 17, 5, 0, time.UTC)
	at := func(hour, minute int) time.Time { return time.Date(2026, 12, 24, hour, minute, 0, 0, time.UTC) }
	windows := []status.Window{}
	for _, hour := range []int{14, 18, 22, 26, 30, 34} {
		windows = append(windows, status.Window{Opens: at(hour, 30), Closes: at(hour, 40)})
	}
	return status.Snapshot{
		Site: "ks-4", DisplayName: "Kompressorstation 4 Nord", Version: "v0.1.0", ConfigHash: "9f31c2aa",
		Started: now.Add(-50 * time.Hour), Time: now, TimeQuality: "holdover", TimeBound: new(0.128),
		Degraded: []string{
			"Line rs485-b: no such port /dev/skyhaul/usb-1.2-if00.",
			"Unit 7 on rs485-a has not answered for 12 min.",
		},
		Uplinks: []status.Uplink{
			{
				Name: "vsat", Next: at(14, 30), Windows: windows, Session: "idle", LastAck: new(9_800.0),
				BytesToday: 1_234_567, CostToday: 4.2, Currency: "USD", LastError: "dial broker.example:8883: i/o timeout",
			},
			{
				Name: "lte", Open: true, Until: at(13, 45), Session: "connected",
				Windows: []status.Window{{Opens: at(13, 0), Closes: at(13, 45)}},
				LastAck: new(3.0), BytesToday: 840,
			},
		},
		Buffer: status.Buffer{Bytes: 734_003_200, Quota: 8 << 30, DaysLeft: new(41.5), Quarantine: "buffer.damaged-2026-12-20: 2 chunks"},
		Lanes: []status.Lane{
			{Name: "alarm", Appended: 17, Durable: 17, Sent: 17, Acked: 17},
			{Name: "history", Appended: 1_234_567, Durable: 1_234_560, Sent: 1_200_000, Acked: 1_199_000, Pending: 35_567, OldestPending: new(9_801.0), Gaps: 1},
		},
		Lines: []status.Line{
			{Name: "rs485-a", Address: "/dev/ttyS1", State: "up", UnitsUp: 11, UnitsDown: 1, Busy: 63.4, Requests: 998_877, Errors: 412, LastError: "unit 7: no answer within 300 ms", Driver: map[string]uint64{"framing": 12, "parity": 1, "overrun": 0}},
			{Name: "rs485-b", Address: "/dev/skyhaul/usb-pci-0000:00:14.0-usb-0:1.2:1.0-if00", State: "no such port", UnitsDown: 3},
			{Name: "flow-computer", Address: "10.20.0.7:502", State: "up", UnitsUp: 1, Busy: 2, Requests: 5_000},
		},
		Units: []status.Unit{
			{Name: "separator", Line: "rs485-a", ID: 3, State: status.UnitUp, StateAge: new(7_200.0), Requests: 801_000, Timeouts: 2, Damaged: 14, Turnaround: new(0.0043)},
			{Name: "well-7", Line: "rs485-a", ID: 7, State: "no answer in time", StateAge: new(734.0), Requests: 90_400, Timeouts: 311},
			{Name: "flow-computer", Line: "flow-computer", ID: 1, State: status.UnitNotAsked},
		},
		Groups: []status.Group{
			{Name: "fast", Line: "rs485-a", Interval: 1, Points: 42, Overruns: 3},
			{Name: "slow", Line: "rs485-a", Interval: 60, Points: 240},
		},
		Archives: []status.Archive{
			{Unit: "flow-computer", Name: "hourly", Records: 840, Newest: at(12, 0)},
			{Unit: "flow-computer", Name: "events", Error: "unit 1 function 3: no answer in time"},
		},
		Gateways: []status.Gateway{
			{Address: "192.0.2.1:502", Line: "rs485-a", State: "up", Clients: 2, Requests: 86_400, Remembered: 80_211, Exchanges: 6_100, Writes: 4, Declined: 89, Refused: 3},
		},
		Points: []status.Point{
			{Tag: "PT-4101", Description: "suction pressure, header north", Value: "54.318", Unit: "bar", Quality: "good", Age: new(0.6), Group: "fast", Lane: "history", Line: "rs485-a", UnitID: 3},
			{Tag: "FT-4102", Description: "gas flow", Value: "128934.5", Unit: "Sm³/h", Quality: "good", Age: new(0.6), Group: "fast", Lane: "custody", Line: "flow-computer", UnitID: 1},
			{Tag: "TT-4103", Value: "-12.4", Unit: "°C", Quality: "uncertain", Reason: "frozen", Age: new(4.0), Group: "slow", Lane: "history", Line: "rs485-a", UnitID: 3},
			{Tag: "LT-4104", Description: "condensate level", Value: "103.7", Unit: "%", Quality: "bad", Reason: "over range", Age: new(4.0), Group: "slow", Lane: "history", Line: "rs485-a", UnitID: 3},
			{Tag: "PT-4201", Unit: "bar", Quality: "bad", Reason: "comm", Age: new(734.0), Group: "fast", Lane: "history", Line: "rs485-a", UnitID: 7},
			{Tag: "XV-4301.OPEN", Value: "1", Quality: "good", Age: new(0.6), Group: "fast", Lane: "alarm", Line: "rs485-a", UnitID: 9},
			{Tag: "PT-4401", Unit: "bar", Quality: "bad", Reason: "not connected", Group: "fast", Lane: "history", Line: "rs485-b", UnitID: 1},
		},
	}
}

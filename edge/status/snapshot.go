package status

import "time"

// Snapshot is the state of an appliance at one moment, for people. Its JSON
// form is what scripts read: names stay, new ones may come. Times are UTC,
// ages and spans are seconds, and null is "not known" or "never".
type Snapshot struct {
	Site        string    `json:"site"`
	DisplayName string    `json:"display_name"`
	Version     string    `json:"version"`
	ConfigHash  string    `json:"config_hash"`
	Started     time.Time `json:"started"`
	Time        time.Time `json:"time"`         // of this snapshot; the same clock as all times in it
	TimeQuality string    `json:"time_quality"` // point.TimeQuality, such as "synced"
	TimeBound   *float64  `json:"time_bound_seconds"`
	ClockSteps  uint64    `json:"clock_steps"` // since the start

	// Degraded is what is not as it should be, one plain sentence each; empty
	// when all is well. A closed window is no fault.
	Degraded []string `json:"degraded"`

	Uplinks []Uplink `json:"uplinks"`
	Buffer  Buffer   `json:"buffer"`
	Lanes   []Lane   `json:"lanes"`
	Lines   []Line   `json:"lines"`
	Units   []Unit   `json:"units"`
	Groups  []Group  `json:"groups"`

	Archives []Archive `json:"archives"`
	Gateways []Gateway `json:"gateways"`

	Points []Point `json:"points"`
}

// Point is the newest reading of a point.
type Point struct {
	Tag         string   `json:"tag"`
	Description string   `json:"description,omitempty"`
	Value       string   `json:"value"` // scaled, with its decimals; empty where none was read
	Unit        string   `json:"unit"`
	Quality     string   `json:"quality"`          // point.Status: "good", "uncertain", "bad"
	Reason      string   `json:"reason,omitempty"` // point.Reason, such as "sensor failure"
	Age         *float64 `json:"age_seconds"`
	Group       string   `json:"group"`
	Lane        string   `json:"lane"`
	Line        string   `json:"line"` // serial line or endpoint
	UnitID      uint8    `json:"unit_id"`
}

// Line is a serial line or an endpoint.
type Line struct {
	Name      string  `json:"name"`
	Address   string  `json:"address"` // the port or host:port
	State     string  `json:"state"`   // "up" or what is wrong, such as "no such port"
	UnitsUp   int     `json:"units_up"`
	UnitsDown int     `json:"units_down"`
	Busy      float64 `json:"busy_percent"` // of the last minute, 0 to 100
	Requests  uint64  `json:"requests"`
	Errors    uint64  `json:"errors"`
	LastError string  `json:"last_error,omitempty"`
	// Driver is what the port's driver found wrong with characters, by kind, such
	// as "framing"; empty where it counts nothing.
	Driver map[string]uint64 `json:"driver_errors,omitempty"`
}

// Unit is an instrument on a line or behind an endpoint.
type Unit struct {
	Name       string   `json:"name"`
	Line       string   `json:"line"`
	ID         uint8    `json:"id"`
	State      string   `json:"state"`             // "up", "not asked yet" or why it is down, such as "no answer in time"
	StateAge   *float64 `json:"state_age_seconds"` // since it is so
	Requests   uint64   `json:"requests"`
	Timeouts   uint64   `json:"timeouts"`
	Damaged    uint64   `json:"damaged"` // answers
	Exceptions uint64   `json:"exceptions"`
	Turnaround *float64 `json:"turnaround_seconds"` // mean silence between request and answer
}

// Group is a scan group on one line or endpoint.
type Group struct {
	Name     string  `json:"name"`
	Line     string  `json:"line"`
	Interval float64 `json:"interval_seconds"`
	Points   int     `json:"points"`
	Overruns uint64  `json:"overruns"` // places of its grid passed over, since the pass before was not done
}

// Archive is what an instrument keeps by itself and is harvested.
type Archive struct {
	Unit    string    `json:"unit"`
	Name    string    `json:"name"`
	Records uint64    `json:"records"`         // taken since the start
	Newest  time.Time `json:"newest,omitzero"` // of the newest, by the instrument's clock
	Error   string    `json:"error,omitempty"` // why the last pass failed
}

// Gateway is a door to a line for local clients.
type Gateway struct {
	Address    string `json:"address"`
	Line       string `json:"line"`
	State      string `json:"state"` // "up" or what is wrong
	Clients    int    `json:"clients"`
	Requests   uint64 `json:"requests"`
	Remembered uint64 `json:"remembered"` // answered from memory
	Exchanges  uint64 `json:"exchanges"`  // on the line
	Writes     uint64 `json:"writes"`
	Declined   uint64 `json:"declined"`
	Refused    uint64 `json:"refused"` // of these, writes that are not on the list
}

// Lane is the traffic of a lane in sequence numbers: records so far.
type Lane struct {
	Name          string   `json:"name"`
	Appended      uint64   `json:"appended"`
	Durable       uint64   `json:"durable"`
	Sent          uint64   `json:"sent"`
	Acked         uint64   `json:"acked"`
	Pending       uint64   `json:"pending"` // records not acked
	OldestPending *float64 `json:"oldest_pending_age_seconds"`
	Gaps          uint64   `json:"gaps"`
}

// Buffer is the store on flash.
type Buffer struct {
	Bytes      int64    `json:"bytes"`
	Quota      int64    `json:"quota_bytes"`
	DaysLeft   *float64 `json:"days_left"`
	LastError  string   `json:"last_error,omitempty"`
	Quarantine string   `json:"quarantine,omitempty"` // what was set aside, and why
}

// Uplink is a way to the hub, its window and its ledger.
type Uplink struct {
	Name       string    `json:"name"`
	Open       bool      `json:"window_open"`
	Until      time.Time `json:"window_until,omitzero"` // while open: the predicted close; zero: none
	Next       time.Time `json:"next_window,omitzero"`  // while closed: the predicted opening; zero: none known
	Windows    []Window  `json:"windows"`               // of the next 24 h in order, an open one first
	Session    string    `json:"session"`               // such as "idle", "connecting", "connected"
	LastAck    *float64  `json:"last_ack_age_seconds"`
	BytesToday int64     `json:"bytes_today"` // billed, both directions
	CostToday  float64   `json:"cost_today"`
	// Of the tariff's billing period, which ends at PeriodEnds.
	BytesPeriod int64     `json:"bytes_period"`
	CostPeriod  float64   `json:"cost_period"`
	PeriodEnds  time.Time `json:"period_ends,omitzero"`
	Currency    string    `json:"currency"` // such as "USD"; empty: no tariff
	LastError   string    `json:"last_error,omitempty"`
}

// Window is a time when the uplink may be used.
type Window struct {
	Opens  time.Time `json:"opens"`
	Closes time.Time `json:"closes"` // zero: stays open
}

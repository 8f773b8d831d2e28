package survey

import (
	"fmt"
	"time"

	"skyhaul/modbus"
)

// Verdict is what a scan comes to.
type Verdict uint8

// The verdicts.
const (
	Nothing     Verdict = iota // not a byte came
	Answers                    // units answer
	Noisy                      // units answer, but often damaged
	Twins                      // two units have one id
	Garbled                    // bytes came, but no frame at any settings
	OnlyEcho                   // nothing but the echo of what was sent
	Occupied                   // another client talks
	NotModbus                  // an endpoint answers something else
	HangsUp                    // an endpoint takes connections and ends them
	OnlyGateway                // a gateway answers for units that do not
)

var verdictNames = [...]string{
	"nothing received", "units answer", "units answer, some damaged", "two units with one id", "bytes but no frame",
	"only an echo", "another client", "not modbus", "hangs up", "only a gateway",
}

// String returns the verdict in a few words.
func (v Verdict) String() string {
	if int(v) < len(verdictNames) {
		return verdictNames[v]
	}
	return fmt.Sprintf("verdict(%d)", uint8(v))
}

// Report is what a scan has found.
type Report struct {
	Verdict  Verdict
	Evidence string // one sentence, with what to do
	Settings Settings
	Framing  modbus.Framing // of an endpoint
	Echo     bool           // the line repeats what is sent
	Units    []Found        // by id
	Requests int
}

// Found is a unit that answers.
type Found struct {
	Unit       modbus.UnitID
	Asked      int
	Intact     int           // answers
	Damaged    int           // answers
	Turnaround time.Duration // mean silence before an answer; 0 if all were exceptions
}

// ids lists the units that were found.
func (r *Report) ids() (ids []modbus.UnitID) {
	for _, f := range r.Units {
		ids = append(ids, f.Unit)
	}
	return ids
}

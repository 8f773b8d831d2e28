package edge

import (
	"time"

	"skyhaul/config"
)

// The parts that tick, for the watchdog to watch.
const (
	PartScan   = "scan"
	PartStore  = "store"
	PartUplink = "uplink"
)

// patience is how long a part may be silent beyond its own rhythm: a card that
// stalls or a clock that steps is not a hang.
const patience = time.Minute

// Deadlines returns how long each part of a daemon may go without a tick.
func Deadlines(c *config.Config) map[string]time.Duration {
	d := map[string]time.Duration{PartStore: c.Buffer.Sync + patience}
	var silence time.Duration // of one request: sent twice, after one of another group
	for i := range c.Lines {
		silence = max(silence, 4*c.Lines[i].Bus.Timeout)
	}
	for i := range c.Groups {
		d[PartScan] = max(d[PartScan], 2*c.Groups[i].Interval+silence+patience)
	}
	if c.Uplink != nil {
		d[PartUplink] = 2*time.Minute + patience
	}
	return d
}

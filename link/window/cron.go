package window

import (
	"fmt"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
)

// Cron opens at the times of a cron expression.
type Cron struct {
	schedule cron.Schedule
	open     time.Duration
}

// maxChain bounds how many openings that touch each other are put together.
// A longer chain is an end out of sight: 1000 openings a minute apart are 16 hours.
const maxChain = 1000

// maxOpen bounds how far At looks back for the opening that now may lie in.
const maxOpen = 31 * 24 * time.Hour

var parser = cron.NewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow)

// NewCron returns the window that opens at each time of expr, in UTC, and stays
// open for open, at most 31 days. The expression has the five classic fields: minute, hour, day
// of month, month, day of week. Openings that touch or overlap are one.
func NewCron(expr string, open time.Duration) (*Cron, error) {
	if strings.Contains(expr, "TZ=") {
		return nil, fmt.Errorf("cron = %q: windows are in UTC, leave the time zone out", expr)
	}
	schedule, err := parser.Parse(expr)
	if err != nil {
		return nil, fmt.Errorf("cron = %q: %v", expr, err)
	}
	if open <= 0 || open > maxOpen {
		return nil, fmt.Errorf("open = %v: must be more than zero and at most %v", open, maxOpen)
	}
	if schedule.Next(time.Unix(0, 0).UTC()).IsZero() {
		return nil, fmt.Errorf("cron = %q: there is no such day", expr)
	}
	return &Cron{schedule, open}, nil
}

// At tells how the window stands at now.
func (c *Cron) At(now time.Time) State {
	now = now.UTC()
	start := c.schedule.Next(now.Add(-c.open))
	if start.IsZero() || start.After(now) {
		return State{false, start}
	}
	for range maxChain {
		end := start.Add(c.open)
		start = c.schedule.Next(start)
		if start.IsZero() || start.After(end) {
			return State{true, end}
		}
	}
	return State{Open: true}
}

// Package tariff says what the use of a link costs. It is pure: plans are
// values, usage and time come in as arguments.
//
// A byte here is a byte of an IP packet, headers and both directions counted;
// 1 KB is 1000 bytes and 1 MB is 1000 KB, as operators write their bills.
package tariff

import (
	"fmt"
	"math"
	"time"
)

// Plan is a tariff. The zero value is a link that is measured but costs nothing.
type Plan struct {
	Currency  string  // such as "USD"; only shown
	PerMB     float64 // price of 1,000,000 billed bytes
	PerMinute float64 // price of a billed minute of session, for links dialled by time

	// SessionMin is the least that is billed for a session, Increment the step
	// to which more is rounded up, both in bytes. They hold for both directions
	// together or, with EachWay, for each by itself.
	SessionMin int64
	Increment  int64
	EachWay    bool

	// A session is billed for at least SessionMinTime, and beyond it in steps of
	// TimeIncrement. It matters with PerMinute only.
	SessionMinTime time.Duration
	TimeIncrement  time.Duration

	// A session longer than FloorAfter is billed as at least FloorRate bytes for
	// each second from its first on. Zero FloorRate is no such rule.
	FloorAfter time.Duration
	FloorRate  int64

	// A link of messages bills each by itself: at least MessageMin bytes, rounded
	// up to steps of MessageIncrement; a session without any as EmptySession
	// bytes. With both zero sessions are billed as above.
	MessageMin       int64
	MessageIncrement int64
	EmptySession     int64

	// The budget is Budget billed bytes, zero for none, for each period from
	// 00:00 UTC of the day ResetDay of a month, 1 to 28 and 0 for 1, to the next.
	// Hard closes the link when it is spent; else it is only shown.
	ResetDay int
	Budget   int64
	Hard     bool
}

// Usage is what a session took.
type Usage struct {
	Up, Down int64 // bytes
	Duration time.Duration
	Messages []int64 // bytes of each, on a link of messages
}

// Check returns an error naming the first field that can't be.
func (p *Plan) Check() error {
	for _, f := range []struct {
		name  string
		value float64
	}{
		{"per_mb", p.PerMB},
		{"per_minute", p.PerMinute},
		{"session_min", float64(p.SessionMin)},
		{"increment", float64(p.Increment)},
		{"session_min_time", p.SessionMinTime.Seconds()},
		{"time_increment", p.TimeIncrement.Seconds()},
		{"floor_after", p.FloorAfter.Seconds()},
		{"floor_rate", float64(p.FloorRate)},
		{"message_min", float64(p.MessageMin)},
		{"message_increment", float64(p.MessageIncrement)},
		{"empty_session", float64(p.EmptySession)},
		{"budget", float64(p.Budget)},
	} {
		if !(f.value >= 0) || math.IsInf(f.value, 1) {
			return fmt.Errorf("%s = %v: must be zero or more", f.name, f.value)
		}
	}
	if p.ResetDay < 0 || p.ResetDay > 28 {
		return fmt.Errorf("reset_day = %d: must be from 1 to 28", p.ResetDay)
	}
	if p.Hard && p.Budget == 0 {
		return fmt.Errorf("budget = 0: a hard budget must be more than zero")
	}
	return nil
}

// Cost returns what a session is billed for, in bytes and in money.
func (p *Plan) Cost(u Usage) (billed int64, money float64) {
	if p.MessageMin > 0 || p.MessageIncrement > 0 {
		billed = p.messages(u.Messages)
	} else {
		billed = p.session(u)
	}
	minutes := roundUp(max(u.Duration, p.SessionMinTime), p.TimeIncrement).Minutes()
	return billed, float64(billed)/1e6*p.PerMB + minutes*p.PerMinute
}

func (p *Plan) messages(sizes []int64) (billed int64) {
	if len(sizes) == 0 {
		return p.EmptySession
	}
	for _, n := range sizes {
		billed += roundUp(max(n, p.MessageMin), p.MessageIncrement)
	}
	return billed
}

func (p *Plan) session(u Usage) (billed int64) {
	if p.EachWay {
		billed = roundUp(max(u.Up, p.SessionMin), p.Increment) + roundUp(max(u.Down, p.SessionMin), p.Increment)
	} else {
		billed = roundUp(max(u.Up+u.Down, p.SessionMin), p.Increment)
	}
	if u.Duration > p.FloorAfter {
		billed = max(billed, int64(math.Ceil(float64(p.FloorRate)*u.Duration.Seconds())))
	}
	return billed
}

// roundUp returns the smallest multiple of step that is not below n; n for step 0.
func roundUp[T ~int64](n, step T) T {
	if step <= 0 || n%step == 0 {
		return n
	}
	return n + step - n%step
}

// Month returns the expected bill of an average month of 30.44 days with
// perDay sessions a day that each take u.
func (p *Plan) Month(perDay float64, u Usage) (billed int64, money float64) {
	b, m := p.Cost(u)
	sessions := perDay * 365.25 / 12
	return int64(math.Round(float64(b) * sessions)), m * sessions
}

// Period returns the billing period that now lies in, from start up to but
// without end, in UTC.
func (p *Plan) Period(now time.Time) (start, end time.Time) {
	y, m, d := now.UTC().Date()
	reset := max(p.ResetDay, 1)
	if d < reset {
		m--
	}
	return time.Date(y, m, reset, 0, 0, 0, 0, time.UTC), time.Date(y, m+1, reset, 0, 0, 0, 0, time.UTC)
}

// Allows reports whether the budget lets the link be used when spent bytes of
// this period are billed. The last tenth of a hard budget is kept for what is
// urgent.
func (p *Plan) Allows(spent int64, urgent bool) bool {
	if !p.Hard {
		return true
	}
	if urgent {
		return spent < p.Budget
	}
	return spent < p.Budget-p.Budget/10
}

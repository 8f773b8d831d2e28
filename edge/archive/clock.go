package archive

import (
	"math"
	"time"

	"skyhaul/edge/point"
)

// reading is the time in a record.
type reading struct {
	local   int64 // as the instrument shows it, as if that were UTC; Unix milliseconds
	utc     int64 // Unix milliseconds
	quality point.Quality
}

func (r reading) known() bool { return r.quality.Status() != point.Bad }

// String shows the instrument's own time.
func (r reading) String() string {
	if !r.known() {
		return "time unknown"
	}
	return time.UnixMilli(r.local).UTC().Format(time.DateTime)
}

var unreadable = reading{quality: point.MakeQuality(point.Bad, point.Clock)}

// clock says how the unit's times are to be read.
type clock struct {
	location *time.Location
	dayStart time.Duration
}

// read finds the time in a record.
func (c *clock) read(l point.Layout, raw []byte) reading {
	var date time.Time
	day, dated, good := c.dayStart, false, true
	for i, v := range l.Values(raw) {
		f := l[i].Type.Float(v)
		ok := true
		switch l[i].Unit {
		case point.MMDDYY, point.DDMMYY, point.YYMMDD:
			date, ok = dateOf(l[i].Unit, f)
			dated = true
		case point.HHMMSS:
			day, ok = timeOfDay(f)
		case point.UnixTime:
			return unixTime(f)
		}
		good = good && ok
	}
	if !dated || !good {
		return unreadable
	}
	return c.at(date.Add(day))
}

// unixTime takes what a signed number of 32 bits and more can say, without
// the zero of a clock that was never set.
func unixTime(seconds float64) reading {
	const end = 253402300800 // year 10000
	if !(seconds >= 1 && seconds < end) {
		return unreadable
	}
	ms := int64(seconds * 1000)
	return reading{local: ms, utc: ms}
}

// at reads a local time: date has its digits as if they were UTC.
func (c *clock) at(date time.Time) reading {
	r := reading{local: date.UnixMilli()}
	before, after := c.offset(date.Add(-24*time.Hour)), c.offset(date.Add(24*time.Hour))
	first, second := date.Add(-before), date.Add(-after)
	r.utc = first.UnixMilli()
	isFirst, isSecond := c.offset(first) == before, c.offset(second) == after
	switch {
	case isSecond && !isFirst:
		r.utc = second.UnixMilli()
	case before != after && isFirst == isSecond: // twice, or not at all
		r.quality = point.MakeQuality(point.Uncertain, point.Clock)
	}
	return r
}

func (c *clock) offset(t time.Time) time.Duration {
	_, seconds := t.In(c.location).Zone()
	return time.Duration(seconds) * time.Second
}

// pairs splits a number into pairs of decimal digits, as dates and times are
// written in one number.
func pairs(v float64) (a, b, c int, ok bool) {
	if !(v >= 0 && v <= 999999) || v != math.Trunc(v) {
		return 0, 0, 0, false
	}
	n := int(v)
	return n / 10000, n / 100 % 100, n % 100, true
}

func dateOf(meaning string, v float64) (time.Time, bool) {
	month, day, year, ok := pairs(v)
	switch meaning {
	case point.DDMMYY:
		month, day = day, month
	case point.YYMMDD:
		year, month, day = month, day, year
	}
	if year += 2000; year > 2068 { // as POSIX has it
		year -= 100
	}
	t := time.Date(year, time.Month(month), day, 0, 0, 0, 0, time.UTC)
	return t, ok && int(t.Month()) == month && t.Day() == day
}

func timeOfDay(v float64) (time.Duration, bool) {
	h, m, s, ok := pairs(v)
	d := time.Duration(h)*time.Hour + time.Duration(m)*time.Minute + time.Duration(s)*time.Second
	return d, ok && h < 24 && m < 60 && s < 60
}

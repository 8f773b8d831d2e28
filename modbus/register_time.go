package modbus

import (
	"fmt"
	"math"
	"time"
)

// TimeFormat says how a date and a time of day lie in registers.
type TimeFormat uint8

// The formats of times. Two digits of a year are told apart by [Clock.Pivot].
const (
	TimeUnix32   TimeFormat = iota // 2 registers: seconds since 1970, unsigned
	TimeUnix64                     // 4 registers: likewise
	TimeFields                     // 6 registers: year, month, day, hour, minute, second; a year below 100 is two digits
	TimeFieldsMS                   // 7 registers: and milliseconds
	TimeBCD                        // 3 registers of two bytes of two decimal digits: year and month, day and hour, minute and second
	TimeIEC                        // 4 registers of Schneider, after IEC 60870-5-4: year since 2000; month, weekday, day; hour, minute; milliseconds with the seconds
	TimeEnron                      // 4 registers: a float MMDDYY and a float HHMMSS
	timeFormats
)

var timeRegisters = [timeFormats]int{2, 4, 6, 7, 3, 4, 4}

// Clock says how a unit tells the time. The zero value counts seconds in UTC.
// The words of a number of 32 or 64 bits come with the high one first.
type Clock struct {
	Format   TimeFormat
	Location *time.Location // of what the unit shows; nil is UTC
	Pivot    int            // the first of the hundred years that two digits stand for; 0 is 2000
}

// Registers returns how many registers a time takes: 2 to 7; 0 for no format.
func (c Clock) Registers() int {
	if c.Format >= timeFormats {
		return 0
	}
	return timeRegisters[c.Format]
}

// moment is a time as the parts of a date, which may be none.
type moment struct{ year, month, day, hour, minute, second, ms int }

// Decode returns the time in registers. It fails if there are not exactly
// Registers of them or if they hold no time of the calendar.
func (c Clock) Decode(regs []uint16) (time.Time, error) {
	if len(regs) != c.Registers() || len(regs) == 0 {
		return time.Time{}, fmt.Errorf("decode time: %d registers, want %d", len(regs), c.Registers())
	}
	switch c.Format {
	case TimeUnix32, TimeUnix64:
		s := pack(regs)
		if s > maxUnix {
			return time.Time{}, fmt.Errorf("decode time: %d seconds", s)
		}
		return time.Unix(int64(s), 0).In(c.location()), nil
	case TimeFields, TimeFieldsMS:
		var m moment
		for i, part := range m.parts()[:len(regs)] {
			*part = int(regs[i])
		}
		return c.time(m)
	case TimeBCD:
		return c.decodeBCD(regs)
	case TimeIEC:
		return c.decodeIEC(regs)
	}
	return c.decodeEnron(math.Float32frombits(uint32(pack(regs[:2]))), math.Float32frombits(uint32(pack(regs[2:]))))
}

// maxUnix is the end of the year 9999.
const maxUnix = 253402300799

// Encode puts a time into registers, less what is finer than they tell. It is
// the inverse of Decode and fails, touching nothing, if the time doesn't fit. Of
// an hour that a zone repeats, the earlier doesn't.
func (c Clock) Encode(regs []uint16, t time.Time) error {
	if len(regs) != c.Registers() || len(regs) == 0 {
		return fmt.Errorf("encode time: %d registers, want %d", len(regs), c.Registers())
	}
	coded := c.encode(t.In(c.location()))
	back, err := c.Decode(coded)
	if err != nil || t.Sub(back).Abs() >= time.Second || back.After(t) {
		return fmt.Errorf("encode time: %v does not fit", t)
	}
	copy(regs, coded)
	return nil
}

// encode is Encode for a time that fits.
func (c Clock) encode(t time.Time) []uint16 {
	m := momentOf(t)
	switch c.Format {
	case TimeUnix32, TimeUnix64:
		return unpack(nil, uint64(t.Unix()), c.Registers())
	case TimeFields, TimeFieldsMS:
		var regs []uint16
		for _, part := range m.parts()[:c.Registers()] {
			regs = append(regs, uint16(*part))
		}
		return regs
	case TimeBCD:
		return []uint16{
			bcd(m.year%100)<<8 | bcd(m.month), bcd(m.day)<<8 | bcd(m.hour), bcd(m.minute)<<8 | bcd(m.second),
		}
	case TimeIEC:
		weekday := (int(t.Weekday()) + 6) % 7 // 1 is Monday, 7 Sunday
		return []uint16{
			uint16(m.year - 2000),
			uint16(m.month<<8 | (weekday+1)<<5 | m.day),
			uint16(m.hour<<8 | m.minute),
			uint16(1000*m.second + m.ms),
		}
	}
	date, clock := float32(m.month*10000+m.day*100+m.year%100), float32(m.hour*10000+m.minute*100+m.second)
	return unpack(nil, uint64(math.Float32bits(date))<<32|uint64(math.Float32bits(clock)), 4)
}

// decodeEnron reads the floats MMDDYY and HHMMSS.
func (c Clock) decodeEnron(date, clock float32) (time.Time, error) {
	const end = 1e6 // which floats count up to exactly
	if !(date >= 0 && date < end && clock >= 0 && clock < end) || date != float32(int(date)) || clock != float32(int(clock)) {
		return time.Time{}, fmt.Errorf("decode time: %v, %v", date, clock)
	}
	d, s := int(date), int(clock)
	return c.time(moment{year: d % 100, month: d / 10000, day: d / 100 % 100, hour: s / 10000, minute: s / 100 % 100, second: s % 100})
}

func (c Clock) decodeBCD(regs []uint16) (time.Time, error) {
	var m moment
	parts := m.parts()
	for i, r := range regs {
		n, err := fromDigits(uint64(r), 4, 10)
		if err != nil {
			return time.Time{}, err
		}
		*parts[2*i], *parts[2*i+1] = int(n)/100, int(n)%100
	}
	return c.time(m)
}

// decodeIEC reads four words:
//
//	15       12      8     7         5    0
//	-        -       -     -   | year 7 bits
//	-      | month | weekday 3 | day
//	summer | -   hour 5  | invalid | - minute 6
//	milliseconds of the minute
func (c Clock) decodeIEC(regs []uint16) (time.Time, error) {
	const invalid = 1 << 7
	if regs[2]&invalid != 0 {
		return time.Time{}, fmt.Errorf("decode time: % 04X is marked as invalid", regs)
	}
	return c.time(moment{
		year:  2000 + int(regs[0]&0x7F),
		month: int(regs[1] >> 8 & 0xF), day: int(regs[1] & 0x1F),
		hour: int(regs[2] >> 8 & 0x1F), minute: int(regs[2] & 0x3F),
		second: int(regs[3]) / 1000, ms: int(regs[3]) % 1000,
	})
}

func (c Clock) location() *time.Location {
	if c.Location == nil {
		return time.UTC
	}
	return c.Location
}

// century returns the year that two digits stand for, or a whole year as it is.
func (c Clock) century(year int) int {
	pivot := c.Pivot
	if pivot == 0 {
		pivot = 2000
	}
	if year >= 100 {
		return year
	}
	year += pivot - pivot%100
	if year < pivot {
		year += 100
	}
	return year
}

// time returns the moment if the calendar has it.
func (c Clock) time(m moment) (time.Time, error) {
	m.year = c.century(m.year)
	t := time.Date(m.year, time.Month(m.month), m.day, m.hour, m.minute, m.second, m.ms*int(time.Millisecond), c.location())
	if momentOf(t) != m {
		return time.Time{}, fmt.Errorf("decode time: there is no %04d-%02d-%02d %02d:%02d:%02d.%03d", m.year, m.month, m.day, m.hour, m.minute, m.second, m.ms)
	}
	return t, nil
}

func momentOf(t time.Time) moment {
	year, month, day := t.Date()
	hour, minute, second := t.Clock()
	return moment{year, int(month), day, hour, minute, second, t.Nanosecond() / int(time.Millisecond)}
}

// parts returns the parts in the order in which registers hold them.
func (m *moment) parts() []*int {
	return []*int{&m.year, &m.month, &m.day, &m.hour, &m.minute, &m.second, &m.ms}
}

func bcd(n int) uint16 { return uint16(n/10<<4 | n%10) }

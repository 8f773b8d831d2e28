package status

import (
	"fmt"
	"math"
	"strconv"
	"time"
)

// The page says the same in assets/page.js.

// span is a length of time in words, such as "3 s", "12 min", "4 h 10 min".
func span(d time.Duration) string {
	s := max(0, int64(math.Round(d.Seconds())))
	m, h := (s+30)/60, (s+1800)/3600
	switch {
	case s < 90:
		return fmt.Sprintf("%d s", s)
	case m < 90:
		return fmt.Sprintf("%d min", m)
	case h < 48:
		return fmt.Sprintf("%d h %d min", m/60, m%60)
	}
	return fmt.Sprintf("%d d %d h", h/24, h%24)
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

func age(s *float64, never string) string {
	if s == nil {
		return never
	}
	return span(seconds(*s))
}

func ago(s *float64) string {
	if s == nil {
		return "never"
	}
	return age(s, "") + " ago"
}

func number(n uint64) cell { return cell{text: strconv.FormatUint(n, 10)} }

// size is a number of bytes, such as "840 B", "1.2 MB"; a kB is 1000 bytes.
func size(n int64) string {
	v, units := float64(n), []string{"B", "kB", "MB", "GB", "TB"}
	for len(units) > 1 && v >= 1000 {
		v, units = v/1000, units[1:]
	}
	if v >= 100 || units[0] == "B" {
		return fmt.Sprintf("%.0f %s", v, units[0])
	}
	return fmt.Sprintf("%.1f %s", v, units[0])
}

// moment is a time of day, with the day where it is another than now's.
func moment(t, now time.Time) string {
	t, now = t.UTC(), now.UTC()
	if t.Format(time.DateOnly) == now.Format(time.DateOnly) {
		return t.Format("15:04 UTC")
	}
	return t.Format("2006-01-02 15:04 UTC")
}

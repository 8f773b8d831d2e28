package config

import (
	"math"
	"strconv"
	"strings"
	"time"

	"skyhaul/edge/point"
	"skyhaul/edge/scan"
)

// The words of send, and how they are written.
const (
	sendWords = "all, none, change, deadband(0.5), deadband(0.5%), swinging_door(0.5), swinging_door(0.5%), summary(5m), summary(5m: last, mean)"

	usualSilence = 15 * time.Minute
	maxSummary   = 24 * time.Hour
)

// send reads which readings of a point are recorded and sent. The lane, scales
// and bounds of p are read before.
func (t *table) send(p *scan.Point) {
	text := t.text("send", "all")
	silence := t.duration("max_silence", usualSilence, time.Second, 24*time.Hour).Truncate(time.Millisecond)
	word, arg, hasArg := strings.Cut(strings.TrimSuffix(text, ")"), "(")
	word = strings.TrimSpace(word)
	switch {
	case hasArg != strings.HasSuffix(text, ")"):
		word = ""
	case p.Lane == point.Custody && text != "all" && text != "none":
		t.fail("send", "%q can't be in lane custody, which keeps every reading: say all or none, or lane history", text)
		return
	}
	switch {
	case text == "all":
	case text == "none":
		p.Local = true
	case text == "change":
		p.Rule = point.Rule{Method: point.OnChange, Silence: silence}
	case word == "deadband" && hasArg:
		p.Rule = point.Rule{Method: point.Deadband, Error: t.error(p, text, arg), Silence: silence}
	case word == "swinging_door" && hasArg:
		p.Rule = point.Rule{Method: point.SwingingDoor, Error: t.error(p, text, arg), Silence: silence}
	case word == "summary" && hasArg:
		p.Summary, p.Lane = t.summary(text, arg), point.Trend
	default:
		t.fail("send", "%q is not one of %s", text, sendWords)
	}
}

// error reads the greatest error of what is not sent: engineering units, or
// percent of the point's span.
func (t *table) error(p *scan.Point, text, arg string) float64 {
	number, percent := strings.CutSuffix(strings.TrimSpace(arg), "%")
	e, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if p.Type == point.Bool {
		t.fail("send", "%q can't be: a bool has no error between 0 and 1: say change", text)
		return 0
	}
	if err != nil || !(e > 0) || math.IsInf(e, 0) {
		t.fail("send", "%q: %q is not an error above 0: write it in engineering units as 0.5, or in percent of the span as 0.5%%; for none at all say change", text, arg)
		return 0
	}
	if !percent {
		return e
	}
	span := t.span()
	switch {
	case span == 0:
		t.fail("send", "%q: percent of what? Give eng_low and eng_high, or valid_low and valid_high, or write the error in engineering units", text)
		return 0
	case e >= 100:
		t.fail("send", "%q: %v %% is the whole span of the point: less than 100 %% it must be", text, e)
		return 0
	}
	return e / 100 * span
}

// span returns that of the engineering range, else of the valid range; zero
// without either.
func (t *table) span() float64 {
	for _, r := range [][2]string{{"eng_low", "eng_high"}, {"valid_low", "valid_high"}} {
		if low, high := t.float(r[0]), t.float(r[1]); low != nil && high != nil {
			return math.Abs(*high - *low)
		}
	}
	return 0
}

// summary reads an interval and the statistics of it.
func (t *table) summary(text, arg string) (s scan.Summary) {
	length, list, listed := strings.Cut(arg, ":")
	interval, err := time.ParseDuration(strings.TrimSpace(length))
	if err != nil || interval < time.Second || interval > maxSummary || interval%time.Millisecond != 0 {
		t.fail("send", "%q: %q is not an interval of 1s to 24h: write it as 1m, 5m or 1h", text, strings.TrimSpace(length))
		return s
	}
	s = scan.Summary{Interval: interval, Statistics: point.Weighted}
	if !listed {
		return s
	}
	s.Statistics = 0
	for _, name := range strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ' ' }) {
		st, ok := point.ParseStatistic(name)
		if !ok {
			t.fail("send", "%q: %q is not one of count, min, mean, max, last", text, name)
			return scan.Summary{}
		}
		s.Statistics = s.Statistics.With(st)
	}
	if s.Statistics == 0 {
		t.fail("send", "%q: no statistics after the colon: name some of count, min, mean, max, last", text)
	}
	return s
}

// tooSeldom reports points whose group is scanned so seldom that what they are to
// send makes no sense.
func (p *placed) tooSeldom(probs *problems, group string, interval time.Duration) {
	if s := p.Summary.Interval; s > 0 && s < 2*interval {
		probs.add("%s: tag %q: send: a summary of %v has less than two scans of group %q, which are %v apart: make it longer, or say all",
			p.where, p.Tag, s, group, interval)
	}
	if s := p.Rule.Silence; s > 0 && s < 2*interval {
		probs.add("%s: tag %q: max_silence: %v is less than two scans of group %q, which are %v apart, so nothing would be left out: make it longer, or send all",
			p.where, p.Tag, s, group, interval)
	}
}

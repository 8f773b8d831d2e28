package survey

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"skyhaul/modbus"
)

// conclude says what the scan of a line comes to.
func (s *scan) conclude() Report {
	r := &s.report
	slices.SortFunc(r.Units, func(a, b Found) int { return cmp.Compare(a.Unit, b.Unit) })
	var echo, bytes, asked, reacted, everywhere, zeroish int
	for _, x := range s.spoke {
		echo, bytes, asked, reacted, zeroish = echo+x.echo, bytes+x.bytes, asked+x.asked, reacted+len(x.units), zeroish+x.zeroish
		if x.everywhere() {
			everywhere++
		}
	}
	r.Echo = echo > 0
	if twins := s.twins(); len(twins) > 0 {
		r.Verdict = Twins
		r.Evidence = fmt.Sprintf("two units have id %s at %s: %s: switch one off, give the other a new id",
			joinIDs(twins), r.Settings, s.twinEvidence(twins))
		return *r
	}
	r.Units = slices.DeleteFunc(r.Units, func(f Found) bool { return f.Intact == 0 })
	switch {
	case len(r.Units) > 0:
		s.answers()
	case everywhere > 0:
		r.Verdict = Garbled
		r.Evidence = fmt.Sprintf("bytes follow whatever is sent, but no frame at any of %d settings (%d of %d requests, %d %% of the bytes 00 or FF): "+
			"A and B are swapped; if not, a missing bias or a broken transceiver holds the line", len(s.spoke), reacted, asked, 100*zeroish/max(1, bytes))
	case reacted > 0:
		r.Verdict = Garbled
		r.Evidence = fmt.Sprintf("%d of %d requests were followed by bytes, but by no frame at any of %d settings, from %s: "+
			"the parity or baud rate is another, or the line has no termination or a bad cable: try --full, then one unit at a time", reacted, asked, len(s.spoke), listIDs(s.reacted()))
	case echo > 0:
		r.Verdict = OnlyEcho
		r.Evidence = fmt.Sprintf("only the echo of what is sent comes back (%d of %d requests): the adapter works and hears itself, "+
			"no unit does: power of the units, A and B, unit ids, baud rate and parity", asked, asked)
	case s.unasked >= talk:
		r.Verdict = Garbled
		r.Evidence = fmt.Sprintf("%d bytes came while nothing was sent, but no frame at any of %d settings and no answer to %d requests: "+
			"noise on a line without bias, or a client with other settings: try --full", s.unasked, len(s.spoke), asked)
	default:
		r.Verdict = Nothing
		r.Evidence = fmt.Sprintf("nothing was received, not a byte, after %d requests at %d settings: power of the units, "+
			"A and B connected at all, the unit id (asked: %s), the adapter's direction", asked, len(s.spoke), spanIDs(s.o.Units))
	}
	return *r
}

// answers is the verdict where units answer.
func (s *scan) answers() {
	r := &s.report
	var asked, damaged int
	for _, f := range r.Units {
		asked += f.Asked
		damaged += f.Asked - f.Intact + f.Damaged
	}
	r.Verdict = Answers
	r.Evidence = fmt.Sprintf("valid at %s: %s", r.Settings, listIDs(r.ids()))
	if r.Echo {
		r.Evidence += "; the line repeats what is sent, which does no harm"
	}
	if damaged > 0 {
		r.Verdict = Noisy
		r.Evidence += fmt.Sprintf("; but %d of %d answers were damaged or missing: termination at both ends, bias, shield, distance to drives", damaged, asked)
	}
}

// twins returns the units whose answers are damaged where others' are not, or
// the one that alone was heard at all, garbled, at one settings only: a unit
// speaks only when it understood, so these settings are right.
func (s *scan) twins() (ids []modbus.UnitID) {
	intact := 0
	for _, f := range s.report.Units {
		if f.Intact > 0 && f.Damaged == 0 {
			intact++
		}
		if f.Damaged >= f.Asked-1 {
			ids = append(ids, f.Unit)
		}
	}
	if intact > 0 || len(ids) == 1 && len(s.reacted()) <= 1 && s.spoken() <= 1 {
		return ids
	}
	return nil
}

// spoken returns at how many settings bytes came that were no answer.
func (s *scan) spoken() (n int) {
	for _, r := range s.spoke {
		if len(r.units) > 0 {
			n++
		}
	}
	return n
}

func (s *scan) twinEvidence(ids []modbus.UnitID) string {
	var damaged, asked int
	for _, f := range s.report.Units {
		if slices.Contains(ids, f.Unit) {
			damaged += f.Damaged
			asked += f.Asked
		}
	}
	others := slices.DeleteFunc(s.report.ids(), func(id modbus.UnitID) bool { return slices.Contains(ids, id) })
	text := fmt.Sprintf("%d of %d answers are damaged or doubled", damaged, asked)
	if len(others) > 0 {
		return text + ", while those of " + listIDs(others) + " are intact"
	}
	return text + ", at these settings and from this id alone"
}

// reacted lists the units after whose requests bytes came.
func (s *scan) reacted() (ids []modbus.UnitID) {
	for _, x := range s.spoke {
		for unit := range x.units {
			if !slices.Contains(ids, unit) {
				ids = append(ids, unit)
			}
		}
	}
	slices.Sort(ids)
	return ids
}

// listIDs writes ids as "unit 1" or "units 1, 3 and 7".
func listIDs(ids []modbus.UnitID) string {
	if len(ids) == 1 {
		return fmt.Sprintf("unit %d", ids[0])
	}
	return "units " + joinIDs(ids)
}

func joinIDs(ids []modbus.UnitID) string {
	words := make([]string, len(ids))
	for i, id := range ids {
		words[i] = fmt.Sprint(id)
	}
	if n := len(words); n > 1 {
		return strings.Join(words[:n-1], ", ") + " and " + words[n-1]
	}
	return strings.Join(words, "")
}

// spanIDs writes ids in a row as 1-32.
func spanIDs(ids []modbus.UnitID) string {
	if len(ids) == 0 {
		return "none"
	}
	var parts []string
	for i := 0; i < len(ids); {
		j := i
		for j+1 < len(ids) && ids[j+1] == ids[j]+1 {
			j++
		}
		if j > i {
			parts = append(parts, fmt.Sprintf("%d-%d", ids[i], ids[j]))
		} else {
			parts = append(parts, fmt.Sprint(ids[i]))
		}
		i = j + 1
	}
	return strings.Join(parts, ", ")
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

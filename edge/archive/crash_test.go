package archive

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"skyhaul/modbus"
)

// TestPowerLossAtEveryStep cuts the power before and after each put, sync, save
// and acknowledgement. What the hub has in the end, knowing records that came
// twice, is what the instrument had.
func TestPowerLossAtEveryStep(t *testing.T) {
	crashes := 0
	for crash := 1; ; crash++ {
		for _, after := range []bool{false, true} {
			s, ok := playedThrough(t, crash, after)
			if !ok {
				if crashes < 60 {
					t.Errorf("only %d crashes", crashes)
				}
				return
			}
			crashes++
			s.checkHub(fmt.Sprintf("power lost at step %d, after it %v", crash, after))
		}
	}
}

// playedThrough harvests a meter in three passes with a crash at a step of the
// second; ok is false where that has fewer steps.
func playedThrough(t *testing.T, crash int, after bool) (s *site, ok bool) {
	m := newMeter(hours)
	s = newSite(t, m)
	sp := spec(hours, events)
	m.hour(6)
	m.Archives.Log(modbus.EnronLog, entry(0))
	s.pass(s.harvester(sp))

	m.hour(4)
	for n := range 15 {
		m.Archives.Log(modbus.EnronLog, entry(1+n))
	}
	s.steps, s.crash, s.after = 0, crash, after
	if s.once(s.harvester(sp)) == nil && !s.dead {
		return nil, false
	}

	s.ram, s.dead, s.crash = nil, false, 0
	m.hour(1)
	m.Archives.Log(modbus.EnronLog, entry(16))
	s.pass(s.harvester(sp))
	s.pass(s.harvester(sp))
	return s, true
}

// checkHub checks that everything is there once, and that only what was in
// flight when the power went came twice.
func (s *site) checkHub(when string) {
	s.t.Helper()
	seen := make(map[string]bool)
	var once, entries []int
	twice := make(map[bool]int)
	for i, v := range volumes(s.records()) {
		a := &s.records()[i]
		log := a.ID == events.ID
		switch id := identity(a); {
		case seen[id]:
			twice[log]++
		case log:
			entries = append(entries, v)
			seen[id] = true
		default:
			once = append(once, v)
			seen[id] = true
		}
	}
	if !slices.Equal(once, span(0, 10)) || !slices.Equal(entries, span(1, 17)) {
		s.t.Errorf("%s: the hub has hours %v and entries %v", when, once, entries)
	}
	if twice[false] > 1 || twice[true] > 12 || twice[false] > 0 && twice[true] > 0 {
		s.t.Errorf("%s: %d hours and %d entries came twice", when, twice[false], twice[true])
	}
	if notes := s.notes(); len(notes) > 0 {
		s.t.Errorf("%s: notes %q", when, notes)
	}
}

// TestStoreThatFailsForAWhile has the store refuse and what was put in between
// be gone, as when memory was full.
func TestStoreThatFailsForAWhile(t *testing.T) {
	m := newMeter(hours)
	m.hour(6)
	m.Archives.Log(modbus.EnronLog, entry(0), entry(1))
	s := newSite(t, m)
	h := s.harvester(spec(hours, events))
	s.syncErr = errors.New("full")
	for range 5 {
		if err := s.once(h); !errors.Is(err, s.syncErr) {
			t.Errorf("got %v", err)
		}
	}
	if len(s.ram) != 3 { // the first hour and two entries, each put once
		t.Errorf("%d records were put into a store that takes none", len(s.ram))
	}
	if st := h.Status(); st[0].Err != nil {
		t.Errorf("status %+v before a pass was reported", st)
	}
	s.ram, s.syncErr = nil, nil
	s.pass(h)
	if got := volumes(s.records()); !slices.Equal(got, append(span(0, 5), 1, 2)) {
		t.Errorf("got %v", got)
	}
}

// TestStateThatIsGone has the instrument harvested from the beginning.
func TestStateThatIsGone(t *testing.T) {
	for name, state := range map[string][]byte{"gone": nil, "damaged": {1, 2, 3}, "of another version": {9, 0, 0, 0, 0, 0, 0}} {
		m := newMeter(hours)
		m.hour(10)
		s := newSite(t, m)
		s.pass(s.harvester(spec(hours, events)))
		delete(s.state, "archive-900")
		if state != nil {
			s.state["archive-900"], s.state["archive-901"] = state, state
		}
		m.hour(1)
		s.pass(s.harvester(spec(hours, events)))
		if got := volumes(s.records()); !slices.Equal(got, append(span(0, 9), span(0, 10)...)) {
			t.Errorf("%s: %v", name, got)
		}
	}
}

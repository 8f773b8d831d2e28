package archive

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"testing"

	"skyhaul/bufferstore"
	"skyhaul/edge/point"
	"skyhaul/link/batch"
	"skyhaul/link/hub/sqlite"
	"skyhaul/modbus"
)

// TestPowerLossAtEveryStep cuts the power before and after each put, sync, save
// and acknowledgement. What the hub has in the end is what the instrument had.
func TestPowerLossAtEveryStep(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hub.db")
	sink, err := sqlite.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer sink.Close()
	v, err := sqlite.OpenView(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	crashes := 0
	for crash, more := 1, true; more; crash++ {
		for _, after := range []bool{false, true} {
			var s *site
			if s, more = playedThrough(t, crash, after); !more {
				break
			}
			crashes++
			s.checkHub(sink, v, fmt.Sprintf("cut-%d-%v", crash, after))
		}
	}
	if crashes < 60 {
		t.Errorf("only %d crashes", crashes)
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

// checkHub hands what is on disk to the hub: everything must be there once, and
// only what was in flight when the power went may have come twice.
func (s *site) checkHub(sink *sqlite.Sink, v *sqlite.View, name string) {
	s.t.Helper()
	b := &batch.Batch{
		Header: batch.Header{Lane: point.Custody, Epoch: bufferstore.Epoch{1}, Opening: &batch.Opening{First: 1}},
		First:  1, Last: bufferstore.Seq(len(s.disk)),
	}
	for i, rec := range s.disk {
		b.Records = append(b.Records, bufferstore.Record{Epoch: b.Epoch, First: bufferstore.Seq(i + 1), Last: bufferstore.Seq(i + 1), Data: rec})
	}
	if _, err := sink.Store(s.t.Context(), name, b); err != nil {
		s.t.Fatal(err)
	}
	all := make(map[point.ID][]point.Archive)
	twice := make(map[point.ID]int)
	for r, err := range v.Archives(s.t.Context(), sqlite.Query{Site: name}) {
		if err != nil {
			s.t.Fatal(err)
		}
		all[r.ID] = append(all[r.ID], r.Archive)
		twice[r.ID] += r.Repeated
	}
	if got := volumes(all[hours.ID]); !slices.Equal(got, span(0, 10)) {
		s.t.Errorf("%s: the hub has hours %v", name, got)
	}
	if got := volumes(all[events.ID]); !slices.Equal(got, span(1, 17)) {
		s.t.Errorf("%s: the hub has entries %v", name, got)
	}
	if twice[hours.ID] > 1 || twice[events.ID] > 12 || twice[hours.ID] > 0 && twice[events.ID] > 0 {
		s.t.Errorf("%s: %d hours and %d entries came twice", name, twice[hours.ID], twice[events.ID])
	}
	if notes := s.notes(); len(notes) > 0 {
		s.t.Errorf("%s: notes %q", name, notes)
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
	if len(s.ram) != 4 { // the first hour with its note and two entries, each put once
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

// TestStateThatIsNotSavedForAWhile goes on from memory, and saves it when it can.
func TestStateThatIsNotSavedForAWhile(t *testing.T) {
	m := newMeter(hours)
	s := newSite(t, m)
	h := s.harvester(spec(hours))
	m.hour(5)
	s.pass(h)
	s.saveErr = errors.New("read only")
	m.hour(1)
	for range 3 {
		if err := s.once(h); !errors.Is(err, s.saveErr) {
			t.Errorf("got %v", err)
		}
	}
	s.checkVolumes(span(0, 5))
	s.saveErr = nil
	s.pass(h)
	m.hour(1)
	s.pass(s.harvester(spec(hours)))
	s.checkVolumes(span(0, 6))
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
		want := []string{
			`unit "meter 1" archive "hourly": harvested from record 1 of 2026-02-27 21:00:00 on`,
			`unit "meter 1" archive "hourly": harvested from record 1 of 2026-02-27 21:00:00 on`,
		}
		if got := s.allNotes(); !slices.Equal(got, want) {
			t.Errorf("%s: notes %q", name, got)
		}
	}
}

package archive

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"testing"
	"time"

	"skyhaul/modbus"
)

// TestRandomHistories plays hours, entries, power cuts, failing stores and lost
// acknowledgements in random order, with a log that is cleared or never is. Every hour must end up at the hub or lie in a
// gap that is said, every entry at the hub, and nothing that never was.
func TestRandomHistories(t *testing.T) {
	for seed := range uint64(60) {
		h := newHistory(t, seed)
		for range 40 {
			h.step()
		}
		h.end()
	}
}

type history struct {
	*site
	name    string
	r       *rand.Rand
	spec    Spec
	running *Harvester
	entries int
	faults  int
}

func newHistory(t *testing.T, seed uint64) *history {
	a := hours
	a.Records, a.First, a.Index.Next = 8, uint16(seed&1), seed&2 != 0
	h := &history{site: newSite(t, newMeter(a)), name: fmt.Sprintf("seed %d", seed), r: rand.New(rand.NewPCG(seed, 3)), spec: spec(a, events)}
	if seed&4 != 0 {
		h.spec.Log = h.deafSpec().Log
	}
	h.running = h.harvester(h.spec)
	return h
}

// step lets time pass and makes a pass, in which something may go wrong.
func (h *history) step() {
	h.meter.hour([]int{0, 0, 1, 1, 1, 2, 5, 8, 9, 20}[h.r.IntN(10)])
	for range h.r.IntN(3) * h.r.IntN(8) {
		h.meter.Archives.Log(modbus.EnronLog, entry(h.entries))
		h.entries++
	}
	h.meter.loseAck = h.r.IntN(5) == 0
	h.steps, h.crash, h.after = 0, 0, h.r.IntN(2) == 0
	switch h.r.IntN(4) {
	case 0:
		h.crash = 1 + h.r.IntN(20)
	case 1:
		h.syncErr = errors.New("full")
	case 2:
		h.saveErr = errors.New("read only")
	}
	if h.once(h.running) != nil {
		h.faults++
	}
	if h.syncErr != nil {
		h.ram = nil // refused
	}
	h.syncErr, h.saveErr = nil, nil
	if h.dead {
		h.dead, h.ram = false, nil
		h.running = h.harvester(h.spec)
	}
}

func (h *history) end() {
	h.crash, h.meter.loseAck = 0, false
	if h.spec.Log.Ack != events.Ack {
		h.spec.Log.Ack = events.Ack // from now on it is cleared
		h.running = h.harvester(h.spec)
	}
	for range 2 {
		h.pass(h.running)
	}
	all := h.records()
	var hoursOf, entriesOf []int
	times := make(map[string]int)
	for i, v := range volumes(all) {
		a := &all[i]
		identity := fmt.Sprintf("%d %d %x", a.ID, a.Index, a.Raw)
		if times[identity]++; times[identity] > 1 {
			continue // the hub knows it
		}
		if a.ID == events.ID {
			entriesOf = append(entriesOf, v)
		} else {
			hoursOf = append(hoursOf, v)
		}
	}
	if !slices.Equal(entriesOf, offset(span(0, h.entries-1), 1)) {
		h.t.Errorf("%s: %d entries: %v", h.name, h.entries, entriesOf)
	}
	if !slices.IsSorted(hoursOf) || len(slices.Compact(slices.Clone(hoursOf))) != len(hoursOf) {
		h.t.Errorf("%s: hours %v", h.name, hoursOf)
	}
	h.checkGaps(hoursOf)
	if repeats := len(all) - len(hoursOf) - len(entriesOf); repeats > 12*h.faults {
		h.t.Errorf("%s: %d repeats after %d faults", h.name, repeats, h.faults)
	}
}

// checkGaps compares what is missing with what the notes say. After a fault a
// note may count the last record before it in, which the hub has all the same.
func (h *history) checkGaps(hoursOf []int) {
	if len(hoursOf) == 0 || hoursOf[len(hoursOf)-1] != h.meter.count-1 {
		h.t.Errorf("%s: %d hours, the last of them is not there", h.name, h.meter.count)
		return
	}
	said := make(map[int]bool)
	for _, n := range h.allNotes() {
		first, last := between(n)
		for v := first; v <= last; v++ {
			said[v] = true
		}
	}
	for v := hoursOf[0]; v < h.meter.count; v++ {
		if !said[v] && !slices.Contains(hoursOf, v) {
			h.t.Errorf("%s: hour %d is missing, and nothing said", h.name, v)
		}
	}
}

var (
	lost   = regexp.MustCompile(`records lost unread, [0-9]+ of them: record [0-9]+ of (.*), then record [0-9]+ of (.*)$`)
	begins = regexp.MustCompile(`harvested from record [0-9]+ of (.*) on$`)
)

// between returns the hours that may be missing by a note; from 1 to 0 for none.
func between(note string) (first, last int) {
	if m := lost.FindStringSubmatch(note); m != nil {
		return hourOf(m[1]) + 1, hourOf(m[2]) - 1
	}
	if m := begins.FindStringSubmatch(note); m != nil {
		return 0, hourOf(m[1]) - 1
	}
	return 1, 0
}

// hourOf returns which hour of a meter a time belongs to.
func hourOf(text string) int {
	at, err := time.Parse(time.DateTime, text)
	if err != nil {
		return -1
	}
	return int(at.Sub(began)/time.Hour) - 1
}

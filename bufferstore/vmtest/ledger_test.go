//go:build linux && amd64

package vmtest

import (
	"fmt"

	"skyhaul/bufferstore"
)

// run is a run of numbers that are records of one epoch, or lost for one reason.
type run struct {
	first, last bufferstore.Seq
	epoch       string
	lost        bufferstore.Reason
}

// ledger is what the host knows of a lane, from all boots.
type ledger struct {
	runs          []run           // all numbers up to the durable end, without a hole
	acked, acking bufferstore.Seq // the cursor is between them
	reported      uint64          // records reported durable, in all
	bytes         int64           // of them

	lost, wrong uint64 // numbers
	faults      []string

	told   []run // by the present boot so far
	cursor bufferstore.Seq
}

func (l *ledger) faultf(format string, args ...any) {
	l.faults = append(l.faults, fmt.Sprintf(format, args...))
}

// end returns the last number that must be there.
func end(runs []run) bufferstore.Seq {
	if len(runs) == 0 {
		return 0
	}
	return runs[len(runs)-1].last
}

// extend appends a run, to the last one if it only goes on.
func extend(runs []run, r run) []run {
	if n := len(runs); n > 0 && runs[n-1] == (run{runs[n-1].first, r.first - 1, r.epoch, r.lost}) {
		runs[n-1].last = r.last
		return runs
	}
	return append(runs, r)
}

// hear takes in what the guest says of the lane.
func (l *ledger) hear(s line) {
	switch s.Said {
	case cursor:
		l.told, l.cursor = nil, s.Acked
	case holds:
		l.told = extend(l.told, run{s.First, s.Last, s.Epoch, s.Lost})
	case gap:
		for _, want := range l.runs {
			l.compareOne(want, run{s.First, s.Last, s.Epoch, s.Lost})
		}
	case wrong:
		l.wrong++
		l.faultf("%d of %s is wrong: %s", s.First, s.Epoch, s.Text)
	case acking:
		l.acking = max(l.acking, s.Acked)
	case durable:
		if s.First != end(l.runs)+1 {
			l.wrong++
			l.faultf("%d was given out after %d", s.First, end(l.runs))
		}
		l.runs = extend(l.runs, run{s.First, s.Last, s.Epoch, bufferstore.Kept})
		l.acked = max(l.acked, s.Acked)
		l.reported += uint64(s.Last - s.First + 1)
		l.bytes += s.Bytes
	}
}

// judge compares what a boot has told with what must be there, and goes on
// from what it has told.
func (l *ledger) judge() {
	next := bufferstore.Seq(1)
	for _, r := range l.told {
		if r.first != next || r.last < r.first {
			l.wrong++
			l.faultf("after %d comes the run %d to %d", next-1, r.first, r.last)
		}
		next = r.last + 1
	}
	if l.cursor < l.acked || l.cursor > l.acking {
		l.wrong++
		l.faultf("the cursor is at %d, want %d to %d", l.cursor, l.acked, l.acking)
	}
	for _, want := range l.runs {
		l.compare(want)
	}
	l.runs, l.acked = l.told, l.cursor
}

// compare looks for a run's numbers in what was told.
func (l *ledger) compare(want run) {
	for _, got := range l.told {
		l.compareOne(want, got)
	}
	if missing := end(l.told); missing < want.last {
		first := max(missing+1, want.first)
		l.lost += uint64(want.last - first + 1)
		l.faultf("%d to %d of %s: missing, the lane ends at %d", first, want.last, want.epoch, missing)
	}
}

// compareOne compares two runs where they overlap.
func (l *ledger) compareOne(want, got run) {
	first, last := max(got.first, want.first), min(got.last, want.last)
	switch {
	case first > last:
	case got.lost == bufferstore.Expired && last <= l.cursor:
		// delivered, and its space given back
	case got.lost != want.lost && got.lost != bufferstore.Kept:
		l.lost += uint64(last - first + 1)
		l.faultf("%d to %d of %s: %v, was %v", first, last, want.epoch, got.lost, want.lost)
	case got.lost != want.lost || got.epoch != want.epoch:
		l.wrong += uint64(last - first + 1)
		l.faultf("%d to %d of %s: %v of %s, was %v", first, last, want.epoch, got.lost, got.epoch, want.lost)
	}
}

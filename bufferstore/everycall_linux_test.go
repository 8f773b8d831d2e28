//go:build !(386 || arm || mips || mipsle)

package bufferstore

import (
	"flag"
	"testing"

	"skyhaul/bufferstore/faultfs"
)

var everyCall = flag.Int("everycall", 60, "TestEveryCallFails and TestEveryReadFails let one of so many calls fail; 1 is every call")

// changesOfDirs are the calls that change more than the content of a file.
const changesOfDirs = faultfs.SyncDir | faultfs.Create | faultfs.Remove | faultfs.Rename | faultfs.Resize

// callFaults are the ways in which calls fail.
var callFaults = []struct {
	name  string
	count int // of calls that fail, in a row
	faultfs.Fault
}{
	{"write", 1, faultfs.Fault{Ops: faultfs.Write}},
	{"five writes", 5, faultfs.Fault{Ops: faultfs.Write}},
	{"fsync that leaves new data to readers", 1, faultfs.Fault{Ops: faultfs.Sync}},
	{"fsync that loses new data at once", 1, faultfs.Fault{Ops: faultfs.Sync, Loss: faultfs.LossAtOnce}},
	{"fsync that saves some of it", 1, faultfs.Fault{Ops: faultfs.Sync, Loss: faultfs.LossInPart}},
	{"five fsyncs", 5, faultfs.Fault{Ops: faultfs.Sync}},
	{"five fsyncs that lose new data at once", 5, faultfs.Fault{Ops: faultfs.Sync, Loss: faultfs.LossAtOnce}},
	{"change of a directory", 1, faultfs.Fault{Ops: changesOfDirs}},
	{"five changes of directories", 5, faultfs.Fault{Ops: changesOfDirs}},
	{"any five calls", 5, faultfs.Fault{Ops: faultfs.Any &^ faultfs.Read}},
}

// A write, an fsync or another change fails with EIO, each in turn, alone and
// with the four behind it; then the power is cut. What Sync had returned nil
// for is there, because after a failed fsync it had gone to another file before.
func TestEveryCallFails(t *testing.T) {
	t.Parallel()
	var sum tally
	c := startChild(t, newLedger())
	defer func() { c.kill(c.book.Load()) }()
	for _, f := range callFaults {
		for nth, failed := 1, true; failed; nth += *everyCall {
			d := newDisk(t, faultfs.Options{Strict: nth%2 == 0})
			c.book.Store(d.ledger)
			failed = d.failAndCut(c, f.Fault, nth, f.count)
			if len(d.faults) > 0 {
				d.faultf("that was call %d of %s", nth, f.name)
			}
			sum.add(d.tally)
		}
	}
	sum.report(t)
}

// failAndCut lets calls fail from the nth on under a short load, cuts the
// power, and has the store opened and written to on the disk that is sound
// again. It reports whether a call has failed.
func (d *disk) failAndCut(c *child, f faultfs.Fault, nth, count int) bool {
	d.t.Helper()
	d.rounds++
	how := command{Plain: nth/2%2 == 0}
	plan := func() {
		for range count {
			f.Nth = nth // of those that the ones before let pass
			d.Fail(f)
		}
	}
	late := f.Ops&(faultfs.Open|faultfs.Create) != 0 // without which there is no store
	if !late {
		plan()
	}
	if !d.open(c, how) {
		return true
	}
	if late {
		plan()
	}
	must(d.t, c.ask(command{Do: "write", Steps: 14, Seed: 1}))
	refused := d.refused
	failed := d.Stats().Failed > 0
	must(d.t, d.Cut(int64(nth)))
	_ = c.ask(command{Do: "close"}) // to a disk that is gone
	d.Heal()
	must(d.t, d.Mount(d.mount))
	if d.open(c, how) {
		must(d.t, c.ask(command{Do: "read"}))
		must(d.t, c.ask(command{Do: "write", Steps: 2, Seed: 2}))
		must(d.t, c.ask(command{Do: "read"}))
		must(d.t, c.ask(command{Do: "close"}))
	}
	if d.refused > refused {
		d.faultf("a sound disk refuses a Sync: %s", d.refusal)
	}
	must(d.t, d.Cut(0))
	return failed
}

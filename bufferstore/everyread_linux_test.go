//go:build !(386 || arm || mips || mipsle)

package bufferstore

import (
	"testing"

	"skyhaul/bufferstore/faultfs"
)

// A read fails with EIO, each in turn, alone, with the four behind it and with all
// behind it, while a store is opened, read and looked after. It opens, yields no
// wrong record and declares what can't be read; and when the disk reads again,
// all is there.
func TestEveryReadFails(t *testing.T) {
	t.Parallel()
	var sum tally
	for _, plain := range []bool{false, true} {
		d := newDisk(t, faultfs.Options{})
		c := startChild(t, d.ledger)
		how := command{Plain: plain}
		if !d.open(c, how) {
			t.FailNow()
		}
		must(t, c.ask(command{Do: "write", Steps: 12, NoAcks: true}))
		must(t, c.ask(command{Do: "read"}))
		must(t, c.ask(command{Do: "close"}))
		must(t, d.Unmount())
		for round := range 6 {
			count, opened := []int{1, 5, 0}[round%3], round >= 3
			for nth, failed := 1, true; failed; nth += *everyCall {
				w := onDisk(t, d.Image(0), d.ledger)
				must(t, w.Mount(w.mount))
				before := len(w.faults)
				failed = w.failToRead(c, how, nth, count, opened)
				if len(w.faults) > before {
					w.faultf("that was read %d and %d in all", nth, count)
				}
				must(t, w.Cut(0))
			}
		}
		c.kill(d.ledger)
		sum.add(d.tally)
	}
	sum.report(t)
}

// failToRead lets reads fail from the nth on, so many or, where that is zero, all:
// of those while the store is opened and read, or behind the opening, and then it
// is looked after as well.
func (d *disk) failToRead(c *child, how command, nth, count int, opened bool) bool {
	d.t.Helper()
	d.rounds++
	plan := func() {
		for range max(count, 1) {
			d.Fail(faultfs.Fault{Ops: faultfs.Read, Nth: nth, Lasting: count == 0})
		}
	}
	d.setFails(true)
	if !opened {
		plan()
	}
	if !d.open(c, how) {
		return true
	}
	if opened {
		plan()
	}
	for range 2 {
		must(d.t, c.ask(command{Do: "read"}))
		if opened {
			must(d.t, c.ask(command{Do: "maintain"}))
		}
	}
	failed := d.Stats().Failed > 0
	d.Heal()
	must(d.t, c.ask(command{Do: "close"}))
	d.setFails(false)
	if d.open(c, how) {
		must(d.t, c.ask(command{Do: "read"}))
		must(d.t, c.ask(command{Do: "close"}))
	}
	return failed
}

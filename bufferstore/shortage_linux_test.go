//go:build !(386 || arm || mips || mipsle)

package bufferstore

import (
	"flag"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"skyhaul/bufferstore/faultfs"
)

var (
	fulls     = flag.Int("fulls", 4, "how often TestDiskFull fills the disk")
	readOnlys = flag.Int("readonlys", 2, "how often TestReadOnly forbids to write to the disk")
)

// shortDisk is the size of a disk that becomes full, with room for the ballast.
const shortDisk = 40 << 20

// A disk that is full, to the last byte or nearly, refuses records that are then
// declared, and nothing else: the process lives, Append doesn't wait, lanes that
// keep give up nothing, a store opens, and when space is back all goes on.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	var sum tally
	for n := range 4 {
		d := newDisk(t, faultfs.Options{Capacity: shortDisk})
		d.evicts = true
		rng := rand.New(rand.NewPCG(uint64(n), 12))
		d.shortages((*fulls+n)/4, rng, command{Plain: n%2 == 0, Key: n/2 == 1}, func() {
			d.SetCapacity(d.Stats().Used + rng.Int64N(2)*rng.Int64N(5<<20))
		}, func() { d.SetCapacity(shortDisk) })
		sum.add(d.tally)
	}
	sum.report(t)
}

// A disk that may not be written to any more is read; and when it may, all goes on.
func TestReadOnly(t *testing.T) {
	t.Parallel()
	var sum tally
	for n := range 2 {
		d := newDisk(t, faultfs.Options{})
		d.evicts = true // what is appended meanwhile
		rng := rand.New(rand.NewPCG(uint64(n), 13))
		d.shortages((*readOnlys+n)/2, rng, command{Plain: n == 0, Key: n == 0},
			func() { d.SetReadOnly(true) }, func() { d.SetReadOnly(false) })
		sum.add(d.tally)
	}
	sum.report(t)
}

// shortages has a child write while the disk changes, again and again.
func (d *disk) shortages(count int, rng *rand.Rand, how command, begin, over func()) {
	d.t.Helper()
	how.Run, how.MaxPending = true, 128<<10
	c := startChild(d.t, d.ledger)
	if !d.open(c, how) {
		return
	}
	for range count {
		d.rounds++
		c.tell(command{Do: "write", Seed: rng.Uint64(), Pause: time.Millisecond})
		d.awaitCalls(rng.IntN(300))
		begin()
		d.awaitCalls(1 + rng.IntN(400))
		if rng.IntN(2) == 0 { // it ends meanwhile, and begins again
			c.kill(d.ledger)
			if rng.IntN(2) == 0 {
				must(d.t, d.Cut(rng.Int64()))
				must(d.t, d.Mount(d.mount))
			}
			if c = startChild(d.t, d.ledger); !d.open(c, how) {
				return
			}
			must(d.t, c.ask(command{Do: "read"}))
		} else {
			c.tell(command{Do: "read"}) // which ends the writing
			must(d.t, c.await())
			must(d.t, c.await())
		}
		must(d.t, c.ask(command{Do: "write", Seed: rng.Uint64(), Steps: 1 + rng.IntN(20)}))
		over()
		d.goesOn(c, rng)
	}
	must(d.t, c.ask(command{Do: "read"}))
	must(d.t, c.ask(command{Do: "close"}))
	c.kill(d.ledger)
}

// goesOn checks that a store takes records again, seals and reads.
func (d *disk) goesOn(c *child, rng *rand.Rand) {
	d.t.Helper()
	must(d.t, c.ask(command{Do: "maintain"}))
	must(d.t, c.ask(command{Do: "write", Seed: rng.Uint64(), Steps: 2}))
	refused, segments := d.refused, d.segments()
	must(d.t, c.ask(command{Do: "write", Seed: rng.Uint64(), Steps: 18, NoAcks: true}))
	must(d.t, c.ask(command{Do: "maintain"}))
	must(d.t, c.ask(command{Do: "read"}))
	if d.refused > refused {
		d.faultf("%d Syncs are refused on a sound disk: %s", d.refused-refused, d.refusal)
	}
	if d.segments() == segments {
		d.faultf("no segment is written")
	}
}

// segments returns the name of the newest segment of the greatest lane.
func (d *disk) segments() string {
	all, err := filepath.Glob(filepath.Join(d.dir, segmentsDir, "history-????????????????"))
	must(d.t, err)
	if len(all) == 0 {
		return ""
	}
	return all[len(all)-1]
}

// A full disk that has never held a store doesn't keep one from being opened.
func TestStoreBeginsOnAFullDisk(t *testing.T) {
	t.Parallel()
	d := newDisk(t, faultfs.Options{})
	d.evicts = true
	d.SetCapacity(0)
	c := startChild(t, d.ledger)
	if d.open(c, command{Run: true}) {
		must(t, c.ask(command{Do: "write", Steps: 3}))
		if d.refused != 3 || d.durable > 0 {
			t.Errorf("%d Syncs were refused, %d records are durable", d.refused, d.durable)
		}
		d.SetCapacity(1 << 30)
		d.goesOn(c, rand.New(rand.NewPCG(1, 1)))
		if d.refused != 3 || d.given > 0 {
			t.Errorf("%d Syncs were refused, %d records", d.refused, d.given)
		}
	}
	c.kill(d.ledger)
	d.report(t)
	if _, err := os.Stat(filepath.Join(d.dir, ballastName)); err != nil {
		t.Error(err)
	}
}

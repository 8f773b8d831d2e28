//go:build !(386 || arm || mips || mipsle)

package bufferstore

import (
	"flag"
	"math/rand/v2"
	"testing"

	"skyhaul/bufferstore/faultfs"
)

var cuts = flag.Int("cuts", 12, "how often TestPowerCut cuts the power")

// cutsOfVolume is how many cuts one volume goes through.
const cutsOfVolume = 50

// Every record that Sync has returned nil for is there after a power cut that
// drops, tears and reorders all that was not fsynced; and the store opens and
// goes on. Half of the volumes forget the entries of files whose directory was
// not fsynced; each of four volumes has another combination of engine and key.
func TestPowerCut(t *testing.T) {
	t.Parallel()
	var sum tally
	volumes := max(4, (*cuts+cutsOfVolume-1)/cutsOfVolume)
	for n := range volumes {
		d := newDisk(t, faultfs.Options{Strict: n%2 == 1})
		rng := rand.New(rand.NewPCG(uint64(n), 11))
		how := command{Plain: n%4 < 2, Key: n/2%2 == 1, Run: true}
		for range (*cuts + n) / volumes {
			d.cutOnce(rng, how)
		}
		c := startChild(t, d.ledger)
		if d.open(c, how) {
			must(t, c.ask(command{Do: "read"}))
			must(t, c.ask(command{Do: "close"}))
		}
		c.kill(d.ledger)
		sum.add(d.tally)
	}
	sum.report(t)
}

// cutOnce cuts the power at some call: in three of four rounds while the
// child writes, else while it opens the store or makes its first Syncs.
func (d *disk) cutOnce(rng *rand.Rand, how command) {
	d.t.Helper()
	d.rounds++
	c := startChild(d.t, d.ledger)
	write := command{Do: "write", Seed: rng.Uint64()}
	if rng.IntN(4) == 0 {
		d.setFails(true) // what it says when the power has gone doesn't count
		defer d.setFails(false)
		how.Do, how.Dir = "open", d.dir
		c.tell(how)
		c.tell(write)
		d.awaitCalls(1 + rng.IntN(60))
	} else if d.open(c, how) {
		must(d.t, c.ask(command{Do: "read"}))
		c.tell(write)
		d.awaitCalls(1 + rng.IntN(600))
	}
	d.cut(c, rng.Int64())
}

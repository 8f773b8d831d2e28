//go:build !(386 || arm || mips || mipsle)

package bufferstore

import (
	"testing"
	"time"

	"skyhaul/bufferstore/faultfs"
)

// A card that hangs for five seconds in each write and fsync holds up no Append,
// and costs no record.
func TestStall(t *testing.T) {
	t.Parallel()
	const stall = 5 * time.Second
	d := newDisk(t, faultfs.Options{})
	c := startChild(t, d.ledger)
	if !d.open(c, command{Run: true}) {
		t.FailNow()
	}
	must(t, c.ask(command{Do: "write", Steps: 3}))
	d.Stall(stall)
	d.rounds++
	begin := time.Now()
	c.tell(command{Do: "flood", Pause: 10 * time.Millisecond})
	timer := time.AfterFunc(stall+stall/10, func() { d.Stall(0) }) // the write has taken its time, and so on
	defer timer.Stop()
	must(t, c.await())
	if took := time.Since(begin); took < stall {
		t.Errorf("Sync took %v on a card that hangs for %v", took, stall)
	}
	must(t, c.ask(command{Do: "write", Steps: 3}))
	must(t, c.ask(command{Do: "read"}))
	d.cut(c, 1)
	c = startChild(t, d.ledger)
	if d.open(c, command{}) {
		must(t, c.ask(command{Do: "read"}))
	}
	c.kill(d.ledger)
	if d.durable < 200 || d.refused > 0 {
		t.Errorf("%d records are durable, %d Syncs refused", d.durable, d.refused)
	}
	d.report(t)
}

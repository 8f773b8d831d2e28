package bufferstore

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"
)

var kills = flag.Int("kills", 32, "how often TestKill kills the process that writes to a store")

// TestKill kills a process at any moment of its work on a store: while it opens
// and reads it, and while it writes, seals and reclaims. The next one finds all
// that was durable, byte for byte, under the epoch that wrote it. Both engines,
// in the clear and encrypted.
func TestKill(t *testing.T) {
	t.Parallel()
	var sum tally
	var mu sync.Mutex // guards sum
	t.Run("stores", func(t *testing.T) {
		for i, how := range []command{{}, {Plain: true}, {Key: true}, {Plain: true, Key: true}} {
			t.Run(fmt.Sprintf("plain=%t,key=%t", how.Plain, how.Key), func(t *testing.T) {
				t.Parallel()
				b := newLedger()
				b.epochs[Epoch{}] = true // of numbers that 65 later epochs have followed
				how.Do, how.Dir, how.Run = "open", t.TempDir(), true
				for range (*kills + 3) / 4 {
					b.rounds++
					killOnce(t, b, how, rand.New(rand.NewPCG(uint64(i), uint64(b.rounds))))
					if len(b.faults) > 0 {
						break // the store stays as it was found
					}
				}
				mu.Lock()
				defer mu.Unlock()
				sum.add(b.tally)
			})
		}
	})
	t.Logf("%d kills, %d durable records checked, %d lost, %d failures to start", sum.rounds, sum.durable, sum.lost, sum.failed)
	sum.report(t)
}

// killOnce has a process open a store, read what is there, and write, and kills it
// at some moment.
func killOnce(t *testing.T, b *ledger, how command, rng *rand.Rand) {
	c := startChild(t, b)
	defer c.kill(b)
	c.obeyed(command{Do: "begin"}) // which it doesn't know: it is up
	most := 150 * time.Millisecond
	if rng.IntN(4) == 0 {
		most = 4 * time.Millisecond // it is opening or reading
	}
	moment := time.Duration(rng.Int64N(int64(most)))
	timer := time.AfterFunc(moment, func() { _ = c.cmd.Process.Kill() })
	defer timer.Stop()

	s, alive := c.obeyed(how)
	if alive && s.Text != "" {
		b.failed++
		b.faultf("start: %s", s.Text)
		return
	}
	if s, alive = c.obeyed(command{Do: "read"}); !alive {
		return
	}
	if s.Text != "" {
		b.faultf("read: %s", s.Text)
		return
	}
	b.judge()
	if s, alive = c.obeyed(command{Do: "write", Seed: rng.Uint64()}); alive {
		b.faultf("write: ended, %s", s.Text)
	}
}

// obeyed gives a command and waits until it is done, or the child has ended.
func (c *child) obeyed(cmd command) (s said, alive bool) {
	c.tell(cmd)
	select {
	case s = <-c.done:
		return s, true
	case <-c.ended:
		return said{}, false
	}
}

//go:build linux && amd64

package vmtest

import (
	"context"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"time"

	"skyhaul/bufferstore"
)

// load is a lane and what is written to it.
type load struct {
	bufferstore.LaneOptions
	batch   int             // most records before a Sync
	size    int             // of the longest record, bytes
	backlog bufferstore.Seq // at twice this many records, all but this many are acknowledged
}

// loads are unlike each other in what a store might confuse: few small records
// that are soon delivered, records that stay after that, and bulk.
var loads = []load{
	{bufferstore.LaneOptions{Name: "alarm"}, 3, 200, 20},
	{bufferstore.LaneOptions{Name: "custody", Retain: 20 * time.Second}, 16, 2 << 10, 200},
	{bufferstore.LaneOptions{Name: "history", Policy: bufferstore.DropOldest}, 128, 8 << 10, 1000},
}

// record returns the record that has a name: its length and every byte follow from it.
func (l load) record(seed uint64, e bufferstore.Epoch, n bufferstore.Seq) []byte {
	h := fnv.New64a()
	name := fmt.Sprintf("%d %s %s %d ", seed, l.Name, e, n)
	_, _ = h.Write([]byte(name)) // never fails
	rng := rand.NewPCG(h.Sum64(), uint64(n))
	b := make([]byte, 0, len(name)+l.size+8)
	b = append(b, name...)
	for size := len(name) + int(rng.Uint64()%uint64(l.size)); len(b) < size; {
		b = binary.LittleEndian.AppendUint64(b, rng.Uint64())
	}
	return b
}

// write appends, syncs and says what is durable, and now and then delivers.
func (g *guest) write(s *bufferstore.Store, l load) error {
	lane, e := s.Lane(l.Name), s.Epoch()
	hub := lane.Cursor("hub")
	rng := rand.New(rand.NewPCG(g.seed, binary.BigEndian.Uint64(e[:])))
	for {
		said := line{Said: durable, Lane: l.Name, Epoch: e.String(), First: lane.Append() + 1, Acked: hub.Acked()}
		last := said.First - 1
		for range 1 + rng.IntN(l.batch) {
			b := l.record(g.seed, e, last+1)
			last = lane.Append(b)
			said.Bytes += int64(len(b))
		}
		if err := s.Sync(context.Background()); err != nil {
			return fmt.Errorf("sync: %v", err)
		}
		said.Last = last
		g.say(said)
		if last > hub.Acked()+2*l.backlog {
			if err := g.deliver(lane, l, last-l.backlog); err != nil {
				return err
			}
		}
	}
}

// deliver reads the records after the cursor, as an uplink does, and acknowledges them.
func (g *guest) deliver(lane *bufferstore.Lane, l load, upTo bufferstore.Seq) error {
	hub := lane.Cursor("hub")
	for r, err := range lane.Records(hub.Acked() + 1) {
		if err != nil {
			return fmt.Errorf("read: %v", err)
		}
		if r.First > upTo {
			break
		}
		if r.Lost != bufferstore.Kept {
			g.say(line{Said: gap, Lane: l.Name, Epoch: r.Epoch.String(), First: r.First, Last: r.Last, Lost: r.Lost})
		}
		g.check(l, r)
	}
	g.say(line{Said: acking, Lane: l.Name, Acked: upTo})
	hub.Ack(upTo)
	return nil
}

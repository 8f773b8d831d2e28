// Package custody holds no code of its own. Its test plays, seed by seed, what
// happens to readings between a power cut and a database: real stores, encoders,
// uplinks and hubs; a broker and a link in memory; and everything that goes wrong.
package custody_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"skyhaul/bufferstore"
	"skyhaul/edge/point"
	"skyhaul/link/batch"
	"skyhaul/link/hub"
	"skyhaul/link/window"
)

// Times are a fifth of the field's, so that a seed is over in seconds.
const (
	interval  = 200 * time.Millisecond
	maxAge    = 12 * time.Second
	holeAfter = 15 * time.Second
	hubCycle  = 2 * time.Minute // of which the hubs are there for a third
)

var (
	seeds = flag.Int("custody.seeds", defaultSeeds, "seeds of the custody simulation")
	scans = flag.Int("custody.scans", 5000, "scans in each")
)

// TestMain has the codec's compressor come into being outside all bubbles: its
// channels belong to whoever uses it first.
func TestMain(m *testing.M) {
	rec := bufferstore.Record{Epoch: bufferstore.Epoch{1}, First: 1, Last: 1, Data: make([]byte, 4000)}
	rec.Data[0] = byte(point.KindMessage)
	for i := range rec.Data[1:] {
		rec.Data[i+1] = byte(i * i >> 3)
	}
	chunk, err := batch.NewChunkCodec(lookup).Seal(nil, []bufferstore.Record{rec})
	if err == nil {
		err = batch.NewChunkCodec(lookup).Open(chunk, func(bufferstore.Record) bool { return true })
	}
	if err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// TestCustody wants every durable record stored once and as it was, in every
// seed; and, over all seeds, no more than 1.05 times the bytes of sending once.
// What the broker forgot or a restored hub asked for is apart, and what a clone
// can't know that its twin has sent.
func TestCustody(t *testing.T) {
	all := make([]sums, *seeds)
	t.Run("seeds", func(t *testing.T) {
		for seed := range all {
			t.Run(fmt.Sprint(seed), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) { all[seed] = play(t, uint64(seed)) })
			})
		}
	})
	var total sums
	for _, s := range all {
		total.add(s)
	}
	t.Logf("all seeds: %v", total)
	if r := total.ratio(); r > 1.05 {
		t.Errorf("sent %.3f times what sending once takes", r)
	}
}

// play is one seed.
func play(t *testing.T, seed uint64) sums {
	w := newWorld(t, seed)
	c := &card{w: w, dir: t.TempDir(), window: window.Always{}, synced: make(map[point.Lane]bufferstore.Seq)}
	if seed%2 == 1 {
		c.window, _ = window.NewEvery(time.Minute, 25*time.Second, 0)
	}
	c.boot()
	w.cards = []*card{c}
	began := time.Now()
	for i := range *scans {
		w.hubs.set(time.Since(began)%hubCycle < hubCycle/3)
		w.event(tenth(i))
		for _, c := range w.cards {
			c.step(i)
		}
		time.Sleep(interval)
	}
	w.settle()
	w.judge()
	if w.hubs.n == 1 && w.leant < 50 {
		t.Errorf("%d batches leaned on the one before", w.leant)
	}
	for _, c := range w.cards {
		c.cut(0)
	}
	w.hubs.set(false)
	return w.sums
}

// event is what happens once in a seed.
func (w *world) event(tenth int) {
	first := w.cards[0]
	switch tenth {
	case 3: // a card is cloned, and both go on
		first.cut(0)
		w.cards = append(w.cards, first.copy())
		w.cloned()
	case 4:
		w.backup = w.sink.backup()
	case 5: // an image is taken of the first card
		first.cut(0)
		w.image = first.copy()
	case 6:
		w.hubs.set(false)
		w.sink.restore(w.backup)
		w.rewind()
	case 8: // the first card is thrown away, and the image takes its place
		first.cut(0)
		for _, e := range first.opened[len(w.image.opened):] {
			w.gone[e] = true
		}
		w.cards[0] = w.image
	}
}

// tenth returns which tenth of all scans begins with scan i, 0 where none does.
func tenth(i int) int {
	if i%max(*scans/10, 1) != 0 {
		return 0
	}
	return i / max(*scans/10, 1)
}

// step is one interval of a card.
func (c *card) step(i int) {
	if c.store == nil {
		if time.Now().Before(c.until) {
			return
		}
		c.boot()
	}
	c.scan()
	if i%5 == 4 {
		c.sync()
	}
	if c.w.chance(1. / 500) {
		c.cut(c.w.between(0, 20*time.Second))
	}
}

// settle ends all that goes wrong and waits until everything is acked.
func (w *world) settle() {
	w.broker.mu.Lock()
	w.broker.forget, w.broker.hold = 0, 0
	w.broker.mu.Unlock()
	w.flaps = 0
	w.hubs.set(true)
	for _, c := range w.cards {
		if c.store == nil {
			c.boot()
		}
		c.scan()
		c.put(point.Custody, c.reading()) // so that each lane has something above what was forgotten
		c.alarm()
	}
	for range 100 {
		for _, c := range w.cards { // a hole must be seen twice, so acks must go on
			c.put(point.History, c.reading())
			c.sync()
		}
		time.Sleep(5 * maxAge)
		if !slices.ContainsFunc(w.cards, func(c *card) bool { return !c.drained() }) {
			return
		}
	}
	for i, c := range w.cards {
		w.t.Errorf("card %d is not drained: %+v", i, c.uplink.Status())
	}
}

// judge compares what was durable with what is stored.
func (w *world) judge() {
	missing, wrong := 0, 0
	for n, data := range w.truth {
		switch got, stored := w.sink.rows[n]; {
		case !stored && !w.gone[n.epoch]:
			missing++
		case stored && got != data:
			wrong++
		}
	}
	for n := range w.sink.rows {
		if _, ok := w.truth[n]; !ok {
			wrong++
		}
	}
	w.t.Logf("%d durable, %d stored, %d missing, %d wrong, %d doubled, %d gaps; %v",
		len(w.truth), len(w.sink.rows), missing, wrong, w.sink.doubled, len(w.sink.lost), w.sums)
	if missing+wrong+w.sink.doubled+len(w.sink.lost)+len(w.sink.reject) > 0 {
		w.t.Errorf("%d missing, %d wrong, %d doubled, gaps %v, rejected %v", missing, wrong, w.sink.doubled, w.sink.lost, w.sink.reject)
	}
}

// hubs are receivers on one sink: two that share the work, or one, to which
// batches may lean on the ones before.
type hubs struct {
	w   *world
	n   int
	off func()
}

// set has the hubs come or go.
func (h *hubs) set(there bool) {
	if there == (h.off != nil) {
		return
	}
	if !there {
		h.off()
		h.off = nil
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	for i := range h.n {
		r := hub.New(hub.Options{Sink: h.w.sink, Fleet: h.w.sink, Name: fmt.Sprint(i), Connect: h.w.broker.connectHub, Master: master})
		wg.Go(func() {
			if err := r.Run(ctx); err != nil {
				h.w.t.Error(err)
			}
		})
	}
	h.off = func() {
		cancel()
		wg.Wait()
	}
}

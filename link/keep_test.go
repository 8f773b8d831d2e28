package link_test

import (
	"io/fs"
	"testing"
	"testing/synctest"
	"time"

	"skyhaul/edge/point"
	"skyhaul/link/batch"
)

// shelf is a link.Keeper in memory.
type shelf map[string][]byte

func (s shelf) Save(name string, value []byte) error { s[name] = value; return nil }

func (s shelf) Load(name string) ([]byte, error) {
	if b, ok := s[name]; ok {
		return b, nil
	}
	return nil, fs.ErrNotExist
}

// leaning returns how many of the batches that the broker took are built on
// another.
func (f *far) leaning() (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, a := range f.got {
		if a.leans {
			n++
		}
	}
	return n
}

func TestChainIsUsedWhileTheAckPermitsIt(t *testing.T) {
	rigged(t, func(t *testing.T, r *rig) {
		r.start()
		r.scan(point.History, 300, 100, time.Second)
		if n := r.far.leaning(); n != 0 {
			t.Errorf("%d batches lean on others, though no ack permits it", n)
		}
		r.far.setChains(true)
		r.scan(point.History, 600, 100, time.Second)
		before := r.far.leaning()
		if before < 6 {
			t.Errorf("%d batches lean on others in 10 minutes", before)
		}
		r.far.setChains(false)
		r.scan(point.History, 120, 100, time.Second)
		before = r.far.leaning()
		r.scan(point.History, 600, 100, time.Second)
		time.Sleep(2 * time.Minute)
		if n := r.far.leaning() - before; n > 0 {
			t.Errorf("%d batches lean on others after the permit was taken back", n)
		}
		r.wantDelivered(0)
	}, point.History)
}

func TestChainOutlivesConnectionsThatBreak(t *testing.T) {
	rigged(t, func(t *testing.T, r *rig) {
		r.far.chains, r.far.rate = true, 2000
		n := 0
		r.far.eat = func(int) (lost, cut bool) { n++; return n%14 == 3, n%7 == 3 }
		r.start()
		r.scan(point.History, 1500, 100, time.Second)
		time.Sleep(10 * time.Minute)
		r.wantDelivered(0)
		if r.far.missed > 0 || r.far.leaning() < 10 {
			t.Errorf("%d batches on chains that the hub has not; %d lean at all", r.far.missed, r.far.leaning())
		}
	}, point.History)
}

func TestHubThatLostTheChainIsSentAgainWithoutIt(t *testing.T) {
	rigged(t, func(t *testing.T, r *rig) {
		r.far.chains = true
		r.start()
		r.scan(point.History, 600, 100, time.Second)
		r.far.mu.Lock()
		clear(r.far.states)
		r.far.mu.Unlock()
		r.scan(point.History, 600, 100, time.Second)
		time.Sleep(10 * time.Minute)
		r.wantDelivered(0)
		if r.far.missed != 1 {
			t.Errorf("%d batches on chains that the hub has not, want the first one", r.far.missed)
		}
	}, point.History)
}

func TestBrokerThatForgetsABatchOfAChain(t *testing.T) {
	rigged(t, func(t *testing.T, r *rig) {
		r.far.chains = true
		r.far.forget = func(n int) bool { return n == 8 }
		r.start()
		r.scan(point.History, 1800, 100, time.Second)
		time.Sleep(10 * time.Minute)
		r.wantDelivered(0)
	}, point.History)
}

// The batch that opened the epoch is lost: what follows can't tell the hub of it.
func TestHubThatMissedTheOpeningOfAnEpochInAChain(t *testing.T) {
	rigged(t, func(t *testing.T, r *rig) {
		r.opt.Keeper, r.far.chains = shelf{}, true
		stop := r.start()
		r.scan(point.History, 600, 100, time.Second)
		time.Sleep(2 * time.Minute)
		stop()
		next := len(r.far.arrivals())
		r.far.forget = func(n int) bool { return n == next }
		r.lanes[point.History].reopen(2)
		r.start()
		r.scan(point.History, 300, 100, time.Second)
		time.Sleep(10 * time.Minute)
		r.wantDelivered(0)
		if r.far.missed == 0 {
			t.Error("the hub missed nothing")
		}
	}, point.History)
}

func TestChainGoesOnAfterARestart(t *testing.T) {
	rigged(t, func(t *testing.T, r *rig) {
		kept := shelf{}
		r.opt.Keeper, r.far.chains = kept, true
		stop := r.start()
		r.scan(point.History, 600, 100, time.Second)
		stop()
		synctest.Wait()
		if _, err := batch.ParseChain(kept["chain.history"]); err != nil {
			t.Fatalf("what was kept: %v", err)
		}
		before := len(r.far.arrivals())
		r.lanes[point.History].reopen(2)
		r.start()
		r.scan(point.History, 300, 100, time.Second)
		time.Sleep(2 * time.Minute)
		r.wantDelivered(0)
		for _, got := range r.far.arrivals()[before:] {
			if !got.leans {
				t.Errorf("batch %d to %d stands on its own", got.First, got.Last)
			}
		}
	}, point.History)
}

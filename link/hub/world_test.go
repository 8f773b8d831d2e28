package hub_test

import (
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"skyhaul/bufferstore"
)

// player is a site that does what a site does, over a link and to hubs that fail.
type player struct {
	*wire
	r      *rig
	rng    *rand.Rand
	sent   [][]byte
	next   bufferstore.Seq
	acked  bufferstore.Seq
	backup *library
}

// TestWhateverHappensToChainsEachRecordIsStoredOnce has batches lost and
// repeated, hubs restarted, sinks fail and go back to what they were.
func TestWhateverHappensToChainsEachRecordIsStoredOnce(t *testing.T) {
	var unchained, rebuilt int64
	for seed := range uint64(10) {
		synctest.Test(t, func(t *testing.T) {
			p := &player{wire: chained(1), rng: rand.New(rand.NewPCG(seed, 1)), next: 1}
			p.r = keeping(t, newBroker(), newLibrary(), fitting)
			for range 300 {
				p.step(t)
				st := p.r.receiver.Status()
				unchained, rebuilt = unchained+st.Unchained, rebuilt+st.Rebuilt
			}
			end := p.next
			for range 50 {
				p.hear(t)
				if p.next <= end {
					p.send(t, end)
				}
			}
			p.r.stop()
			p.judge(t, end)
		})
	}
	if unchained == 0 || rebuilt == 0 {
		t.Errorf("%d chains were missing, %d made again: nothing was tried", unchained, rebuilt)
	}
}

func (p *player) chance(percent int) bool { return p.rng.IntN(100) < percent }

func (p *player) step(t *testing.T) {
	p.send(t, p.next+bufferstore.Seq(p.rng.IntN(20)))
	switch l := p.r.library; {
	case p.chance(20):
		p.hear(t)
	case p.chance(4):
		p.r.up(p.sent[p.rng.IntN(len(p.sent))])
	case p.chance(4):
		p.restart(t, l)
	case p.chance(2):
		l.change(func() { l.fail = errors.New("disk full") })
		p.r.pass(time.Minute)
		l.change(func() { l.fail = nil })
		p.r.pass(2 * time.Minute)
	case p.chance(2):
		p.r.pass(time.Second)
		p.backup = l.copy()
	case p.chance(1) && p.backup != nil:
		p.restart(t, p.backup.copy())
	case p.chance(5):
		p.Rewind()
		p.next = p.acked + 1
	}
}

// send makes a batch up to last, which may get lost.
func (p *player) send(t *testing.T, last bufferstore.Seq) {
	p.Header.Acked = p.acked
	b := p.batch(t, p.next, last)
	p.next = last + 1
	p.sent = append(p.sent, b)
	if !p.chance(3) {
		p.r.up(b)
	}
}

func (p *player) restart(t *testing.T, l *library) {
	p.r.stop()
	memory := fitting
	if p.chance(30) {
		memory = none
	}
	p.r = keeping(t, p.r.broker, l, memory)
}

// hear does what the newest ack says.
func (p *player) hear(t *testing.T) {
	p.r.pass(time.Second)
	if p.r.left() > 0 || len(p.r.acks()) == 0 {
		return
	}
	fresh := false
	for _, a := range p.r.lastAck() {
		fresh = fresh || a.Fresh
		p.Carry(a.Chain)
		if a.Epoch != p.Epoch {
			continue
		}
		if a.Floor > p.acked {
			p.acked = a.Floor
			p.Encoder.Acked(p.acked)
		}
		switch {
		case len(a.Wanted) > 0:
			p.Reset()
			p.next = a.Wanted[0].First
		case a.Floor+1 < p.next:
			p.Rewind()
			p.next = a.Floor + 1
		}
	}
	if fresh {
		p.Reset()
		p.next = min(p.next, p.acked+1)
	}
}

func (p *player) judge(t *testing.T, end bufferstore.Seq) {
	got := make(map[bufferstore.Seq]string)
	for _, rec := range p.r.library.stored {
		if _, twice := got[rec.First]; twice {
			t.Errorf("record %d is stored twice", rec.First)
		}
		got[rec.First] = string(rec.Data)
	}
	for rec := range p.scans(1, end) {
		if got[rec.First] != string(rec.Data) {
			t.Fatalf("record %d of %d is not as it was taken: %x; status %+v; log:\n%s", rec.First, end, got[rec.First], p.r.receiver.Status(), p.r.log)
		}
	}
	if len(p.r.library.rejected) > 0 {
		t.Errorf("kept aside: %v", p.r.library.rejected[0].Cause)
	}
}

// copy is a backup.
func (l *library) copy() *library {
	c := newLibrary()
	l.change(func() {
		c.marks, c.stored, c.links = maps.Clone(l.marks), slices.Clone(l.stored), slices.Clone(l.links)
		for site, schemas := range l.schemas {
			c.schemas[site] = maps.Clone(schemas)
		}
	})
	return c
}

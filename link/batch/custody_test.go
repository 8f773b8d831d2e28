package batch_test

import (
	"bytes"
	"errors"
	"flag"
	"math/rand/v2"
	"testing"

	"skyhaul/bufferstore"
	"skyhaul/link/batch"
)

var rounds = flag.Int("rounds", 2000, "losses, duplicates, reorders and restarts to go through; 100000 for a campaign")

// play is a site, a hub and a link that loses, repeats and reorders, one lane
// long. It knows what is true.
type play struct {
	t    *testing.T
	rng  *rand.Rand
	site *site
	recs []bufferstore.Record // all that the site has made; number n is recs[n-1]

	enc   *batch.Encoder
	sent  int
	saved []byte   // chain that the site has kept
	wire  [][]byte // batches under way, the oldest first
	acks  []ackNote

	dec    *batch.Decoder
	states map[uint16][]byte // chains that the hub has
	stored map[bufferstore.Seq]bool
	floor  int
	fresh  bool
	tip    []byte // newest chain of the hub

	events map[string]int
}

// ackNote is an ack under way.
type ackNote struct {
	floor int
	fresh bool
}

func newPlay(t *testing.T, seed uint64) *play {
	s := newSite(seed)
	s.group(3)
	s.group(1)
	p := &play{
		t: t, rng: rand.New(rand.NewPCG(seed, 1)), site: s, dec: batch.NewDecoder(s.lookup),
		states: make(map[uint16][]byte), stored: make(map[bufferstore.Seq]bool), events: make(map[string]int),
	}
	p.begin()
	return p
}

func (p *play) begin() {
	p.enc = batch.NewEncoder(p.site.lookup)
	p.enc.SetSlots(6)
	p.enc.Carry(true)
}

// acquire makes records; gaps are cut to one number so that places stay easy.
func (p *play) acquire(n int) {
	for range n {
		r := p.site.record()
		r.Last, p.site.next = r.First, r.First+1
		p.recs = append(p.recs, r)
	}
}

func (p *play) send() {
	if p.sent == len(p.recs) {
		return
	}
	h := history
	h.Opening = &batch.Opening{First: 1}
	b, last, err := p.enc.Encode(nil, h, reused(p.recs[p.sent:min(len(p.recs), p.sent+1+p.rng.IntN(12))]), 4096)
	if err != nil {
		p.t.Fatal(err)
	}
	p.sent = int(last)
	p.wire = append(p.wire, b)
}

// arrive gives a payload to the hub.
func (p *play) arrive(payload []byte) {
	var base *batch.Chain
	if _, tag, leans := batch.Base(payload); leans && p.states[tag] != nil {
		var err error
		if base, err = batch.ParseChain(p.states[tag]); err != nil {
			p.t.Fatal(err)
		}
	}
	b, err := p.dec.DecodeOn(base, payload)
	if errors.Is(err, batch.ErrState) {
		p.fresh = true
		p.events["state missing"]++
		return
	}
	if err != nil {
		p.t.Fatal(err)
	}
	same(p.t, b.Records, p.recs[b.First-1:b.Last])
	for seq := b.First; seq <= b.Last; seq++ {
		p.stored[seq] = true
	}
	for p.stored[bufferstore.Seq(p.floor+1)] {
		p.floor++
	}
	if _, _, leans := batch.Base(payload); !leans {
		p.fresh = false
	}
	if b.Chain != nil {
		p.tip = b.Chain.Append(nil)
		p.states[uint16(b.Chain.Name())] = p.tip
	}
}

// hear gives an ack to the site.
func (p *play) hear(a ackNote) {
	p.enc.Acked(bufferstore.Seq(a.floor))
	if a.fresh {
		p.enc.Reset()
		p.sent = a.floor
	}
}

// step does one thing that may happen.
func (p *play) step() {
	what := p.rng.IntN(100)
	switch {
	case what < 30:
		p.acquire(1 + p.rng.IntN(6))
		p.send()
	case what < 65 && len(p.wire) > 0:
		p.arrive(p.wire[0])
		p.wire = p.wire[1:]
	case what < 75:
		p.acks = append(p.acks, ackNote{p.floor, p.fresh})
	case what < 85 && len(p.acks) > 0:
		p.hear(p.acks[0])
		p.acks = p.acks[1:]
	case what < 88 && len(p.wire) > 0:
		p.events["repeated"]++
		p.arrive(p.wire[0])
	case what < 91 && len(p.wire) > 1:
		p.events["reordered"]++
		p.wire[0], p.wire[1] = p.wire[1], p.wire[0]
	case what < 94: // the session breaks; what was under way is lost or has arrived
		p.events["session broken"]++
		for _, b := range p.wire[:p.rng.IntN(len(p.wire)+1)] {
			p.arrive(b)
		}
		p.wire, p.acks = nil, nil
		p.enc.Rewind()
		p.sent = p.floor // the first ack of the next one
		p.hear(ackNote{p.floor, p.fresh})
	case what < 95 && len(p.wire) > 0:
		p.events["forgotten by the broker"]++
		p.wire = p.wire[1:]
		p.fresh = p.fresh || p.sent > p.floor // the hole is found in the end
	case what < 96:
		p.restartSite()
	case what < 97:
		p.restartHub()
	}
	if c := p.enc.Chain(); c != nil && p.rng.IntN(40) == 0 {
		p.saved = c.Append(nil)
	}
}

// restartSite has the site begin again with what it last kept, which may be old.
func (p *play) restartSite() {
	p.events["site restarted"]++
	p.wire, p.acks = nil, nil
	p.begin()
	p.sent = p.floor
	if p.saved != nil {
		c, err := batch.ParseChain(p.saved)
		if err != nil {
			p.t.Fatal(err)
		}
		p.enc.Resume(c)
	}
	p.enc.Acked(bufferstore.Seq(p.floor))
}

// restartHub has the hub begin again with all, some or none of its chains.
func (p *play) restartHub() {
	p.events["hub restarted"]++
	keep := p.rng.IntN(3)
	for tag := range p.states {
		if keep == 0 || keep == 1 && p.rng.IntN(2) == 0 {
			delete(p.states, tag)
		}
	}
}

// settle has everything arrive.
func (p *play) settle() {
	for range 20 {
		for p.sent < len(p.recs) {
			p.send()
		}
		for _, b := range p.wire {
			p.arrive(b)
		}
		p.wire = nil
		if p.floor == len(p.recs) {
			return
		}
		p.hear(ackNote{p.floor, true})
	}
}

func TestBothEndsAgreeThroughLossesRepeatsReordersAndRestarts(t *testing.T) {
	seen := make(map[string]int)
	for seed, left := uint64(1), *rounds; left > 0; seed++ {
		p := newPlay(t, seed)
		for range 1000 {
			p.step()
		}
		p.settle()
		if p.floor != len(p.recs) {
			t.Fatalf("seed %d: the hub has %d of %d records", seed, p.floor, len(p.recs))
		}
		for range 20 { // then all goes well, until there is a new base
			p.acquire(1)
			p.settle()
			p.hear(ackNote{p.floor, false})
		}
		if c := p.enc.Chain(); c == nil || p.floor != len(p.recs) || p.states[uint16(c.Name())] == nil || !bytes.Equal(p.states[uint16(c.Name())], c.Append(nil)) {
			t.Fatalf("seed %d: the two ends don't agree in the end", seed)
		}
		for what, n := range p.events {
			seen[what] += n
			left -= n
		}
	}
	t.Log(seen)
}

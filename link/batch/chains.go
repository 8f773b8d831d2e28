package batch

import (
	"time"

	"skyhaul/bufferstore"
)

// chains is what an encoder keeps of the chain of its lane: the coder as it
// stands after the last batch, and as it stood where it may have to go back to.
type chains struct {
	on    bool  // the destination takes part
	slots uint8 // of a chain that begins
	cpu   allowance
	age   int // batches since the tip began
	young int // those of them since later was begun

	tip   *Chain // after the last batch made
	later *Chain // after one made before it or the same: the base to be, once that is acked
	base  *Chain // after a batch that is acked
}

// oldChain is how many batches make a chain old: one that is full then begins
// anew, for schemas of long ago have piled up in it.
const oldChain = 1000

// basesApart is how many batches lie between two bases: to copy a chain takes
// longer than to code a scan.
const basesApart = 8

// begin returns the chain for the next batch, which may change it.
func (c *chains) begin() *Chain {
	if c.tip == nil && c.base != nil {
		c.tip = c.base.Clone()
	}
	if c.tip == nil {
		c.tip, c.age = newChain(c.slots), 0
	}
	return c.tip
}

// full notes that the tip has no room for a schema.
func (c *chains) full() {
	if c.age > oldChain {
		c.rewind()
		c.base = nil
	}
}

// made takes the chain as it stands after a batch.
func (c *chains) made(tip *Chain) {
	if tip.name == 0 { // as if it had not begun
		c.rewind()
		return
	}
	c.tip = tip
	c.age++
	c.young++
	if c.later == nil && (c.base == nil || c.young >= basesApart) {
		c.later, c.young = tip.Clone(), 0
	}
}

// again tells that the records from first on go once more: whatever carried them
// before may not have arrived.
func (c *chains) again(first bufferstore.Seq) {
	if c.tip != nil && first <= c.tip.last {
		c.rewind()
	}
}

// acked tells that every record up to upTo is durable at the destination.
func (c *chains) acked(upTo bufferstore.Seq) {
	if c.later != nil && c.later.last <= upTo {
		c.base, c.later = c.later, nil
	}
}

// rewind goes back to what is known to have arrived.
func (c *chains) rewind() { c.tip, c.later = nil, nil }

// Carry says whether the destination takes part in chains: then batches are of
// level B and lean on the ones before; else all stand on their own.
func (e *Encoder) Carry(on bool) { e.chains.on = on }

// SetSlots says how much a chain that begins learns of each column: log2 of its
// counters, 6 to 16. Both ends keep them in memory.
func (e *Encoder) SetSlots(slots uint8) { e.chains.slots = min(max(slots, minSlots), maxSlots) }

// Rewind tells that batches made since the last acked one may never arrive. The
// next ones don't lean on them.
func (e *Encoder) Rewind() { e.chains.rewind() }

// Chain returns the newest chain that the destination is known to have: what is
// worth keeping over a restart. It is nil where there is none, and isn't changed
// any more.
func (e *Encoder) Chain() *Chain { return e.chains.base }

// Resume goes on with a chain of an encoder before this one. The destination
// took part then, so Carry is on.
func (e *Encoder) Resume(c *Chain) { e.chains.base, e.chains.on = c, true }

// Leans reports whether the batch made last needs anything that came in a batch
// before: a schema, an opening, a chain.
func (e *Encoder) Leans() bool { return e.leans }

// SetCPU bounds the time that level B takes to so many percent of one core, 1 to
// 100, over a minute or so. A batch ends where that is spent; those after it are
// of level A, which takes a tenth of the time, and the chain goes on after them.
func (e *Encoder) SetCPU(percent int) { e.chains.cpu = allowance{percent: percent} }

// allowance is time of a core that comes by and by and may be spent.
type allowance struct {
	percent int           // of a core; 0 stands for as much as there is
	spent   time.Duration // beyond what has come since
	at      time.Time     // when that was reckoned
}

// allowanceMost is what may be saved up, as time to come.
const allowanceMost = time.Minute

// left reports whether there is any.
func (a *allowance) left() bool {
	now := time.Now()
	come := now.Sub(a.at) * time.Duration(a.percent) / 100
	a.spent, a.at = max(a.spent-come, 0), now
	return a.percent == 0 || a.spent < allowanceMost*time.Duration(a.percent)/100
}

// spend takes the time since begin.
func (a *allowance) spend(begin time.Time) { a.spent += time.Since(begin) }

package hub

import (
	"container/list"

	"skyhaul/edge/point"
	"skyhaul/link/batch"
)

// strand is a chain with what came since its last snapshot.
type strand struct {
	chain *batch.Chain
	links int
	bytes int // of their payloads
}

// strandKey says which chain: a lane has several where cards were cloned.
type strandKey struct {
	site string
	lane point.Lane
	tag  uint16
}

// strands holds chains in memory. Those not used for the longest time go first.
type strands struct {
	room  int // bytes
	taken int
	byKey map[strandKey]*list.Element
	order *list.List // of *heldStrand, the last used in front
}

type heldStrand struct {
	strand
	key  strandKey
	size int
}

func newStrands(room int) *strands {
	return &strands{room: room, byKey: make(map[strandKey]*list.Element), order: list.New()}
}

// has reports whether there is such a chain.
func (c *strands) has(k strandKey) bool { return c.byKey[k] != nil }

// take removes a chain, for whoever takes it will change it.
func (c *strands) take(k strandKey) (s strand, ok bool) {
	e := c.byKey[k]
	if e == nil {
		return s, false
	}
	return c.remove(e).strand, true
}

func (c *strands) remove(e *list.Element) *heldStrand {
	h := c.order.Remove(e).(*heldStrand)
	delete(c.byKey, h.key)
	c.taken -= h.size
	return h
}

// put keeps a chain for the batch that will be built on it.
func (c *strands) put(k strandKey, s strand) {
	c.take(k)
	h := &heldStrand{strand: s, key: k, size: s.chain.Size()}
	c.byKey[k] = c.order.PushFront(h)
	for c.taken += h.size; c.taken > c.room; {
		c.remove(c.order.Back())
	}
}

package bufferstore

import "sync"

// chunkCache keeps the chunk that was last read from its middle on.
type chunkCache struct {
	mu   sync.Mutex
	last *unpackedChunk // nil: none
}

// unpackedChunk is a chunk's records. It doesn't change.
type unpackedChunk struct {
	lane string
	extent
	recs [][]byte
}

// at returns the chunk that holds a number.
func (c *chunkCache) at(lane string, seq Seq) (*unpackedChunk, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	u := c.last
	return u, u != nil && u.lane == lane && u.first <= seq && seq <= u.last
}

func (c *chunkCache) put(u *unpackedChunk) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last = u
}

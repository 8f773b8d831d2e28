package tap

import (
	"slices"
	"sync"
	"time"

	"skyhaul/modbus"
)

// Conn is a connection that tells what passes on it. It is as safe for
// concurrent use as the connection below.
type Conn struct {
	modbus.Conn
	began time.Time

	mu   sync.Mutex  // one call of tell at a time, so that times never fall
	tell func(Chunk) // guarded by mu
}

// NewConn returns a connection on c that calls tell for every chunk, one call
// at a time, from the goroutine that reads or writes; tell may keep the chunk.
// Times count from began. What is written is told before it is tried.
func NewConn(c modbus.Conn, began time.Time, tell func(Chunk)) *Conn {
	return &Conn{Conn: c, began: began, tell: tell}
}

func (c *Conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.told(Received, p[:max(n, 0)])
	return n, err
}

// Write tells before it writes: what is answered at once must not stand before
// its question.
func (c *Conn) Write(p []byte) (int, error) {
	c.told(Sent, p)
	return c.Conn.Write(p)
}

func (c *Conn) told(d Direction, p []byte) {
	if len(p) == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tell(Chunk{time.Since(c.began), d, slices.Clone(p)})
}

package gateway

import (
	"cmp"
	"slices"
	"time"
)

// Counters counts what clients asked.
type Counters struct {
	Requests   uint64
	Remembered uint64 // answered from memory
	Exchanges  uint64 // sent to the line; a read that several wait for is one
	Writes     uint64 // of these, whatever came of them
	Declined   uint64 // answered with an exception, of units too
	Busy       uint64 // of these, because too much was asked at a time
	Refused    uint64 // of these, writes that are not on the list
	Malformed  uint64 // bytes that are no request, after which a client is disconnected
}

// Stats is what a door has let through so far.
type Stats struct {
	Counters
	Connections uint64        // accepted
	TurnedAway  uint64        // connections beyond the greatest number of clients
	Clients     []ClientStats // connected now, by since when
}

// ClientStats is what one connection has done.
type ClientStats struct {
	Counters
	Addr  string
	Role  string // of its certificate
	Since time.Time
}

// Stats returns a snapshot.
func (d *Door) Stats() Stats {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := d.stats
	for c := range d.clients {
		v := c.stats
		v.Addr, v.Role = c.addr, c.role
		s.Clients = append(s.Clients, v)
	}
	slices.SortFunc(s.Clients, func(a, b ClientStats) int {
		return cmp.Or(a.Since.Compare(b.Since), cmp.Compare(a.Addr, b.Addr))
	})
	return s
}

// count changes the counters of a client and of its door alike.
func (c *client) count(change func(*Counters)) {
	c.door.mu.Lock()
	defer c.door.mu.Unlock()
	change(&c.stats.Counters)
	change(&c.door.stats.Counters)
}

// requests returns how many requests of the client came so far.
func (c *client) requests() uint64 {
	c.door.mu.Lock()
	defer c.door.mu.Unlock()
	return c.stats.Requests
}

// enter lets a client in, unless there are too many.
func (d *Door) enter(c *client) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.clients) >= d.o.MaxClients {
		d.stats.TurnedAway++
		return false
	}
	d.stats.Connections++
	c.stats.Since = time.Now()
	d.clients[c] = struct{}{}
	return true
}

func (d *Door) leave(c *client) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.clients, c)
}

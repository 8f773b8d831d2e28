package bufferstore

import (
	"errors"
	"os"
	"sync"
)

// card stands for the card beneath the head: its syncs can fail and stall.
type card struct {
	mu    sync.Mutex
	fails int           // so many syncs fail
	stall chan struct{} // if not nil, a sync waits for it
	tried int           // syncs
	done  func()        // if not nil, called after a sync
}

var errCard = errors.New("input/output error")

// attach puts the card beneath a store.
func (c *card) attach(s *Store) { s.head.datasync = c.sync }

func (c *card) sync(f *os.File) error {
	if c.stall != nil {
		<-c.stall
	}
	if c.done != nil {
		defer c.done()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tried++
	if c.fails > 0 {
		c.fails--
		return errCard
	}
	return nil
}

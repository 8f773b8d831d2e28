//go:build linux && !(386 || arm || mips || mipsle)

package faultfs

import "math/rand/v2"

// content is what a file holds: as its readers see it, and as it is on disk.
type content struct {
	live    *image
	disk    *image
	changes []change // since the last fsync, in order
}

type kind uint8

const (
	wrote kind = iota
	grew
	shrank
	reserved
	punched
)

// change is a change of content that was not fsynced yet.
type change struct {
	kind     kind
	off, end int64
	size     int64  // of the file afterwards
	sectors  []byte // wrote: the sectors that off and end lie in, as they were then
}

// maxChanges is how many changes of a file are held; then the oldest half
// counts as written back, as the kernel would do by and by.
const maxChanges = 4096

func newContent() *content { return &content{live: newImage(), disk: newImage()} }

func (c *content) write(data []byte, off int64) {
	end := off + int64(len(data))
	c.live.put(data, off)
	c.live.size = max(c.live.size, end)
	first := off / sectorSize * sectorSize
	sectors := make([]byte, (end-first+sectorSize-1)/sectorSize*sectorSize)
	c.live.read(sectors, first)
	c.note(change{kind: wrote, off: off, end: end, sectors: sectors})
}

func (c *content) resize(size int64) {
	k := grew
	if size < c.live.size {
		k = shrank
	}
	c.live.resize(size)
	c.note(change{kind: k})
}

func (c *content) reserve(off, end int64, keepSize bool) {
	c.live.allocate(off, end)
	if !keepSize {
		c.live.size = max(c.live.size, end)
	}
	c.note(change{kind: reserved, off: off, end: end})
}

func (c *content) punch(off, end int64) {
	c.live.zero(off, end)
	c.note(change{kind: punched, off: off, end: end})
}

func (c *content) note(ch change) {
	ch.size = c.live.size
	c.changes = append(c.changes, ch)
	if len(c.changes) > maxChanges {
		old := c.changes[:maxChanges/2]
		settle(c.disk, old, nil)
		c.disk.owned = map[int64]bool{}
		c.changes = append([]change(nil), c.changes[maxChanges/2:]...)
	}
}

// sync makes the content durable: the blocks that are dirty, and the size.
// Blocks that a failed sync has left clean stay as they are on disk.
func (c *content) sync() {
	for i := range c.live.owned {
		if b := c.live.blocks[i]; b != nil {
			c.disk.blocks[i] = b
		} else {
			delete(c.disk.blocks, i)
		}
	}
	c.disk.resize(c.live.size)
	c.clean()
}

// clean forgets what is dirty; blocks are shared with the disk from here on.
func (c *content) clean() {
	c.live.owned = map[int64]bool{}
	c.disk.owned = map[int64]bool{}
	c.changes = nil
}

// lose is what a failed sync leaves.
func (c *content) lose(l Loss, rng *rand.Rand) {
	switch l {
	case LossAtOnce:
		c.live = c.disk.clone()
	case LossInPart:
		settle(c.disk, c.changes, rng)
	}
	c.clean()
}

// after returns the content after a power cut; without rng everything that
// was written has reached the disk.
func (c *content) after(rng *rand.Rand) *content {
	disk := c.disk.clone()
	settle(disk, c.changes, rng)
	disk.owned = map[int64]bool{}
	return &content{live: disk.clone(), disk: disk}
}

//go:build linux && !(386 || arm || mips || mipsle)

package faultfs

import (
	"cmp"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"syscall"
	"time"
)

// Options are how a Volume is made. The zero value is a large volume with the
// manners of a journalling file system.
type Options struct {
	// Capacity of the volume in bytes; 0 is 1 TiB.
	Capacity int64
	// Strict loses the entry of a new file unless its directory was fsynced,
	// even where the file itself was, and any other directory operation by
	// chance and out of order.
	Strict bool
	// Seed decides by what chance planned faults strike and lose.
	Seed int64
}

// Volume is a file system in memory. It is safe for concurrent use.
type Volume struct {
	mu       sync.Mutex // guards all below
	nodes    map[uint64]*node
	next     uint64 // inode number
	live     entries
	disk     entries
	journal  journal
	capacity int64
	used     int64 // blocks
	mount    *mount

	plans    []*plan
	readOnly bool
	stall    time.Duration
	freed    chan struct{} // closed when stalled calls are to go on
	rng      *rand.Rand
	stats    Stats
}

// node is an inode.
type node struct {
	ino     uint64
	mode    uint32
	mtime   time.Time
	content *content // nil: a directory

	linked  bool   // has an entry
	onDisk  bool   // has an entry on disk
	pending int    // edits in the journal that name it
	lookups uint64 // by the kernel
}

// root is the inode number of the volume's own directory.
const root = 1

// New returns an empty volume that is not mounted.
func New(o Options) *Volume {
	v := &Volume{
		nodes:    map[uint64]*node{},
		next:     root,
		live:     entries{},
		disk:     entries{},
		journal:  journal{strict: o.Strict},
		capacity: cmp.Or(o.Capacity, 1<<40),
		freed:    make(chan struct{}),
		rng:      newRand(o.Seed),
	}
	n := v.newNode(syscall.S_IFDIR | 0o755)
	n.linked, n.onDisk = true, true
	return v
}

func newRand(seed int64) *rand.Rand { return rand.New(rand.NewPCG(uint64(seed), 0)) }

func (v *Volume) newNode(mode uint32) *node {
	n := &node{ino: v.next, mode: mode, mtime: time.Now()}
	if mode&syscall.S_IFDIR == 0 {
		n.content = newContent()
	}
	v.nodes[n.ino] = n
	v.next++
	return n
}

// do carries out a directory operation, which is then not durable yet.
func (v *Volume) do(op dirOp) {
	v.live.apply(op)
	v.journal.ops = append(v.journal.ops, op)
	for _, e := range op {
		v.nodes[e.dir].mtime = time.Now()
		if n := v.nodes[e.was]; n != nil {
			n.pending++
			v.setLinked(n, false)
		}
		if n := v.nodes[e.now]; n != nil {
			n.pending++
			v.setLinked(n, true)
		}
	}
}

// setLinked keeps the count of used blocks: a file without an entry takes none.
func (v *Volume) setLinked(n *node, linked bool) {
	if n.content != nil && n.linked != linked {
		blocks := int64(len(n.content.live.blocks))
		if !linked {
			blocks = -blocks
		}
		v.used += blocks
	}
	n.linked = linked
}

// commit makes durable the directory operations that an fsync of n does.
func (v *Volume) commit(n *node) {
	for _, op := range v.journal.commit(v.disk, n.ino, n.content == nil) {
		for _, e := range op {
			if n := v.nodes[e.was]; n != nil {
				n.pending--
				n.onDisk = false
			}
			if n := v.nodes[e.now]; n != nil {
				n.pending--
				n.onDisk = true
			}
		}
		for _, e := range op {
			v.sweep(e.was)
		}
	}
}

// sweep forgets an inode that nothing names any more.
func (v *Volume) sweep(ino uint64) {
	n := v.nodes[ino]
	if n != nil && !n.linked && !n.onDisk && n.pending == 0 && n.lookups == 0 {
		delete(v.nodes, ino)
		delete(v.live, ino)
		delete(v.disk, ino)
	}
}

// change changes the content of n and keeps the count of used blocks.
func (v *Volume) change(n *node, f func(*content)) {
	before := len(n.content.live.blocks)
	f(n.content)
	if n.linked {
		v.used += int64(len(n.content.live.blocks) - before)
	}
	n.mtime = time.Now()
}

// room returns how many blocks are free.
func (v *Volume) room() int64 { return max(v.capacity/blockSize-v.used, 0) }

// fit cuts data, to be written to n at off, to the blocks that there is room for.
func (v *Volume) fit(n *node, data []byte, off int64) []byte {
	for len(data) > 0 && n.content.live.missing(off, off+int64(len(data))) > v.room() {
		last := (off + int64(len(data)) - 1) / blockSize * blockSize
		data = data[:max(last-off, 0)]
	}
	return data
}

// after returns the volume as a power cut leaves it; without rng everything
// that was done has reached the disk.
func (v *Volume) after(rng *rand.Rand) *Volume {
	disk := entries{}
	for dir, names := range v.disk {
		disk[dir] = maps.Clone(names)
	}
	v.journal.after(disk, rng)
	w := New(Options{Strict: v.journal.strict})
	w.capacity, w.next = v.capacity, v.next
	w.nodes[root].mtime = v.nodes[root].mtime
	v.hand(w, disk, root, rng)
	return w
}

// hand gives w what disk names in directory dir, and below it.
func (v *Volume) hand(w *Volume, disk entries, dir uint64, rng *rand.Rand) {
	for _, name := range slices.Sorted(maps.Keys(disk[dir])) {
		old := v.nodes[disk[dir][name]]
		n := &node{ino: old.ino, mode: old.mode, mtime: old.mtime, linked: true, onDisk: true}
		w.nodes[n.ino] = n
		w.live.set(slot{dir, name}, n.ino)
		w.disk.set(slot{dir, name}, n.ino)
		if old.content == nil {
			v.hand(w, disk, n.ino, rng)
			continue
		}
		n.content = old.content.after(rng)
		w.used += int64(len(n.content.live.blocks))
	}
}

// become takes over the content of w; the mount is over.
func (v *Volume) become(w *Volume) {
	v.nodes, v.live, v.disk, v.used = w.nodes, w.live, w.disk, w.used
	v.journal.ops, v.mount = nil, nil
}

// Image returns a volume of its own with what Cut(seed) would leave of v now,
// and leaves v alone. Faults aren't taken over.
func (v *Volume) Image(seed int64) *Volume {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.after(newRand(seed))
}

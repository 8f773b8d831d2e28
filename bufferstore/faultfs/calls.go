//go:build linux && !(386 || arm || mips || mipsle)

package faultfs

import (
	"syscall"

	"github.com/hanwen/go-fuse/v2/fuse"
)

// String names the file system to the kernel.
func (m *mount) String() string { return "faultfs" }

// begin takes the volume's lock and returns the node that a call is about. Where
// it returns an error the lock isn't held.
func (m *mount) begin(ino uint64) (*node, fuse.Status) {
	m.v.mu.Lock()
	if n := m.v.nodes[ino]; n != nil && !m.dead {
		return n, fuse.OK
	}
	m.v.mu.Unlock()
	return nil, fuse.EIO
}

// beginOp is begin for a call that is counted and may fail by plan.
func (m *mount) beginOp(ino uint64, op Op) (*node, fuse.Status) {
	n, status := m.begin(ino)
	if status != fuse.OK {
		return nil, status
	}
	if _, errno := m.v.admit(op); errno != 0 {
		m.v.mu.Unlock()
		return nil, fuse.Status(errno)
	}
	return n, fuse.OK
}

func (n *node) attr(out *fuse.Attr) {
	*out = fuse.Attr{
		Ino: n.ino, Mode: n.mode, Nlink: 2, Blksize: blockSize,
		Mtime: uint64(n.mtime.Unix()), Mtimensec: uint32(n.mtime.Nanosecond()),
	}
	out.Atime, out.Atimensec, out.Ctime, out.Ctimensec = out.Mtime, out.Mtimensec, out.Mtime, out.Mtimensec
	if n.content != nil {
		out.Nlink = 1
		out.Size = uint64(n.content.live.size)
		out.Blocks = uint64(len(n.content.live.blocks)) * (blockSize / 512)
	}
}

// entry hands n out to the kernel, which holds it until it forgets it. Names
// and attributes are valid for no time, so that the kernel always asks.
func (n *node) entry(out *fuse.EntryOut) {
	n.lookups++
	out.NodeId, out.Generation = n.ino, 1
	n.attr(&out.Attr)
}

func (m *mount) Lookup(_ <-chan struct{}, in *fuse.InHeader, name string, out *fuse.EntryOut) fuse.Status {
	_, status := m.begin(in.NodeId)
	if status != fuse.OK {
		return status
	}
	defer m.v.mu.Unlock()
	n := m.v.nodes[m.v.live[in.NodeId][name]]
	if n == nil {
		return fuse.ENOENT
	}
	n.entry(out)
	return fuse.OK
}

func (m *mount) Forget(ino, count uint64) {
	n, status := m.begin(ino)
	if status != fuse.OK {
		return
	}
	defer m.v.mu.Unlock()
	n.lookups -= min(count, n.lookups)
	m.v.sweep(ino)
}

func (m *mount) GetAttr(_ <-chan struct{}, in *fuse.GetAttrIn, out *fuse.AttrOut) fuse.Status {
	n, status := m.begin(in.NodeId)
	if status != fuse.OK {
		return status
	}
	defer m.v.mu.Unlock()
	n.attr(&out.Attr)
	return fuse.OK
}

func (m *mount) SetAttr(_ <-chan struct{}, in *fuse.SetAttrIn, out *fuse.AttrOut) fuse.Status {
	size, resize := in.GetSize()
	begin := m.begin
	if resize {
		begin = func(ino uint64) (*node, fuse.Status) { return m.beginOp(ino, Resize) }
	}
	n, status := begin(in.NodeId)
	if status != fuse.OK {
		return status
	}
	defer m.v.mu.Unlock()
	if m.v.readOnly {
		return fuse.EROFS
	}
	if resize && int64(size) != n.content.live.size {
		m.v.change(n, func(c *content) { c.resize(int64(size)) })
	}
	if mode, ok := in.GetMode(); ok {
		n.mode = n.mode&syscall.S_IFMT | mode
	}
	if t, ok := in.GetMTime(); ok {
		n.mtime = t
	}
	n.attr(&out.Attr)
	return fuse.OK
}

func (m *mount) StatFs(_ <-chan struct{}, in *fuse.InHeader, out *fuse.StatfsOut) fuse.Status {
	_, status := m.begin(in.NodeId)
	if status != fuse.OK {
		return status
	}
	defer m.v.mu.Unlock()
	room := uint64(m.v.room())
	*out = fuse.StatfsOut{
		Blocks: uint64(m.v.capacity / blockSize), Bfree: room, Bavail: room,
		Files: 1 << 20, Ffree: 1 << 20, Bsize: blockSize, Frsize: blockSize, NameLen: 255,
	}
	return fuse.OK
}

//go:build linux && !(386 || arm || mips || mipsle)

package faultfs

import (
	"syscall"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

func (m *mount) Open(_ <-chan struct{}, in *fuse.OpenIn, _ *fuse.OpenOut) fuse.Status {
	_, status := m.beginOp(in.NodeId, Open)
	if status != fuse.OK {
		return status
	}
	defer m.v.mu.Unlock()
	if m.v.readOnly && in.Flags&syscall.O_ACCMODE != syscall.O_RDONLY {
		return fuse.EROFS
	}
	return fuse.OK
}

// Read fails a second time where it failed by plan: the kernel reads ahead, and
// asks again before it tells anyone of the error.
func (m *mount) Read(_ <-chan struct{}, in *fuse.ReadIn, buf []byte) (fuse.ReadResult, fuse.Status) {
	n, status := m.begin(in.NodeId)
	if status != fuse.OK {
		return nil, status
	}
	defer m.v.mu.Unlock()
	at := place{in.NodeId, in.Offset}
	if errno, ok := m.failed[at]; ok {
		delete(m.failed, at)
		return nil, fuse.Status(errno)
	}
	if _, errno := m.v.admit(Read); errno != 0 {
		m.failed[at] = errno
		return nil, fuse.Status(errno)
	}
	size := min(max(n.content.live.size-int64(in.Offset), 0), int64(len(buf)))
	n.content.live.read(buf[:size], int64(in.Offset))
	return fuse.ReadResultData(buf[:size]), fuse.OK
}

// Write takes as many bytes as there is room for; the kernel then asks for the
// rest and is refused.
func (m *mount) Write(_ <-chan struct{}, in *fuse.WriteIn, data []byte) (uint32, fuse.Status) {
	m.v.await()
	n, status := m.beginOp(in.NodeId, Write)
	if status != fuse.OK {
		return 0, status
	}
	defer m.v.mu.Unlock()
	off := int64(in.Offset)
	data = m.v.fit(n, data, off)
	if len(data) == 0 {
		return 0, fuse.Status(syscall.ENOSPC)
	}
	m.v.change(n, func(c *content) { c.write(data, off) })
	m.v.stats.Bytes += int64(len(data))
	return uint32(len(data)), fuse.OK
}

// Flush says that nothing happens when a file is closed.
func (m *mount) Flush(<-chan struct{}, *fuse.FlushIn) fuse.Status { return fuse.ENOSYS }

func (m *mount) Fsync(_ <-chan struct{}, in *fuse.FsyncIn) fuse.Status {
	m.v.await()
	n, status := m.begin(in.NodeId)
	if status != fuse.OK {
		return status
	}
	loss, errno := m.v.admit(Sync)
	switch {
	case errno == 0:
		n.content.sync()
		m.v.commit(n)
	case errno != syscall.EROFS:
		m.v.change(n, func(c *content) { c.lose(loss, m.v.rng) })
	}
	m.v.mu.Unlock()
	if errno != 0 && loss == LossAtOnce {
		m.server.InodeNotify(in.NodeId, 0, 0) // the kernel's copy goes as well
	}
	return fuse.Status(errno)
}

func (m *mount) Fallocate(_ <-chan struct{}, in *fuse.FallocateIn) fuse.Status {
	n, status := m.beginOp(in.NodeId, Resize)
	if status != fuse.OK {
		return status
	}
	defer m.v.mu.Unlock()
	off, end := int64(in.Offset), int64(in.Offset+in.Length)
	switch in.Mode {
	case 0, unix.FALLOC_FL_KEEP_SIZE:
		if (end-off)/blockSize > m.v.capacity/blockSize || n.content.live.missing(off, end) > m.v.room() {
			return fuse.Status(syscall.ENOSPC)
		}
		m.v.change(n, func(c *content) { c.reserve(off, end, in.Mode != 0) })
	case unix.FALLOC_FL_PUNCH_HOLE | unix.FALLOC_FL_KEEP_SIZE:
		m.v.change(n, func(c *content) { c.punch(off, end) })
	default:
		return fuse.ENOTSUP
	}
	return fuse.OK
}

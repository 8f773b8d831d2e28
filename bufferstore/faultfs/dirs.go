//go:build linux && !(386 || arm || mips || mipsle)

package faultfs

import (
	"maps"
	"slices"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// make makes a node and its entry.
func (m *mount) make(dir uint64, name string, mode uint32, out *fuse.EntryOut) fuse.Status {
	d, status := m.beginOp(dir, Create)
	if status != fuse.OK {
		return status
	}
	defer m.v.mu.Unlock()
	switch {
	case !d.linked:
		return fuse.ENOENT
	case m.v.live[dir][name] != 0:
		return fuse.Status(syscall.EEXIST)
	}
	n := m.v.newNode(mode)
	m.v.do(dirOp{{slot{dir, name}, 0, n.ino}})
	n.entry(out)
	return fuse.OK
}

func (m *mount) Create(_ <-chan struct{}, in *fuse.CreateIn, name string, out *fuse.CreateOut) fuse.Status {
	return m.make(in.NodeId, name, syscall.S_IFREG|in.Mode&0o7777, &out.EntryOut)
}

func (m *mount) Mkdir(_ <-chan struct{}, in *fuse.MkdirIn, name string, out *fuse.EntryOut) fuse.Status {
	return m.make(in.NodeId, name, syscall.S_IFDIR|in.Mode&0o7777, out)
}

func (m *mount) Unlink(_ <-chan struct{}, in *fuse.InHeader, name string) fuse.Status {
	return m.remove(in.NodeId, name)
}

func (m *mount) Rmdir(_ <-chan struct{}, in *fuse.InHeader, name string) fuse.Status {
	return m.remove(in.NodeId, name)
}

func (m *mount) remove(dir uint64, name string) fuse.Status {
	_, status := m.beginOp(dir, Remove)
	if status != fuse.OK {
		return status
	}
	defer m.v.mu.Unlock()
	ino := m.v.live[dir][name]
	switch {
	case ino == 0:
		return fuse.ENOENT
	case len(m.v.live[ino]) > 0:
		return fuse.Status(syscall.ENOTEMPTY)
	}
	m.v.do(dirOp{{slot{dir, name}, ino, 0}})
	return fuse.OK
}

func (m *mount) Rename(_ <-chan struct{}, in *fuse.RenameIn, from, to string) fuse.Status {
	_, status := m.beginOp(in.NodeId, Rename)
	if status != fuse.OK {
		return status
	}
	defer m.v.mu.Unlock()
	ino, over := m.v.live[in.NodeId][from], m.v.live[in.Newdir][to]
	switch {
	case in.Flags&^unix.RENAME_NOREPLACE != 0:
		return fuse.EINVAL
	case ino == 0:
		return fuse.ENOENT
	case over != 0 && in.Flags != 0:
		return fuse.Status(syscall.EEXIST)
	case len(m.v.live[over]) > 0:
		return fuse.Status(syscall.ENOTEMPTY)
	}
	m.v.do(dirOp{{slot{in.NodeId, from}, ino, 0}, {slot{in.Newdir, to}, over, ino}})
	return fuse.OK
}

func (m *mount) FsyncDir(_ <-chan struct{}, in *fuse.FsyncIn) fuse.Status {
	m.v.await()
	n, status := m.beginOp(in.NodeId, SyncDir)
	if status != fuse.OK {
		return status
	}
	defer m.v.mu.Unlock()
	m.v.commit(n)
	return fuse.OK
}

func (m *mount) OpenDir(_ <-chan struct{}, in *fuse.OpenIn, out *fuse.OpenOut) fuse.Status {
	_, status := m.beginOp(in.NodeId, Open)
	if status != fuse.OK {
		return status
	}
	defer m.v.mu.Unlock()
	m.handle++
	out.Fh = m.handle
	return fuse.OK
}

// ReadDir lists a directory as it was when the listing began.
func (m *mount) ReadDir(_ <-chan struct{}, in *fuse.ReadIn, out *fuse.DirEntryList) fuse.Status {
	_, status := m.begin(in.NodeId)
	if status != fuse.OK {
		return status
	}
	defer m.v.mu.Unlock()
	if in.Offset == 0 {
		m.listings[in.Fh] = m.list(in.NodeId)
	}
	for _, e := range m.listings[in.Fh][min(int(in.Offset), len(m.listings[in.Fh])):] {
		if !out.AddDirEntry(e) {
			break
		}
	}
	return fuse.OK
}

func (m *mount) list(dir uint64) []fuse.DirEntry {
	es := []fuse.DirEntry{
		{Name: ".", Mode: syscall.S_IFDIR, Ino: dir},
		{Name: "..", Mode: syscall.S_IFDIR, Ino: dir},
	}
	for _, name := range slices.Sorted(maps.Keys(m.v.live[dir])) {
		n := m.v.nodes[m.v.live[dir][name]]
		es = append(es, fuse.DirEntry{Name: name, Mode: n.mode, Ino: n.ino})
	}
	return es
}

func (m *mount) ReleaseDir(in *fuse.ReleaseIn) {
	m.v.mu.Lock()
	defer m.v.mu.Unlock()
	delete(m.listings, in.Fh)
}

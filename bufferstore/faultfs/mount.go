//go:build linux && !(386 || arm || mips || mipsle)

package faultfs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// mount is one mounting of a volume. Its methods in calls.go, files.go and
// dirs.go are what the kernel asks for.
type mount struct {
	fuse.RawFileSystem
	v      *Volume
	dir    string
	server *fuse.Server
	guard  *guard

	dead     bool // guarded by v.mu, as is all below
	listings map[uint64][]fuse.DirEntry
	handle   uint64
	failed   map[place]syscall.Errno // reads that the kernel will try again
}

// place is where a read begins.
type place struct{ ino, off uint64 }

// Mount shows the volume at dir, an existing directory. It takes root and
// /dev/fuse; errors.Is(err, fs.ErrPermission) or fs.ErrNotExist where one of
// them isn't there.
func (v *Volume) Mount(dir string) error {
	v.mu.Lock()
	mounted := v.mount != nil
	v.mu.Unlock()
	if mounted {
		return errors.New("mount: the volume is mounted already")
	}
	m := &mount{
		RawFileSystem: fuse.NewDefaultRawFileSystem(), v: v, dir: dir,
		listings: map[uint64][]fuse.DirEntry{}, failed: map[place]syscall.Errno{},
	}
	server, err := fuse.NewServer(m, dir, &fuse.MountOptions{
		Name: "faultfs", FsName: "faultfs", DirectMountStrict: true,
		MaxWrite: 1 << 20, DisableXAttrs: true, DisableReadDirPlus: true,
		ExplicitDataCacheControl: true, // nobody but this mount changes the volume
	})
	if err != nil {
		return fmt.Errorf("mount %s: %w", dir, err)
	}
	closeOnExec("/dev/fuse")
	m.server = server
	if m.guard, err = startGuard(dir); err != nil {
		return errors.Join(fmt.Errorf("mount %s: %w", dir, err), unix.Unmount(dir, unix.MNT_DETACH))
	}
	v.mu.Lock()
	v.mount = m
	v.mu.Unlock()
	go server.Serve()
	if err := server.WaitMount(); err != nil {
		return errors.Join(fmt.Errorf("mount %s: %w", dir, err), v.Cut(0))
	}
	return nil
}

// closeOnExec keeps our descriptors of a device from child processes: one of
// them would hold the mount up when this process has died.
func closeOnExec(device string) {
	fds, _ := filepath.Glob("/proc/self/fd/*")
	for _, path := range fds {
		var fd int
		if to, err := os.Readlink(path); err != nil || to != device {
			continue
		}
		if _, err := fmt.Sscan(filepath.Base(path), &fd); err == nil {
			unix.CloseOnExec(fd)
		}
	}
}

// Unmount ends the mount in good order: everything becomes durable. It returns
// an error, and the mount stays, while a file of it is open.
func (v *Volume) Unmount() error {
	v.mu.Lock()
	m := v.mount
	v.mu.Unlock()
	if m == nil {
		return nil
	}
	if err := unix.Unmount(m.dir, 0); err != nil {
		return &fs.PathError{Op: "unmount", Path: m.dir, Err: err}
	}
	m.guard.end()
	v.mu.Lock()
	defer v.mu.Unlock()
	m.dead = true
	v.become(v.after(nil))
	return nil
}

// Cut cuts the power: from here on every call of the mount fails with EIO and
// changes nothing, and the volume holds what the cut has left, chosen by seed.
// The mount is taken away from its directory; processes that use it should be
// killed before the volume is mounted again. A volume that isn't mounted
// stays as it is.
func (v *Volume) Cut(seed int64) error {
	v.Stall(0)
	v.mu.Lock()
	m := v.mount
	if m != nil {
		m.dead = true
		v.become(v.after(newRand(seed)))
	}
	v.mu.Unlock()
	if m == nil {
		return nil
	}
	m.guard.end()
	if err := unix.Unmount(m.dir, unix.MNT_DETACH); err != nil {
		return &fs.PathError{Op: "unmount", Path: m.dir, Err: err}
	}
	return nil
}

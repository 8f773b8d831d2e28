package bufferstore

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/windows"
)

// freeBytes is what the file system of dir has free for us.
func freeBytes(dir string) (int64, error) {
	name, err := windows.UTF16PtrFromString(dir)
	if err != nil {
		return 0, err
	}
	var free uint64
	if err := windows.GetDiskFreeSpaceEx(name, &free, nil, nil); err != nil {
		return 0, &os.PathError{Op: "free space of", Path: dir, Err: err}
	}
	return int64(free), nil
}

// allocated is what a file takes on disk.
func allocated(info fs.FileInfo) int64 { return info.Size() }

// lockDir locks a directory, by a file in it, for this process alone, until unlock.
func lockDir(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	const flags = windows.LOCKFILE_EXCLUSIVE_LOCK | windows.LOCKFILE_FAIL_IMMEDIATELY
	if err := windows.LockFileEx(windows.Handle(f.Fd()), flags, 0, 1, 0, &windows.Overlapped{}); err != nil {
		_ = f.Close()
		return nil, errors.New("in use by another process")
	}
	return f, nil
}

// unlock gives a lock back.
func unlock(f *os.File) error { return f.Close() }

// syncDir does nothing: Windows makes entries durable with their file.
func syncDir(string) error { return nil }

// datasync makes the content of a file durable.
func datasync(f *os.File) error { return f.Sync() }

// reserveFile does nothing: a laptop has space.
func reserveFile(string, int64) error { return nil }

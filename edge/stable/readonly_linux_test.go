package stable

import (
	"errors"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// The mounts live in a namespace of this thread and end with it.
func TestDiskTurnedReadOnlyKeepsAndLoadsTheOldValue(t *testing.T) {
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_FS | unix.CLONE_NEWNS); err != nil {
		runtime.UnlockOSThread()
		t.Skipf("no mount namespace: %v", err)
	}
	root := t.TempDir()
	err := errors.Join(
		unix.Mount("none", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""),
		unix.Mount("tmpfs", root, "tmpfs", 0, "size=64k"))
	if err != nil {
		t.Skipf("no tmpfs: %v", err)
	}
	defer unix.Unmount(root, unix.MNT_DETACH)

	d := open(t, filepath.Join(root, "state"))
	save(t, d, "ledger", "old")
	if err := d.Save("ledger", []byte(strings.Repeat("x", 100_000))); !errors.Is(err, unix.ENOSPC) {
		t.Fatalf("on a full disk got %v", err)
	}
	save(t, d, "ledger", "old again") // what the failed one took is free
	if err := unix.Mount("", root, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Skipf("no remount: %v", err)
	}
	if err := d.Save("ledger", []byte("new")); !errors.Is(err, unix.EROFS) {
		t.Fatalf("on a read-only disk got %v", err)
	}
	wantValue(t, d, "ledger", "old again")
	wantValue(t, open(t, d.path), "ledger", "old again")
}

package bufferstore

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// What lies where a file of the head should be can't even be removed: here
// because it is a mount point.
func TestHeadDoesWithoutANameThatCantBeUsed(t *testing.T) {
	for _, name := range headNames[:headFiles] {
		dir := t.TempDir()
		taken := filepath.Join(dir, name)
		noErr(t, os.Mkdir(taken, 0o700))
		if err := unix.Mount("tmpfs", taken, "tmpfs", 0, "size=64k"); err != nil {
			if os.Getenv("CI") == "true" {
				t.Fatalf("mount tmpfs: %v", err)
			}
			t.Skipf("mount tmpfs: %v", err)
		}
		t.Cleanup(func() { noErr(t, unix.Unmount(taken, unix.MNT_DETACH)) })
		var want []string
		for range 2 {
			s := mustOpen(t, dir, small("a"), segmentEngine)
			for range 30 {
				s.Lane("a").Append([]byte(strings.Repeat("x", 9000)))
				want = append(want, fmt.Sprintf("%d %s", len(want)+1, strings.Repeat("x", 20)))
				mustSync(t, s)
			}
			wantContents(t, s.Lane("a"), want...)
			mustClose(t, s)
		}
	}
}

// A store on a file system that is mounted read-only is read, and written again
// once that takes writes.
func TestReadOnlyFileSystem(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir, small("a"), segmentEngine)
	work(t, s, "a")
	mustClose(t, s)
	if err := unix.Mount(dir, dir, "", unix.MS_BIND, ""); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("bind mount: %v", err)
		}
		t.Skipf("bind mount: %v", err)
	}
	t.Cleanup(func() { noErr(t, unix.Unmount(dir, unix.MNT_DETACH)) })
	noErr(t, unix.Mount("", dir, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, ""))
	v, err := OpenView(dir, Options{})
	noErr(t, err)
	wantWhole(t, v.s.find("a"), 100)

	s = mustOpen(t, dir, small("a"), segmentEngine)
	l := s.Lane("a")
	wantWhole(t, l, 100)
	l.Append(bulk.record(s.Epoch(), 101))
	for range 3 {
		if err := s.Sync(t.Context()); !errors.Is(err, unix.EROFS) {
			t.Errorf("sync: %v", err)
		}
		s.maintain()
	}
	wantWhole(t, l, 100)
	noErr(t, unix.Mount("", dir, "", unix.MS_BIND|unix.MS_REMOUNT, ""))
	mustSync(t, s)
	wantWhole(t, l, 101)
	work(t, s, "a")
	mustClose(t, s)
	s = mustOpen(t, dir, small("a"), segmentEngine)
	wantWhole(t, s.Lane("a"), 201)
	mustClose(t, s)
}

package bufferstore

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// smallDisk is a file system of so many MiB.
func smallDisk(t *testing.T, mib string) string {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size="+mib+"m"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("mount tmpfs: %v", err)
		}
		t.Skipf("mount tmpfs: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// occupy fills a file system until only so many bytes are free; zero bytes free it again.
func occupy(t *testing.T, dir string, left int64) {
	t.Helper()
	name := filepath.Join(dir, "ballast")
	if err := os.RemoveAll(name); err != nil {
		t.Fatal(err)
	}
	free, err := freeBytes(dir)
	if err != nil {
		t.Fatal(err)
	}
	if left > 0 {
		if err := os.WriteFile(name, make([]byte, free-left), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestFullDiskStopsWritesAndNothingElse(t *testing.T) {
	t.Parallel()
	disk := smallDisk(t, "140")
	dir := filepath.Join(disk, "store")
	var full *FullError

	occupy(t, disk, reserve-1<<20)
	_, err := Open(dir, lanes("a"))
	want := "store " + dir + ": disk full: 63 MiB free, 64 MiB needed"
	if !errors.As(err, &full) || err.Error() != want {
		t.Errorf("open on a full disk: %v, want %s", err, want)
	}
	occupy(t, disk, 0)

	s := mustOpen(t, dir, lanes("a"), openBadger)
	l := s.Lane("a")
	fill(t, s, 20)
	occupy(t, disk, 4096)
	l.Append(testRecord("a", s.Epoch(), 21))
	for range 3 {
		if err := s.Sync(t.Context()); !errors.As(err, &full) || !errors.As(s.Stats().SyncError, &full) {
			t.Errorf("sync on a full disk: %v", err)
		}
		s.maintain()
	}
	if got := lost(t, l); len(got) > 0 || l.Durable() != 20 {
		t.Errorf("lost %v, durable %d", got, l.Durable())
	}
	if err := s.Close(); !errors.As(err, &full) { // would end the process
		t.Errorf("close on a full disk: %v", err)
	}
	s.closed = false // as if it hadn't been tried

	occupy(t, disk, 0)
	mustSync(t, s)
	fill(t, s, 20)
	mustClose(t, s)
	s = mustOpen(t, dir, lanes("a"), openBadger)
	if got := lost(t, s.Lane("a")); len(got) > 0 || s.Lane("a").Durable() != 41 {
		t.Errorf("lost %v, durable %d", got, s.Lane("a").Durable())
	}
	mustClose(t, s)
}

func TestStoreKeepsOffTheEndOfTheDisk(t *testing.T) {
	t.Parallel()
	disk := smallDisk(t, "166") // leaves 19 MiB for records
	o := Options{Lanes: []LaneOptions{{Name: "a", Policy: DropOldest}}}
	s := mustOpen(t, filepath.Join(disk, "store"), o, openBadger)
	l := s.Lane("a")
	least := int64(1 << 40)
	rec := bytes.Repeat([]byte("x"), 500<<10)
	for n := range 80 {
		l.Append(rec)
		mustSync(t, s)
		if n%4 == 3 {
			s.maintain()
		}
		free, err := freeBytes(disk)
		if err != nil {
			t.Fatal(err)
		}
		least = min(least, free)
	}
	st := s.Stats()
	t.Logf("wrote 40 MB, holds %d kB, least free %d MiB", st.Lanes[0].Bytes/1000, least>>20)
	if least < reserve/2 || st.Lanes[0].Bytes < 4<<20 || st.Lanes[0].Lost == 0 {
		t.Errorf("least free %d MiB: %+v", least>>20, st)
	}
	mustClose(t, s)
}

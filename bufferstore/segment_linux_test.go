package bufferstore

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

// smallDisk is a file system of so many bytes.
func smallDisk(t *testing.T, size string) string {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
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

func TestFullDiskFailsTheWritingAndNothingElse(t *testing.T) {
	eachEngine(t, func(t *testing.T, e engine) {
		disk := smallDisk(t, "2m")
		root := filepath.Join(disk, "segments")
		if err := os.Mkdir(root, 0o700); err != nil {
			t.Fatal(err)
		}
		all := madeChunks("a", 20, 100<<10)
		mustWrite(t, root, e, "a", 1, all[:2])
		for n := 1; n < 80; n++ { // each time it is full a page later
			occupy(t, disk, int64(n)*pageBytes)
			if _, err := writeSegment(root, e, "a", 2, values(all)); !errors.Is(err, unix.ENOSPC) {
				t.Fatalf("with %d pages: %v", n, err)
			}
			if left := names(t, root); !slices.Equal(left, []string{segmentName("a", 1)}) {
				t.Fatalf("with %d pages: %q", n, left)
			}
		}
		if diff := diffChunks(all[:2], openAll(t, root, e, "a", 1)); diff != "" {
			t.Error(diff)
		}
		occupy(t, disk, 0)
		mustWrite(t, root, e, "a", 2, all[:8])
	})
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

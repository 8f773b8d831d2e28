package bufferstore

import (
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

package bufferstore

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A file of the head without a frame is what a cut leaves while it is made, or
// what damage leaves of it.
func TestHeadFileWithoutFramesIsNotTheOneBeingFilled(t *testing.T) {
	for _, sizes := range [][]int64{{0}, {4096}, {60 << 10}, {64 << 10}, {0, 0}, {64 << 10, 64 << 10}, {60 << 10, 0}} {
		t.Run(fmt.Sprint(sizes), func(t *testing.T) {
			dir := t.TempDir()
			for i, size := range sizes {
				if err := os.WriteFile(filepath.Join(dir, headNames[i]), make([]byte, size), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			var want []string
			for n := range 12 {
				s := mustOpen(t, dir, small("a"), segmentEngine)
				for range 3 {
					s.Lane("a").Append([]byte(strings.Repeat("x", 5000)))
					want = append(want, fmt.Sprintf("%d %s", len(want)+1, strings.Repeat("x", 20)))
					mustSync(t, s)
				}
				if g := s.needed(); g == 0 {
					t.Errorf("opening %d: a record is in generation 0", n)
				}
				wantContents(t, s.Lane("a"), want...)
				mustClose(t, s)
			}
		})
	}
}

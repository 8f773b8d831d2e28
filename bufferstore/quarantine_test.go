package bufferstore

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestQuarantineKeepsTheNewestAndOtherVersions(t *testing.T) {
	dir := t.TempDir()
	aside := filepath.Join(dir, quarantineDir)
	put := func(name string, day int) {
		path := filepath.Join(aside, name)
		if err := os.MkdirAll(path, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(path, "data"), make([]byte, 300<<10), 0o600); err != nil {
			t.Fatal(err)
		}
		at := time.Date(2020, 1, day, 0, 0, 0, 0, time.UTC)
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
	}
	put("store-0011223344556677", 1)
	for day := 2; day < 9; day++ {
		put(fmt.Sprintf("a-%016x-0", 20-day), day)
	}
	o := lanes("a")
	o.Quota = 16 << 20 // a sixteenth: three of them
	s := mustOpen(t, dir, o, segmentEngine)
	defer mustClose(t, s)
	s.maintain()
	want := []string{"a-000000000000000c-0", "a-000000000000000d-0", "a-000000000000000e-0", "store-0011223344556677"}
	if diff := cmp.Diff(want, names(t, aside)); diff != "" {
		t.Error(diff)
	}
}

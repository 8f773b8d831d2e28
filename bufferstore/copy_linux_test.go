package bufferstore

import (
	"errors"
	"path/filepath"
	"testing"
)

func TestCopyOfARunningStoreHasAllThatIsDurableAndHarmsNothing(t *testing.T) {
	dir := t.TempDir()
	for range 3 { // tables
		s := mustOpen(t, dir, lanes("a"), openBadger)
		fill(t, s, 50)
		mustClose(t, s)
	}
	s := mustOpen(t, dir, lanes("a"), openBadger)
	fill(t, s, 50)
	to := filepath.Join(t.TempDir(), "copy")
	if err := Copy(dir, to); err != nil {
		t.Fatal(err)
	}
	for range 6 { // the copy's tables are compacted and removed
		c := mustOpen(t, to, lanes("a"), openBadger)
		if got := lost(t, c.Lane("a")); len(got) > 0 || c.Lane("a").Durable() < 200 || len(c.Stats().Quarantined) > 0 {
			t.Fatalf("copy: durable %d, lost %v", c.Lane("a").Durable(), got)
		}
		fill(t, c, 5)
		if err := c.engine.(*badgerEngine).db.Flatten(1); err != nil {
			t.Fatal(err)
		}
		mustClose(t, c)
	}
	fill(t, s, 10)
	if got := lost(t, s.Lane("a")); len(got) > 0 || s.Lane("a").Durable() != 210 {
		t.Errorf("durable %d, lost %v", s.Lane("a").Durable(), got)
	}
	mustClose(t, s)
	s = mustOpen(t, dir, lanes("a"), openBadger)
	if got := lost(t, s.Lane("a")); len(got) > 0 || len(s.Stats().Quarantined) > 0 {
		t.Errorf("durable %d, lost %v", s.Lane("a").Durable(), got)
	}
	mustClose(t, s)

	if err := Copy(t.TempDir(), to); err == nil {
		t.Error("copied nothing")
	}
}

func TestCopyLeavesRoomForTheStore(t *testing.T) {
	disk := smallDisk(t, "100")
	dir := filepath.Join(disk, "store")
	mustClose(t, mustOpen(t, dir, lanes("a"), openBadger))
	var full *FullError
	if err := Copy(dir, filepath.Join(disk, "copy")); !errors.As(err, &full) {
		t.Errorf("copy to a disk that has no room: %v", err)
	}
}

//go:build linux && !(386 || arm || mips || mipsle)

package faultfs_test

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"skyhaul/bufferstore/faultfs"
)

// sector is one sector of ones, so that what a cut leaves can be counted.
var sector = bytes.Repeat([]byte{1}, 512)

// TestWhatWasSyncedSurvivesEveryCut looks at 200 cuts, and goes on behind some.
func TestWhatWasSyncedSurvivesEveryCut(t *testing.T) {
	for _, strict := range []bool{false, true} {
		v, dir := mounted(t, faultfs.Options{Strict: strict})
		check(t, os.Mkdir(filepath.Join(dir, "d"), 0o755))
		syncDir(t, dir)
		want := map[string]string{"./": "", "d/": ""}
		for cut := range int64(100) {
			name := fmt.Sprint("d/", cut%7)
			data := bytes.Repeat([]byte{byte(cut + 1)}, int(1+cut*97%10_000))
			put(t, filepath.Join(dir, name), data)
			syncDir(t, filepath.Join(dir, "d"))
			want[name] = string(data)
			check(t, os.WriteFile(filepath.Join(dir, "unsynced"), data, 0o644))
			got := image(t, v, cut)
			if cut%10 == 0 {
				check(t, v.Cut(cut))
				check(t, v.Mount(dir))
				got = tree(t, dir)
			}
			delete(got, "unsynced")
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("strict %v, cut %d: %s", strict, cut, diff)
			}
		}
	}
}

// survivors writes 16 sectors of ones over synced zeros, by writes of per
// sectors, and returns how often 400 cuts leave which of them: "1" the ones.
func survivors(t *testing.T, per int) map[string]int {
	t.Helper()
	v, dir := mounted(t, faultfs.Options{})
	path := filepath.Join(dir, "f")
	put(t, path, make([]byte, 16*len(sector)))
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	check(t, err)
	defer f.Close()
	for i := 0; i < 16; i += per {
		_, err := f.WriteAt(bytes.Repeat(sector, per), int64(i*len(sector)))
		check(t, err)
	}
	counts := map[string]int{}
	names := strings.NewReplacer(string(sector), "1", string(make([]byte, len(sector))), "0")
	for seed := range int64(400) {
		got := names.Replace(image(t, v, seed)["f"])
		if len(got) != 16 {
			t.Fatalf("cut %d leaves %q", seed, got)
		}
		counts[got]++
	}
	return counts
}

func TestWhatWasNotSyncedIsKeptLostOrTornAtSectors(t *testing.T) {
	for _, want := range []struct {
		per   int
		shape string
	}{
		{16, `^0+$`},
		{16, `^1+$`},
		{16, `^1+0+$`},
		{16, `^0+1+$`},
		{16, `^.*10+1.*0.*$`},
		{4, `^0+$`},
		{4, `^1+$`},
		{4, `^(1111)*(1|11|111)0+$`}, // in order up to a torn one
		{4, `^0000.*1111.*$`},
		{1, `^.*10+1.*0.*$`},
	} {
		n := 0
		for left, cuts := range survivors(t, want.per) {
			if ok, err := regexp.MatchString(want.shape, left); ok {
				n += cuts
			} else {
				check(t, err)
			}
		}
		if n < 10 {
			t.Errorf("writes of %d sectors: %d of 400 cuts leave %s, want 10", want.per, n, want.shape)
		}
	}
}

func TestCutLeavesTheNeighboursOfAWriteAlone(t *testing.T) {
	v, dir := mounted(t, faultfs.Options{})
	path := filepath.Join(dir, "f")
	old := strings.Repeat("o", 1536)
	put(t, path, []byte(old))
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	check(t, err)
	defer f.Close()
	_, err = f.WriteAt(bytes.Repeat([]byte("n"), 1000), 100)
	check(t, err)
	for seed := range int64(200) {
		if got := image(t, v, seed)["f"]; got[:100] != old[:100] || got[1100:] != old[1100:] {
			t.Fatalf("cut %d has changed what wasn't written", seed)
		}
	}
}

func TestLostSizeTakesItsBlocksAlong(t *testing.T) {
	v, dir := mounted(t, faultfs.Options{})
	check(t, os.WriteFile(filepath.Join(dir, "f"), bytes.Repeat(sector, 80), 0o644))
	syncDir(t, dir)
	short := 0
	for seed := range int64(100) {
		size := int64(len(image(t, v, seed)["f"]))
		if used := v.Image(seed).Stats().Used; used > (size+4095)/4096*4096 {
			t.Fatalf("cut %d leaves %d bytes in %d bytes of blocks", seed, size, used)
		}
		if size < int64(80*len(sector)) {
			short++
		}
	}
	if short < 20 {
		t.Errorf("%d of 100 cuts leave a file too short, want 20", short)
	}
}

func TestOldestOfManyWritesCountAsWrittenBack(t *testing.T) {
	v, dir := mounted(t, faultfs.Options{})
	f, err := os.Create(filepath.Join(dir, "f"))
	check(t, err)
	defer f.Close()
	syncDir(t, dir)
	for i := range int64(4097) {
		_, err := f.WriteAt([]byte{1}, i)
		check(t, err)
	}
	for seed := range int64(20) {
		if got := len(image(t, v, seed)["f"]); got < 2048 {
			t.Fatalf("cut %d leaves %d writes, want 2048", seed, got)
		}
	}
}

// outcomes are the different trees that 100 cuts leave, as sets of names.
func outcomes(t *testing.T, v *faultfs.Volume) map[string]int {
	t.Helper()
	got := map[string]int{}
	for seed := range int64(100) {
		names := slices.Sorted(maps.Keys(image(t, v, seed)))
		got[strings.Join(names[1:], " ")]++
	}
	return got
}

func wantOutcomes(t *testing.T, v *faultfs.Volume, want ...string) {
	t.Helper()
	got := slices.Sorted(maps.Keys(outcomes(t, v)))
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("what cuts leave: %s", diff)
	}
}

func TestRenameIsAtomicAndNeedsAnFsync(t *testing.T) {
	for _, strict := range []bool{false, true} {
		v, dir := mounted(t, faultfs.Options{Strict: strict})
		put(t, filepath.Join(dir, "new"), []byte("new"))
		put(t, filepath.Join(dir, "old"), []byte("old"))
		syncDir(t, dir)
		check(t, os.Rename(filepath.Join(dir, "new"), filepath.Join(dir, "old")))
		content := map[string]int{}
		for seed := range int64(100) {
			got := image(t, v, seed)
			content[fmt.Sprintf("%s,%s", got["old"], got["new"])]++
		}
		if content["old,new"] < 20 || content["new,"] < 20 || len(content) != 2 {
			t.Errorf("strict %v: what cuts leave: %v", strict, content)
		}
		syncDir(t, dir)
		wantOutcomes(t, v, "old")
	}
}

func TestDirectoryOperationsSurviveInOrder(t *testing.T) {
	v, dir := mounted(t, faultfs.Options{})
	for _, name := range []string{"a", "b", "c"} {
		check(t, os.WriteFile(filepath.Join(dir, name), nil, 0o644))
	}
	check(t, os.Remove(filepath.Join(dir, "a")))
	wantOutcomes(t, v, "", "a", "a b", "a b c", "b c")
	f, err := os.OpenFile(filepath.Join(dir, "b"), os.O_WRONLY, 0)
	check(t, err)
	check(t, f.Sync()) // makes its own entry durable, and what was done before
	check(t, f.Close())
	wantOutcomes(t, v, "a b", "a b c", "b c")
	syncDir(t, dir)
	wantOutcomes(t, v, "b c")
}

func TestStrictLosesNewEntriesOfADirectoryThatWasNotSynced(t *testing.T) {
	v, dir := mounted(t, faultfs.Options{Strict: true})
	put(t, filepath.Join(dir, "a"), sector)
	wantOutcomes(t, v, "")
	syncDir(t, dir)
	check(t, os.Mkdir(filepath.Join(dir, "d/"), 0o755))
	check(t, os.Rename(filepath.Join(dir, "a"), filepath.Join(dir, "d/b")))
	wantOutcomes(t, v, "a")
	syncDir(t, filepath.Join(dir, "d"))
	wantOutcomes(t, v, "") // the file is in a directory that has no entry
	syncDir(t, dir)
	wantOutcomes(t, v, "d/ d/b")
	put(t, filepath.Join(dir, "x"), sector)
	check(t, os.Rename(filepath.Join(dir, "x"), filepath.Join(dir, "d/y")))
	syncDir(t, filepath.Join(dir, "d"))
	wantOutcomes(t, v, "d/ d/b d/y")
	syncDir(t, dir)
	wantOutcomes(t, v, "d/ d/b d/y")
}

func TestFileReplacedWithoutFsyncMayBeEmpty(t *testing.T) {
	v, dir := mounted(t, faultfs.Options{})
	path := filepath.Join(dir, "f")
	put(t, path, []byte("old"))
	check(t, os.WriteFile(path+"+", []byte("new"), 0o644))
	check(t, os.Rename(path+"+", path))
	sizes := map[string]int{}
	for seed := range int64(200) {
		sizes[image(t, v, seed)["f"]]++
	}
	for _, want := range []string{"old", "new", "", "\x00\x00\x00"} {
		if sizes[want] == 0 {
			t.Errorf("no cut leaves %q: %v", want, sizes)
		}
	}
}

func TestTruncatedTailNeverComesBackInPart(t *testing.T) {
	v, dir := mounted(t, faultfs.Options{})
	path := filepath.Join(dir, "f")
	old := strings.Repeat("o", 8192)
	put(t, path, []byte(old))
	check(t, os.Truncate(path, 100))
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	check(t, err)
	defer f.Close()
	_, err = f.WriteAt(bytes.Repeat([]byte("n"), 1024), 5000)
	check(t, err)
	for seed := range int64(200) {
		got := image(t, v, seed)["f"]
		if got != old && (got[:100] != old[:100] || strings.Contains(got[100:], "o")) {
			t.Fatalf("cut %d leaves %d bytes that never were", seed, len(got))
		}
	}
}

func TestOldMountIsDeadAfterACut(t *testing.T) {
	v, dir := mounted(t, faultfs.Options{})
	f, err := os.Create(filepath.Join(dir, "f"))
	check(t, err)
	defer f.Close()
	check(t, v.Cut(1))
	remount(t, v, dir)
	before := v.Stats()
	_, writeErr := f.Write(sector)
	_, statErr := f.Stat()
	for _, err := range []error{writeErr, statErr, f.Truncate(100), f.Sync()} {
		if !errors.Is(err, syscall.EIO) {
			t.Errorf("a call of the old mount returned %v, want %v", err, syscall.EIO)
		}
	}
	if after := v.Stats(); after != before {
		t.Errorf("the old mount has changed %+v to %+v", before, after)
	}
}

func TestSameSeedLeavesTheSame(t *testing.T) {
	v, dir := mounted(t, faultfs.Options{})
	for i := range 20 {
		check(t, os.WriteFile(filepath.Join(dir, fmt.Sprint(i)), bytes.Repeat(sector, i), 0o644))
	}
	want := image(t, v, 5)
	if diff := cmp.Diff(want, image(t, v, 5)); diff != "" {
		t.Error(diff)
	}
	check(t, v.Cut(5))
	remount(t, v, dir)
	if diff := cmp.Diff(want, tree(t, dir)); diff != "" {
		t.Errorf("cut against image: %s", diff)
	}
}

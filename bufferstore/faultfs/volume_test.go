//go:build linux && !(386 || arm || mips || mipsle)

package faultfs_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"skyhaul/bufferstore/faultfs"
)

// mounted returns a new volume, and where it is mounted.
func mounted(t *testing.T, o faultfs.Options) (v *faultfs.Volume, dir string) {
	t.Helper()
	v, dir = faultfs.New(o), t.TempDir()
	remount(t, v, dir)
	return v, dir
}

// remount mounts v until the test ends, or is cut.
func remount(t *testing.T, v *faultfs.Volume, dir string) {
	t.Helper()
	err := v.Mount(dir)
	if (errors.Is(err, fs.ErrPermission) || errors.Is(err, fs.ErrNotExist)) && os.Getenv("CI") != "true" {
		t.Skip(err)
	}
	check(t, err)
	t.Cleanup(func() { check(t, v.Cut(0)) })
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// put writes a file and syncs it.
func put(t *testing.T, path string, data []byte) {
	t.Helper()
	f, err := os.Create(path)
	check(t, err)
	_, err = f.Write(data)
	check(t, err)
	check(t, f.Sync())
	check(t, f.Close())
}

func syncDir(t *testing.T, dir string) {
	t.Helper()
	d, err := os.Open(dir)
	check(t, err)
	check(t, d.Sync())
	check(t, d.Close())
}

// tree is the content of all files below dir by name; directories end in "/".
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	got := map[string]string{}
	check(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if d.IsDir() {
			got[name+"/"] = ""
			return err
		}
		data, err := os.ReadFile(path)
		got[name] = string(data)
		return err
	}))
	return got
}

// image is what a cut now would leave, as tree returns it.
func image(t *testing.T, v *faultfs.Volume, seed int64) map[string]string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "faultfs")
	check(t, err)
	defer os.RemoveAll(dir)
	check(t, v.Image(seed).CopyOut(dir))
	return tree(t, dir)
}

// TestRandomCallsGiveWhatAnOrdinaryDirectoryGives plays the same calls on a
// volume and on an ordinary directory.
func TestRandomCallsGiveWhatAnOrdinaryDirectoryGives(t *testing.T) {
	for seed := range uint64(4) {
		v, dir := mounted(t, faultfs.Options{})
		ordinary := t.TempDir()
		a, b := rand.New(rand.NewPCG(seed, 1)), rand.New(rand.NewPCG(seed, 1))
		for i := range 400 {
			got, want := randomCall(dir, a), randomCall(ordinary, b)
			if got != want {
				t.Fatalf("seed %d, call %d: %s, want %s", seed, i, got, want)
			}
		}
		want := tree(t, ordinary)
		if diff := cmp.Diff(want, tree(t, dir)); diff != "" {
			t.Fatalf("seed %d: %s", seed, diff)
		}
		check(t, v.Unmount())
		if diff := cmp.Diff(want, image(t, v, 1)); diff != "" {
			t.Fatalf("seed %d, after unmounting: %s", seed, diff)
		}
		w, err := faultfs.FromDir(ordinary, faultfs.Options{})
		check(t, err)
		remount(t, w, dir)
		if diff := cmp.Diff(want, tree(t, dir)); diff != "" {
			t.Fatalf("seed %d, copied in: %s", seed, diff)
		}
	}
}

// randomCall does one thing below dir and says what came of it.
func randomCall(dir string, rng *rand.Rand) string {
	name := func() string {
		return filepath.Join(dir, []string{"", "", "d", "e"}[rng.IntN(4)], string(rune('a'+rng.IntN(6))))
	}
	one, other := name(), name()
	off, data := rng.Int64N(3*8192), bytes.Repeat([]byte{byte(rng.IntN(256))}, 1+rng.IntN(9000))
	var err error
	switch n := rng.IntN(10); n {
	case 0:
		err = os.Rename(one, other)
	case 1:
		err = os.Remove(one)
	case 2:
		err = os.Truncate(one, off)
	case 3:
		err = os.Mkdir(filepath.Join(dir, string(rune('d'+rng.IntN(2)))), 0o755)
	case 4:
		err = os.RemoveAll(filepath.Join(dir, "e"))
	case 5:
		err = os.WriteFile(one, data, 0o644) // O_TRUNC
	case 6:
		err = change(one, os.O_APPEND, func(f *os.File) error { _, err := f.Write(data); return err })
	default:
		err = change(one, []int{0, os.O_EXCL}[n%2], func(f *os.File) error { _, err := f.WriteAt(data, off); return err })
	}
	if cause := errors.Unwrap(err); cause != nil {
		err = cause
	}
	return fmt.Sprint(err)
}

func change(path string, flags int, do func(*os.File) error) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|flags, 0o644)
	if err != nil {
		return err
	}
	return errors.Join(do(f), f.Close())
}

func TestCallsAreCounted(t *testing.T) {
	v, dir := mounted(t, faultfs.Options{})
	put(t, filepath.Join(dir, "f"), make([]byte, 5000))
	syncDir(t, dir)
	got := v.Stats()
	// create, fsync, open of the directory, its fsync; and the write, in which
	// the kernel may ask several times.
	want := faultfs.Stats{Writes: got.Writes, Bytes: 5000, Syncs: 1, DirSyncs: 1, Calls: 4 + got.Writes, Used: 8192}
	if got != want || got.Writes < 1 {
		t.Errorf("counted %+v, want %+v", got, want)
	}
}

func TestChildrenDoNotHoldTheMountUp(t *testing.T) {
	mounted(t, faultfs.Options{})
	out, err := exec.CommandContext(t.Context(), "ls", "-l", "/proc/self/fd").Output()
	check(t, err)
	if bytes.Contains(out, []byte("/dev/fuse")) {
		t.Errorf("a child process holds the device:\n%s", out)
	}
}

// TestProcessThatDiesInAStallEnds starts a process that serves a volume, hangs
// in it, and dies.
func TestProcessThatDiesInAStallEnds(t *testing.T) {
	mounted(t, faultfs.Options{}) // or skip
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	c := exec.CommandContext(ctx, os.Args[0])
	c.Env = append(os.Environ(), "FAULTFS_STALL="+t.TempDir(), "GORACE=atexit_sleep_ms=0")
	out, err := c.CombinedOutput()
	if err == nil || string(out) != "stalled\n" || ctx.Err() != nil {
		t.Errorf("the process ended with %v: %s", err, out)
	}
}

// stall hangs in an fsync of a volume of its own, and dies.
func stall(dir string) error {
	v := faultfs.New(faultfs.Options{})
	if err := v.Mount(dir); err != nil {
		return err
	}
	f, err := os.Create(filepath.Join(dir, "f"))
	if err != nil {
		return err
	}
	v.Stall(time.Hour)
	go f.Sync()
	for v.Stats().Stalled == 0 {
		<-time.After(time.Millisecond)
	}
	fmt.Println("stalled")
	os.Exit(3)
	return nil
}

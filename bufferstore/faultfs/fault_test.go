//go:build linux && !(386 || arm || mips || mipsle)

package faultfs_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"skyhaul/bufferstore/faultfs"
)

func wantErr(t *testing.T, what string, err error, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s returned %v, want %v", what, err, want)
	}
}

func TestFailedFsyncIsReportedOnceAndLosesWhatItShouldHaveSaved(t *testing.T) {
	old, fresh := strings.Repeat("o", 8192), strings.Repeat("n", 8192)
	for loss, want := range map[faultfs.Loss]struct{ live, after string }{
		faultfs.LossOnDisk: {fresh, old},
		faultfs.LossAtOnce: {old, old},
		faultfs.LossInPart: {fresh, ""},
	} {
		v, dir := mounted(t, faultfs.Options{})
		path := filepath.Join(dir, "f")
		put(t, path, []byte(old))
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		check(t, err)
		_, err = f.WriteAt([]byte(fresh), 0)
		check(t, err)
		v.Fail(faultfs.Fault{Ops: faultfs.Sync, Loss: loss})
		wantErr(t, "fsync", f.Sync(), syscall.EIO)
		check(t, f.Sync())
		live := make([]byte, 8192)
		_, err = f.ReadAt(live, 0)
		check(t, err)
		if string(live) != want.live {
			t.Errorf("loss %d: readers see %.1q, want %.1q", loss, live, want.live)
		}
		if got := image(t, v, 1)["f"]; want.after != "" && got != want.after {
			t.Errorf("loss %d: a cut leaves %.1q, want %.1q", loss, got, want.after)
		}
		check(t, f.Close())
	}
}

func TestWriteAfterAFailedFsyncSavesItsOwnBlockOnly(t *testing.T) {
	v, dir := mounted(t, faultfs.Options{})
	path := filepath.Join(dir, "f")
	put(t, path, make([]byte, 2*4096))
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	check(t, err)
	defer f.Close()
	_, err = f.WriteAt(bytes.Repeat(sector, 16), 0)
	check(t, err)
	v.Fail(faultfs.Fault{Ops: faultfs.Sync})
	wantErr(t, "fsync", f.Sync(), syscall.EIO)
	_, err = f.WriteAt([]byte{1}, 4096+77)
	check(t, err)
	check(t, f.Sync())
	if got := pages(image(t, v, 1)["f"]); got != "01" {
		t.Errorf("pages after a cut: %s, want 01: the first was clean and never written", got)
	}
}

func TestFullVolumeTakesWhatFitsAndRecovers(t *testing.T) {
	v, dir := mounted(t, faultfs.Options{Capacity: 8 * 4096})
	put(t, filepath.Join(dir, "a"), make([]byte, 4*4096))
	f, err := os.Create(filepath.Join(dir, "b"))
	check(t, err)
	defer f.Close()
	check(t, unix.Fallocate(int(f.Fd()), 0, 0, 2*4096))
	n, err := f.Write(make([]byte, 5*4096))
	wantErr(t, "write", err, syscall.ENOSPC)
	if n != 4*4096 {
		t.Errorf("wrote %d bytes, want %d", n, 4*4096)
	}
	wantErr(t, "fallocate", unix.Fallocate(int(f.Fd()), 0, 0, 5*4096), syscall.ENOSPC)
	var st unix.Statfs_t
	check(t, unix.Statfs(dir, &st))
	if st.Bavail != 0 {
		t.Errorf("%d blocks are free, want 0", st.Bavail)
	}
	_, err = f.WriteAt(make([]byte, 4096), 4096)
	check(t, err) // the block is there already
	check(t, os.Remove(filepath.Join(dir, "a")))
	_, err = f.Write(make([]byte, 4*4096))
	check(t, err)
	_, err = f.Write([]byte{1})
	wantErr(t, "write", err, syscall.ENOSPC)
	v.SetCapacity(9 * 4096)
	_, err = f.Write([]byte{1})
	check(t, err)
}

func TestUnlinkedFileTakesNoSpace(t *testing.T) {
	v, dir := mounted(t, faultfs.Options{})
	f, err := os.Create(filepath.Join(dir, "f"))
	check(t, err)
	defer f.Close()
	_, err = f.Write(sector)
	check(t, err)
	check(t, os.Remove(f.Name()))
	_, err = f.WriteAt(sector, 1<<20)
	check(t, err)
	if used := v.Stats().Used; used != 0 {
		t.Errorf("%d bytes are used, want 0", used)
	}
}

func TestReservedBlocksReadAsZeros(t *testing.T) {
	_, dir := mounted(t, faultfs.Options{})
	for _, name := range []string{"a", "b"} {
		f, err := os.Create(filepath.Join(dir, name))
		check(t, err)
		check(t, unix.Fallocate(int(f.Fd()), 0, 0, 4096))
		_, err = f.WriteAt(sector, int64(name[0]-'a')*512)
		check(t, err)
		check(t, f.Close())
	}
	want := string(make([]byte, 512)) + string(sector) + string(make([]byte, 3072))
	if got := tree(t, dir)["b"]; got != want {
		t.Error("a reserved block holds what was written to another file")
	}
}

func TestPunchedAndReservedBlocksAreCounted(t *testing.T) {
	v, dir := mounted(t, faultfs.Options{})
	f, err := os.Create(filepath.Join(dir, "f"))
	check(t, err)
	defer f.Close()
	_, err = f.Write(bytes.Repeat(sector, 32))
	check(t, err)
	check(t, unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, 100, 8192))
	check(t, unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_KEEP_SIZE, 16384, 8192))
	info, err := f.Stat()
	check(t, err)
	if st := info.Sys().(*syscall.Stat_t); info.Size() != 16384 || st.Blocks != 5*8 || v.Stats().Used != 5*4096 {
		t.Errorf("size %d, blocks %d, used %d", info.Size(), st.Blocks, v.Stats().Used)
	}
	got := tree(t, dir)["f"]
	if want := strings.Repeat("\x01", 100) + strings.Repeat("\x00", 8192) + strings.Repeat("\x01", 8192-100); got != want {
		t.Error("the hole isn't where it was punched")
	}
}

func TestReadOnlyVolumeCanBeReadAndNothingElse(t *testing.T) {
	v, dir := mounted(t, faultfs.Options{})
	path := filepath.Join(dir, "f")
	put(t, path, sector)
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	check(t, err)
	defer f.Close()
	v.SetReadOnly(true)
	_, err = f.Write(sector)
	wantErr(t, "write", err, syscall.EROFS)
	wantErr(t, "fsync", f.Sync(), syscall.EROFS)
	wantErr(t, "truncate", f.Truncate(1), syscall.EROFS)
	wantErr(t, "create", os.WriteFile(path+"2", nil, 0o644), syscall.EROFS)
	wantErr(t, "open to write", os.WriteFile(path, nil, 0o644), syscall.EROFS)
	wantErr(t, "mkdir", os.Mkdir(path+"3", 0o755), syscall.EROFS)
	wantErr(t, "rename", os.Rename(path, path+"4"), syscall.EROFS)
	wantErr(t, "remove", os.Remove(path), syscall.EROFS)
	if got := tree(t, dir)["f"]; got != string(sector) {
		t.Error("the file can't be read")
	}
	v.SetReadOnly(false)
	_, err = f.Write(sector)
	check(t, err)
	check(t, f.Sync())
}

// save writes a file as careful programs do.
func save(dir string) error {
	path := filepath.Join(dir, "f")
	f, err := os.Create(path + "+")
	if err != nil {
		return err
	}
	_, err = f.Write(sector)
	err = errors.Join(err, f.Sync(), f.Close())
	if err != nil {
		return err
	}
	if err := os.Rename(path+"+", path); err != nil {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func TestEveryCallCanBeMadeToFail(t *testing.T) {
	var walked []string
	for n := 1; ; n++ {
		v, dir := mounted(t, faultfs.Options{})
		v.Fail(faultfs.Fault{Nth: n, Lasting: n%2 == 0, Errno: syscall.ENOMEM})
		err := save(dir)
		if v.Stats().Failed == 0 {
			check(t, err)
			break
		}
		wantErr(t, fmt.Sprint("call ", n), err, syscall.ENOMEM)
		v.Heal()
		check(t, save(dir))
		walked = append(walked, fmt.Sprint(n))
	}
	if len(walked) != 6 { // create, write, fsync, rename, open, fsync
		t.Errorf("calls %v failed, want 6", walked)
	}
}

func TestLastingFaultStrikesUntilItIsHealed(t *testing.T) {
	v, dir := mounted(t, faultfs.Options{})
	f, err := os.Create(filepath.Join(dir, "f"))
	check(t, err)
	defer f.Close()
	v.Fail(faultfs.Fault{Ops: faultfs.Write, Nth: 2, Lasting: true})
	for i, want := range []error{nil, syscall.EIO, syscall.EIO, syscall.EIO} {
		_, err := f.Write(sector)
		wantErr(t, fmt.Sprint("write ", i), err, want)
	}
	v.Heal()
	_, err = f.Write(sector)
	check(t, err)
}

func TestFaultsByChanceStrikeSome(t *testing.T) {
	v, dir := mounted(t, faultfs.Options{Seed: 3})
	v.Fail(faultfs.Fault{Ops: faultfs.Write, Chance: 0.5})
	f, err := os.Create(filepath.Join(dir, "f"))
	check(t, err)
	defer f.Close()
	for range 100 {
		_, err := f.WriteAt(sector, 0)
		if err != nil {
			wantErr(t, "write", err, syscall.EIO)
		}
	}
	if got := v.Stats().Failed; got < 30 || got > 70 {
		t.Errorf("%d of 100 writes failed, want about 50", got)
	}
}

func TestReadFaultStrikesWhatTheKernelDoesNotHold(t *testing.T) {
	v, dir := mounted(t, faultfs.Options{})
	path := filepath.Join(dir, "f")
	put(t, path, make([]byte, 1<<20))
	v.Fail(faultfs.Fault{Ops: faultfs.Read})
	_, err := os.ReadFile(path)
	wantErr(t, "read", err, syscall.EIO)
	_, err = os.ReadFile(path)
	check(t, err)
}

func TestStalledFsyncHangsWhileOthersGoOn(t *testing.T) {
	v, dir := mounted(t, faultfs.Options{})
	path := filepath.Join(dir, "f")
	put(t, path, sector)
	v.Stall(time.Hour)
	done := make(chan error)
	for range 4 {
		go func() {
			f, err := os.OpenFile(path, os.O_RDWR, 0)
			done <- errors.Join(err, f.Sync(), f.Close())
		}()
	}
	for v.Stats().Stalled < 1 { // the kernel lets the fsyncs of a file in one by one
		select {
		case err := <-done:
			t.Fatalf("an fsync returned %v while the volume was stalled", err)
		case <-time.After(time.Millisecond):
		}
	}
	if _, err := os.ReadFile(path); err != nil {
		t.Error(err)
	}
	v.Heal()
	for range 4 {
		check(t, <-done)
	}
	v.Stall(time.Millisecond)
	check(t, save(dir))
}

//go:build linux && !(386 || arm || mips || mipsle)

package faultfs_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
	"skyhaul/bufferstore/faultfs"
)

// A volume is served by the test's own process, so its files may be mapped by
// another one only: the test binary, started again.
func TestMain(m *testing.M) {
	if path := os.Getenv("FAULTFS_MAP"); path != "" {
		fmt.Fprintln(os.Stderr, mapFile(path))
		os.Exit(3)
	}
	if dir := os.Getenv("FAULTFS_STALL"); dir != "" {
		fmt.Fprintln(os.Stderr, stall(dir))
		os.Exit(4)
	}
	os.Exit(m.Run())
}

// mapFile writes ones to both pages of a file through a memory map and syncs
// the first. Then it does what it reads: "sync" the second page, or "leave" the
// map, which writes back what is dirty.
func mapFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	m, err := unix.Mmap(int(f.Fd()), 0, 2*4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return err
	}
	copy(m, bytes.Repeat(sector, 16))
	fmt.Println(unix.Msync(m[:4096], unix.MS_SYNC))
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		switch in.Text() {
		case "sync":
			fmt.Println(unix.Msync(m, unix.MS_SYNC))
		case "leave":
			fmt.Println(unix.Munmap(m))
		}
	}
	return errors.New("nothing more to do")
}

// mapper starts mapFile and returns how to tell it what to do, and its answer.
func mapper(t *testing.T, path string) (c *exec.Cmd, say func(string) string) {
	t.Helper()
	exe, err := os.Executable()
	check(t, err)
	c = exec.CommandContext(t.Context(), exe)
	c.Env = append(os.Environ(), "FAULTFS_MAP="+path, "GORACE=atexit_sleep_ms=0")
	c.Stderr = os.Stderr
	in, err := c.StdinPipe()
	check(t, err)
	stdout, err := c.StdoutPipe()
	check(t, err)
	check(t, c.Start())
	out := bufio.NewScanner(stdout)
	hear := func() string {
		if !out.Scan() {
			t.Fatal("the child has ended")
		}
		return out.Text()
	}
	if answer := hear(); answer != "<nil>" {
		t.Fatal(answer)
	}
	return c, func(what string) string {
		fmt.Fprintln(in, what)
		return hear()
	}
}

func kill(t *testing.T, c *exec.Cmd) {
	t.Helper()
	check(t, c.Process.Kill())
	if err := c.Wait(); !strings.Contains(err.Error(), "killed") {
		t.Fatal(err)
	}
}

// pages says of each page whether it holds ones.
func pages(data string) (got string) {
	for at := range len(data) / 4096 {
		got += data[at*4096:][:1]
	}
	return strings.Map(func(r rune) rune { return '0' + r }, got)
}

func TestPageOfAMapIsDurableOnceSynced(t *testing.T) {
	v, dir := mounted(t, faultfs.Options{})
	path := filepath.Join(dir, "f")
	put(t, path, make([]byte, 2*4096))
	c, _ := mapper(t, path)
	check(t, v.Cut(1)) // the child writes its dirty page back when it is killed
	kill(t, c)
	remount(t, v, dir)
	if got := pages(tree(t, dir)["f"]); got != "10" {
		t.Errorf("pages after a cut: %s, want 10: only the first was synced", got)
	}
}

func TestDirtyPageOfAMapOutlivesTheProcess(t *testing.T) {
	_, dir := mounted(t, faultfs.Options{})
	path := filepath.Join(dir, "f")
	put(t, path, make([]byte, 2*4096))
	c, _ := mapper(t, path)
	kill(t, c)
	if got := pages(tree(t, dir)["f"]); got != "11" {
		t.Errorf("pages after the process was killed: %s, want 11", got)
	}
}

func TestSyncOfAMapReportsAFailedWrite(t *testing.T) {
	v, dir := mounted(t, faultfs.Options{})
	path := filepath.Join(dir, "f")
	put(t, path, make([]byte, 2*4096))
	c, say := mapper(t, path)
	v.Fail(faultfs.Fault{Ops: faultfs.Write})
	if got := say("sync"); got != syscall.EIO.Error() {
		t.Errorf("msync returned %s, want %v", got, syscall.EIO)
	}
	if got := say("leave"); got != "<nil>" {
		t.Errorf("munmap returned %s", got)
	}
	check(t, v.Cut(1))
	kill(t, c)
	remount(t, v, dir)
	if got := pages(tree(t, dir)["f"]); got != "10" {
		t.Errorf("pages after a cut: %s, want 10: the second was never written", got)
	}
}

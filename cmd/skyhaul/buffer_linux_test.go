package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"
)

// skyhaul is the program with arguments.
func skyhaul(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Args = append([]string{"skyhaul"}, args...) // see TestMain
	cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0")
	return cmd
}

// The mounts live in a namespace of this thread, and of what it starts, and end with it.
func TestBufferOnAReadOnlyMediumCanBeLookedInto(t *testing.T) {
	made := t.TempDir()
	if err := newStore(made, nil); err != nil {
		t.Fatal(err)
	}
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_FS | unix.CLONE_NEWNS); err != nil {
		runtime.UnlockOSThread()
		t.Skipf("no mount namespace: %v", err)
	}
	root := t.TempDir()
	err := errors.Join(
		unix.Mount("none", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""),
		unix.Mount("tmpfs", root, "tmpfs", 0, "size=8m"))
	if err != nil {
		t.Skipf("no tmpfs: %v", err)
	}
	defer unix.Unmount(root, unix.MNT_DETACH)
	dir := filepath.Join(root, "store") // without state, which is not to be made
	if err := os.CopyFS(filepath.Join(dir, "buffer"), os.DirFS(filepath.Join(made, "buffer"))); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("", root, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Skipf("no remount: %v", err)
	}
	for _, args := range []string{"ls", "dump", "verify"} {
		out, err := skyhaul(t, "buffer", args, "--dir", dir).Output()
		if err != nil || !strings.Contains(string(out), "history") {
			t.Errorf("%s: %v\n%s", args, err, out)
		}
	}
}

func TestVerifyShowsOnATerminalHowFarItIs(t *testing.T) {
	dir := t.TempDir()
	if err := newStore(dir, nil); err != nil {
		t.Fatal(err)
	}
	master, terminal, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	cmd := skyhaul(t, "buffer", "verify", "--dir", dir)
	cmd.Stdout, cmd.Stderr = &out, terminal
	err = cmd.Run()
	terminal.Close()
	shown, _ := io.ReadAll(master) // ends with an error: the other end is closed
	if text := string(shown); err != nil || !strings.Contains(text, " %, ") || !strings.HasSuffix(text, "B/s\x1b[K\r\x1b[K") {
		t.Errorf("%v, shown %q", err, text)
	}
	if text := out.String(); strings.ContainsAny(text, "\r\x1b") || !strings.HasSuffix(text, "1007 records read, 0 damaged\n") {
		t.Errorf("printed %q", text)
	}
}

//go:build linux && amd64

package vmtest

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// machine is a virtual machine that can be booted and cut again and again.
type machine struct {
	seed   uint64
	cache  string // volatile, or qemu's cache mode
	kernel string
	dir    string // initrd, disk.img, console.log
	socket string // of disk, when it is served
	disk   *disk
}

// newMachine builds init, and makes a machine with an empty disk in dir.
func newMachine(t *testing.T, dir string, seed uint64, cache, unpacked string) *machine {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(unpacked, "boot/vmlinuz-*"))
	if err != nil || len(found) != 1 {
		t.Fatalf("kernel in %s: found %d, want 1", unpacked, len(found))
	}
	m := &machine{seed: seed, cache: cache, kernel: found[0], dir: dir}
	short := t.TempDir() // a socket's path is at most 107 bytes
	m.socket = filepath.Join(short, "disk")
	init := filepath.Join(short, "init")
	build := exec.CommandContext(t.Context(), "go", "test", "-c", "-ldflags=-s -w", "-o", init, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", build, err, out)
	}
	b, err := initramfs(init, unpacked)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(m.file("initrd"), b, 0o600); err != nil {
		t.Fatal(err)
	}
	image, err := os.Create(m.file("disk.img"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = image.Close() }) // not needed any more
	if err := image.Truncate(diskSize); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), tool("mkfs.ext4"), "-q", "-E", "lazy_itable_init=0", image.Name()).CombinedOutput(); err != nil {
		t.Fatalf("mkfs.ext4: %v\n%s", err, out)
	}
	if m.disk, err = newDisk(image); err != nil {
		t.Fatal(err)
	}
	return m
}

// volatile is a disk that loses what isn't flushed.
const volatile = "volatile"

// diskSize holds the store's reserve and what the loads keep, many times over.
const diskSize = 2 << 30

func (m *machine) file(name string) string { return filepath.Join(m.dir, name) }

// tool returns the path of a program that may be an administrator's.
func tool(name string) string {
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	return filepath.Join("/usr/sbin", name)
}

// boot starts the machine, passes what the guest says to hear, and returns
// when ctx, the power, is gone. It is an error if the machine stops before.
func (m *machine) boot(ctx context.Context, rng *rand.Rand, hear func(line)) (err error) {
	drive := "file=" + m.file("disk.img") + ",cache=" + m.cache
	if m.cache == volatile {
		l, err := net.Listen("unix", m.socket)
		if err != nil {
			return err
		}
		served := make(chan error, 1)
		go func() { served <- m.disk.serveOne(l) }()
		defer func() {
			_ = l.Close() // ends serveOne if qemu never came
			err = errors.Join(err, <-served)
		}()
		drive = "file=nbd:unix:" + m.socket
	}
	q := exec.CommandContext(ctx, "qemu-system-x86_64", "-accel", "tcg", "-cpu", "max", "-m", "512", "-smp", "1", "-no-reboot",
		"-kernel", m.kernel, "-initrd", m.file("initrd"), "-append", m.commandLine(rng),
		"-drive", drive+",if=virtio,format=raw", "-nic", "none", "-display", "none", "-monitor", "none",
		"-serial", "file:"+m.file("console.log"), "-chardev", "stdio,id=host,signal=off", "-serial", "chardev:host")
	out, err := q.StdoutPipe()
	if err != nil {
		return err
	}
	q.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var stderr strings.Builder
	q.Stderr = &stderr
	if err := q.Start(); err != nil {
		return err
	}
	if err = listen(out, hear); err != nil {
		_ = q.Process.Kill() // err is what counts
	}
	wait := q.Wait()
	switch {
	case err != nil:
		return err
	case ctx.Err() == nil:
		console, _ := os.ReadFile(m.file("console.log")) // for the message
		return fmt.Errorf("the machine stopped: %v %s\n%s", wait, stderr.String(), console[max(0, len(console)-4096):])
	}
	return nil
}

// commandLine is the kernel's; what it doesn't know becomes init's environment.
func (m *machine) commandLine(rng *rand.Rand) string {
	mount := []string{"noauto_da_alloc", "noauto_da_alloc,commit=1", "noauto_da_alloc,data=writeback"}
	writeback := []int{3000, 100, 10} // hundredths of a second; the first is the default
	return fmt.Sprintf("console=ttyS0 quiet panic=-1 mitigations=off VMTEST_SEED=%d VMTEST_MOUNT=%s VMTEST_WRITEBACK=%d",
		m.seed, mount[rng.IntN(len(mount))], writeback[rng.IntN(len(writeback))])
}

// listen passes whole lines on.
func listen(r io.Reader, hear func(line)) error {
	for in := bufio.NewReader(r); ; {
		b, err := in.ReadBytes('\n')
		if err != nil {
			return nil // the power is gone, in the middle of a line perhaps
		}
		var l line
		if err := json.Unmarshal(b, &l); err != nil {
			return fmt.Errorf("guest says %q: %v", b, err)
		}
		hear(l)
	}
}

// check lets e2fsck judge a copy of the disk, once the kernel's part, to
// replay the journal, is done.
func (m *machine) check(ctx context.Context) string {
	copied := m.file("check.img")
	defer func() { _ = os.Remove(copied) }() // a copy
	if out, err := exec.CommandContext(ctx, "cp", "--sparse=always", m.file("disk.img"), copied).CombinedOutput(); err != nil {
		return fmt.Sprintf("cp: %v %s", err, out)
	}
	_ = exec.CommandContext(ctx, tool("e2fsck"), "-y", "-E", "journal_only", copied).Run() // 1 where it replayed
	out, err := exec.CommandContext(ctx, tool("e2fsck"), "-fn", copied).CombinedOutput()
	if err != nil {
		return fmt.Sprintf("%v\n%s", err, out)
	}
	return "clean"
}

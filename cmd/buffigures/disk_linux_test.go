package buffigures

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// disk is an ext4 file system on a loop device of its own.
type disk struct {
	image, dir string
	lazytime   bool
	loop       string // such as loop3, while it is mounted
	empty      int64  // bytes used by the file system itself
}

// newDisk makes and mounts a file system. It skips the test where that isn't
// possible, and fails it in CI.
func newDisk(t *testing.T, size int64, lazytime bool) *disk {
	t.Helper()
	d := &disk{image: filepath.Join(t.TempDir(), "image"), dir: t.TempDir(), lazytime: lazytime}
	err := d.format(size)
	if err == nil {
		err = d.mount("")
	}
	if err != nil && os.Getenv("CI") == "true" {
		t.Fatalf("no file system of its own: %v", err)
	}
	if err != nil {
		t.Skipf("needs root, loop devices and mkfs.ext4: %v", err)
	}
	t.Cleanup(func() {
		if err := d.unmount(); err != nil {
			t.Error(err)
		}
	})
	if d.empty, err = d.used(); err != nil {
		t.Fatal(err)
	}
	return d
}

func (d *disk) format(size int64) error {
	if err := os.WriteFile(d.image, nil, 0o600); err != nil {
		return err
	}
	if err := os.Truncate(d.image, size&^4095); err != nil {
		return err
	}
	_, err := output("mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0", d.image)
	return err
}

// output runs a program to its end.
func output(name string, args ...string) (string, error) {
	out, err := exec.Command(name, args...).Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		err = fmt.Errorf("%s: %w: %s", name, err, exit.Stderr)
	}
	return strings.TrimSpace(string(out)), err
}

// careless is the ext4 option not to wait for the device: faster, for what
// isn't measured.
const careless = "barrier=0"

// mount takes a loop device, which goes when the file system is unmounted.
func (d *disk) mount(options string) error {
	dev, err := output("losetup", "--find", "--show", d.image)
	if err != nil {
		return err
	}
	flags := uintptr(unix.MS_NOATIME)
	if d.lazytime {
		flags |= unix.MS_LAZYTIME
	}
	if err = unix.Mount(dev, d.dir, "ext4", flags, options); err != nil {
		err = fmt.Errorf("mount %s: %w", dev, err)
	}
	d.loop = filepath.Base(dev)
	_, gone := output("losetup", "--detach", dev)
	return errors.Join(err, gone)
}

func (d *disk) unmount() error {
	if err := unix.Unmount(d.dir, 0); err != nil {
		return fmt.Errorf("unmount %s: %w", d.dir, err)
	}
	return nil
}

func (d *disk) remount(options string) error {
	if err := d.unmount(); err != nil {
		return err
	}
	return d.mount(options)
}

// sync writes the file system to its device.
func (d *disk) sync() error {
	f, err := os.Open(d.dir)
	if err != nil {
		return err
	}
	defer f.Close()
	return unix.Syncfs(int(f.Fd()))
}

// written returns the bytes that the device was told to write since the mount.
func (d *disk) written() (int64, error) {
	text, err := os.ReadFile("/sys/block/" + d.loop + "/stat")
	if err != nil {
		return 0, err
	}
	const sectorsWritten = 6 // Documentation/block/stat.rst
	f := strings.Fields(string(text))
	n, err := strconv.ParseInt(f[sectorsWritten], 10, 64)
	return 512 * n, err
}

// used returns the bytes that are not free.
func (d *disk) used() (int64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(d.dir, &st); err != nil {
		return 0, err
	}
	return int64(st.Blocks-st.Bfree) * st.Bsize, nil
}

// allocated returns the bytes that the files under dir take on their disk.
func allocated(dir string) (n int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // the store removed it meanwhile
		}
		if err != nil {
			return err
		}
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		n += 512 * info.Sys().(*syscall.Stat_t).Blocks
		return nil
	})
	return n, err
}

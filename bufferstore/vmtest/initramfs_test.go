//go:build linux && amd64

package vmtest

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"
)

// modules are what a Debian cloud kernel needs beyond what is built in, in
// the order in which they must be loaded.
var modules = []string{"virtio_ring", "virtio", "virtio_pci_legacy_dev", "virtio_pci_modern_dev", "virtio_pci", "virtio_blk"}

// initramfs returns the first file system of the machine: init, the modules
// of the kernel unpacked in dir, and a console for init's messages.
func initramfs(init, dir string) ([]byte, error) {
	var a cpio
	a.add("dev", syscall.S_IFDIR|0o755, 0, 0, nil)
	a.add("dev/console", syscall.S_IFCHR|0o600, 5, 1, nil)
	b, err := os.ReadFile(init)
	if err != nil {
		return nil, err
	}
	a.add("init", syscall.S_IFREG|0o755, 0, 0, b)
	for _, m := range modules {
		found, err := filepath.Glob(filepath.Join(dir, "lib/modules/*/kernel/drivers/*/"+m+".ko"))
		if err != nil || len(found) != 1 {
			return nil, fmt.Errorf("kernel in %s: module %s: found %d, want 1", dir, m, len(found))
		}
		if b, err = os.ReadFile(found[0]); err != nil {
			return nil, err
		}
		a.add(m+".ko", syscall.S_IFREG|0o644, 0, 0, b)
	}
	a.add("TRAILER!!!", 0, 0, 0, nil)
	return a.b, nil
}

// cpio is an archive in the only form the kernel unpacks, newc: cpio(5).
type cpio struct {
	b     []byte
	inode int
}

// add appends one file:
//
//	0        6       14     22                      54     62                94        102     110    110+n
//	+--------+-------+------+-----------------------+------+-----------------+---------+-------+------+------+
//	| 070701 | inode | mode | uid, gid, links, time | size | device, special | n, name | check | name | data |
//	+--------+-------+------+-----------------------+------+-----------------+---------+-------+------+------+
//
// Numbers are 8 hexadecimal digits. Name, with its zero, and data are padded to 4 bytes.
func (a *cpio) add(name string, mode, major, minor int, data []byte) {
	a.inode++
	a.b = fmt.Appendf(a.b, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%s\x00",
		a.inode, mode, 0, 0, 1, 0, len(data), 0, 0, major, minor, len(name)+1, 0, name)
	a.pad()
	a.b = append(slices.Grow(a.b, len(data)+3), data...)
	a.pad()
}

func (a *cpio) pad() {
	a.b = append(a.b, bytes.Repeat([]byte{0}, -len(a.b)&3)...)
}

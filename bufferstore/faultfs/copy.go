//go:build linux && !(386 || arm || mips || mipsle)

package faultfs

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"syscall"
)

// FromDir returns a volume like New, with a copy of what is in dir, durable.
func FromDir(dir string, o Options) (*Volume, error) {
	v := New(o)
	if err := v.copyIn(dir, root); err != nil {
		return nil, err
	}
	return v.after(nil), nil
}

func (v *Volume) copyIn(dir string, into uint64) error {
	es, err := os.ReadDir(dir)
	for _, e := range es {
		path, mode := filepath.Join(dir, e.Name()), uint32(syscall.S_IFREG|0o644)
		if e.IsDir() {
			mode = syscall.S_IFDIR | 0o755
		}
		n := v.newNode(mode)
		v.do(dirOp{{slot{into, e.Name()}, 0, n.ino}})
		if e.IsDir() {
			err = errors.Join(err, v.copyIn(path, n.ino))
			continue
		}
		data, readErr := os.ReadFile(path)
		v.change(n, func(c *content) { c.write(data, 0) })
		err = errors.Join(err, readErr)
	}
	return err
}

// CopyOut copies the volume as its readers see it into dir, which must exist.
// What isn't allocated in a file, or was never written, becomes a hole.
func (v *Volume) CopyOut(dir string) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.copyOut(root, dir)
}

func (v *Volume) copyOut(from uint64, dir string) error {
	for name, ino := range v.live[from] {
		path := filepath.Join(dir, name)
		n := v.nodes[ino]
		if n.content != nil {
			if err := n.content.live.copyOut(path); err != nil {
				return err
			}
			continue
		}
		if err := os.MkdirAll(path, 0o755); err != nil {
			return err
		}
		if err := v.copyOut(ino, path); err != nil {
			return err
		}
	}
	return nil
}

func (m *image) copyOut(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	for _, i := range slices.Sorted(maps.Keys(m.blocks)) {
		b, off := m.blocks[i], i*blockSize
		if b == unwritten || off >= m.size {
			continue
		}
		if _, err := f.WriteAt(b[:min(blockSize, m.size-off)], off); err != nil {
			return err
		}
	}
	if err := f.Truncate(m.size); err != nil {
		return err
	}
	return f.Close()
}

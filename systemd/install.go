package systemd

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// files is laid out as the machine is.
//
//go:embed root
var files embed.FS

// Install writes the units, users, folders and udev rules of skyhaul and
// skyhub below root, and first configurations below root/etc where there are
// none yet. It returns the files it wrote. It only writes files: enabling a
// service and reloading systemd is for the caller or a package. A link in root
// that leads out of root is an error.
func Install(root string) ([]string, error) {
	if err := os.MkdirAll(root, 0o755); err != nil {
		return nil, fmt.Errorf("install: %w", err)
	}
	dest, err := os.OpenRoot(root)
	if err != nil {
		return nil, fmt.Errorf("install: %w", err)
	}
	defer dest.Close()
	tree, err := fs.Sub(files, "root")
	if err != nil {
		return nil, fmt.Errorf("install: %w", err)
	}
	var written []string
	err = fs.WalkDir(tree, ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		wrote, err := installFile(dest, tree, name)
		if wrote {
			written = append(written, filepath.Join(root, filepath.FromSlash(name)))
		}
		return err
	})
	if err != nil {
		return written, fmt.Errorf("install below %s: %w", root, err)
	}
	return written, nil
}

func installFile(dest *os.Root, tree fs.FS, name string) (wrote bool, err error) {
	b, err := fs.ReadFile(tree, name)
	if err != nil {
		return false, err
	}
	if err := dest.MkdirAll(path.Dir(name), 0o755); err != nil {
		return false, err
	}
	flags := os.O_WRONLY | os.O_CREATE | os.O_TRUNC
	if strings.HasPrefix(name, "etc/") {
		flags = os.O_WRONLY | os.O_CREATE | os.O_EXCL
	}
	f, err := dest.OpenFile(name, flags, 0o644)
	if flags&os.O_EXCL != 0 && errors.Is(err, fs.ErrExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	_, err = f.Write(b)
	return err == nil, errors.Join(err, f.Close())
}

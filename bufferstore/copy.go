package bufferstore

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// maxCopies is how often a copy is begun anew because the store changed its
// tables meanwhile.
const maxCopies = 20

// Copy makes a copy of the store in dir, which another process may have open,
// in the folder to, which must not be there. The copy holds what was durable
// and can be opened like any store. It takes as much space as the store, and
// leaves twice the reserve free, so that the store goes on ([*FullError] else).
// Nothing is linked: the engine cuts a table to nothing before it removes it.
func Copy(dir, to string) error {
	stores, err := filepath.Glob(filepath.Join(dir, "store-*"))
	if err != nil {
		return err
	}
	if len(stores) == 0 {
		return fmt.Errorf("%s holds no buffer", dir)
	}
	size, err := usedBytes(stores[0])
	if err != nil {
		return err
	}
	if err := checkFree(dir, size+2*reserve); err != nil {
		return err
	}
	for range maxCopies {
		target := filepath.Join(to, filepath.Base(stores[0]))
		if err := os.MkdirAll(target, 0o700); err != nil {
			return err
		}
		same, err := copyTables(stores[0], target)
		if err == nil && same {
			return nil
		}
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		if err := os.RemoveAll(to); err != nil {
			return err
		}
	}
	return fmt.Errorf("%s changes too fast to be copied: try again", dir)
}

// copyTables reports whether the list of tables stayed the same meanwhile: if
// not, a table of the list may be gone or the log of a new one not copied.
func copyTables(from, to string) (same bool, err error) {
	before, err := tableList(from)
	if err != nil {
		return false, err
	}
	files, err := os.ReadDir(from)
	if err != nil {
		return false, err
	}
	for _, f := range files {
		if f.Name() == "LOCK" || !f.Type().IsRegular() {
			continue
		}
		if err := copyFile(filepath.Join(from, f.Name()), filepath.Join(to, f.Name())); err != nil {
			return false, err
		}
	}
	after, err := tableList(from)
	return before == after, err
}

type listing struct {
	size     int64
	modified time.Time
}

func tableList(dir string) (listing, error) {
	info, err := os.Stat(filepath.Join(dir, "MANIFEST"))
	if err != nil {
		return listing{}, err
	}
	return listing{info.Size(), info.ModTime()}, nil
}

func copyFile(src, dst string) error {
	in, err := os.Open(src)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(dst, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

package bufferstore

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// checkFree returns a [*FullError] where less than need bytes are free.
func checkFree(dir string, need int64) error {
	free, err := freeBytes(dir)
	if err == nil && free < need {
		err = &FullError{Dir: dir, Free: free, Need: need}
	}
	return err
}

// probe tells whether dir takes durable writes.
func probe(dir string) error {
	name := filepath.Join(dir, "probe")
	return errors.Join(writeFile(name, "probe"), os.Remove(name))
}

// writeFile writes and syncs a small file.
func writeFile(name, text string) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Sync(), f.Close())
}

// usedBytes is what the files in dir take on disk. Files may go meanwhile.
func usedBytes(dir string) (sum int64, err error) {
	files, err := os.ReadDir(dir)
	if err != nil {
		return 0, fmt.Errorf("size of store: %w", err)
	}
	for _, f := range files {
		if info, err := f.Info(); err == nil {
			sum += allocated(info)
		}
	}
	return sum, nil
}

package bufferstore

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// quarantineShare of the quota is for damaged segments: a sixteenth.
const quarantineShare = 16

// asideStore begins the name of a store of a newer version in quarantine.
const asideStore = "store-"

// trimQuarantine removes the oldest damaged segments, from which all that was
// intact has been taken, until the others take at most a sixteenth of the quota.
// Stores of a newer version stay: they hold what nothing else holds.
func (s *Store) trimQuarantine() error {
	dir := filepath.Join(s.dir, quarantineDir)
	found, err := os.ReadDir(dir)
	if os.IsNotExist(err) {
		return nil
	}
	type aside struct {
		fs.FileInfo
		bytes int64
	}
	var all []aside
	var sum int64
	for _, e := range found {
		info, err := e.Info()
		if err != nil || strings.HasPrefix(e.Name(), asideStore) {
			continue
		}
		a := aside{info, treeBytes(filepath.Join(dir, e.Name()))}
		all, sum = append(all, a), sum+a.bytes
	}
	slices.SortFunc(all, func(a, b aside) int { return a.ModTime().Compare(b.ModTime()) })
	for len(all) > 0 && sum > s.quota.Load()/quarantineShare {
		if err := os.RemoveAll(filepath.Join(dir, all[0].Name())); err != nil {
			return err
		}
		sum, all = sum-all[0].bytes, all[1:]
	}
	return err
}

// treeBytes is about what a directory takes on disk.
func treeBytes(dir string) (sum int64) {
	_ = filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err != nil {
			return nil // what can't be read can't be counted
		}
		if info, err := e.Info(); err == nil {
			sum += allocated(info)
		}
		return nil
	})
	return sum
}

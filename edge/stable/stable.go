// Package stable keeps small named values that must outlive anything: the
// ledger, the table of boots, marks, learnt limits. A value survives kill -9,
// a power cut at any moment, a full disk and one damaged file.
//
// Each value has two files, NAME.0 and NAME.1, which take turns: Save writes a
// temporary file, syncs it, renames it over the file that does not hold the
// newest good value and syncs the folder. So the newest and the one before it
// are both on disk, and a write that goes wrong touches neither. Every file
// carries a revision, its length and a checksum; Load takes the good file of
// the higher revision.
package stable

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
)

// MaxValue is the greatest length of a value in bytes.
const MaxValue = 16 << 20

var nameRule = regexp.MustCompile(`^[a-z0-9._-]{1,100}$`)

// Dir is a folder of values. It is safe for concurrent use, but only one
// process may save into a folder at a time.
type Dir struct {
	path string

	mu     sync.Mutex // guards the files below path, and damage
	damage map[string]error
}

// Open uses the folder dir and makes it where it is missing. It writes nothing
// else: a folder on a read-only disk opens and loads.
func Open(dir string) (*Dir, error) {
	if _, err := os.Stat(dir); err == nil {
		return &Dir{path: dir, damage: map[string]error{}}, nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open stable folder: %w", err)
	}
	if err := syncDir(filepath.Dir(dir)); err != nil {
		return nil, fmt.Errorf("open stable folder: %w", err)
	}
	return &Dir{path: dir, damage: map[string]error{}}, nil
}

// Load returns the newest good value of name. The error is fs.ErrNotExist
// where nothing was ever saved, and another where files are there but none is
// good. Where only one of the two files is damaged, Load returns the other's
// value, which may be the one before the last, and Damage tells of it.
func (d *Dir) Load(name string) ([]byte, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	newest, other := d.slots(name)
	if newest.absent() && other.absent() {
		return nil, fmt.Errorf("load %s: %w", name, fs.ErrNotExist)
	}
	for _, s := range []slot{newest, other} {
		if s.err != nil && !s.absent() {
			d.damage[name] = s.err
		}
	}
	if newest.err != nil {
		return nil, fmt.Errorf("load %s: no good copy: %v; %v", name, newest.err, other.err)
	}
	return newest.value, nil
}

// Save makes value the value of name. When it returns nil the value survives a
// power cut. When it returns an error Load gives the old value, or the new one
// where only the last sync of the folder failed.
func (d *Dir) Save(name string, value []byte) error {
	if err := checkName(name); err != nil {
		return err
	}
	if len(value) > MaxValue {
		return fmt.Errorf("save %s: %d bytes, at most %d", name, len(value), MaxValue)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	newest, other := d.slots(name)
	if err := replace(other.file, encode(newest.revision+1, value)); err != nil {
		return fmt.Errorf("save %s: %w", name, err)
	}
	return nil
}

// List returns the names that begin with prefix, in order.
func (d *Dir) List(prefix string) ([]string, error) {
	entries, err := os.ReadDir(d.path)
	if err != nil {
		return nil, fmt.Errorf("list stable folder: %w", err)
	}
	var names []string
	for _, e := range entries {
		name, ok := slotOf(e.Name())
		if ok && nameRule.MatchString(name) && strings.HasPrefix(name, prefix) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// Damage returns what Load found damaged since Open: the name of the value and
// what is wrong with its file. Whether the damaged copy was the newer one
// nobody can tell.
func (d *Dir) Damage() map[string]error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return maps.Clone(d.damage)
}

// slot is one of the two files of a value.
type slot struct {
	file     string
	value    []byte
	revision uint64
	err      error // nil: value and revision are good
}

func (s slot) absent() bool { return errors.Is(s.err, fs.ErrNotExist) }

// slots reads both files of a value: the newest good one, and the one to
// write over next.
func (d *Dir) slots(name string) (newest, other slot) {
	a := readSlot(filepath.Join(d.path, name+".0"))
	b := readSlot(filepath.Join(d.path, name+".1"))
	if a.err != nil && b.err == nil || b.revision > a.revision {
		return b, a
	}
	return a, b
}

func readSlot(file string) slot {
	s := slot{file: file}
	f, err := os.Open(file)
	if err != nil {
		s.err = err
		return s
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, MaxValue+overhead+1))
	if err == nil {
		s.revision, s.value, err = decode(b)
	}
	if err != nil {
		s.err = fmt.Errorf("%s: %w", filepath.Base(file), err)
	}
	return s
}

// replace writes b into file in such a way that a crash leaves the old content
// or the new, both whole.
func replace(file string, b []byte) error {
	temp := file + "~"
	if err := writeSynced(temp, b); err != nil {
		os.Remove(temp) // it may hold the last free block
		return err
	}
	if err := os.Rename(temp, file); err != nil {
		os.Remove(temp)
		return err
	}
	return syncDir(filepath.Dir(file))
}

func writeSynced(file string, b []byte) error {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, bytes.NewReader(b))
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// syncDir makes renames in dir durable. Windows has no such call for folders;
// there NTFS's own journal has to do.
func syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

func checkName(name string) error {
	if !nameRule.MatchString(name) {
		return fmt.Errorf("stable value %q: a name is 1 to 100 of a-z 0-9 . _ -", name)
	}
	return nil
}

// slotOf returns the value that file belongs to.
func slotOf(file string) (name string, ok bool) {
	if name, ok = strings.CutSuffix(file, ".0"); ok {
		return name, true
	}
	return strings.CutSuffix(file, ".1")
}

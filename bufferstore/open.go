package bufferstore

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// maxOpenings is how many openings in a row may end with the process before
// the content is set aside unread: a damaged table can make the engine do that,
// but so can a kill or a power cut.
const maxOpenings = 10

// opener opens an engine in a directory that exists.
type opener func(dir string, log *slog.Logger) (engine, error)

// Open opens the store in dir, which it creates if need be, under a new epoch.
// Content that is damaged or of a newer version is set aside in
// dir/quarantine-… and a fresh store begun. Open fails only if nothing can be
// read or written ([*FullError] where the disk is full), if another process
// has the store open, or on a 32-bit machine.
func Open(dir string, o Options) (*Store, error) {
	s, err := open(dir, o, openBadger)
	var full *FullError
	if err != nil && !errors.As(err, &full) {
		return nil, fmt.Errorf("store %s: %w", dir, err)
	}
	return s, err
}

func open(dir string, o Options, with opener) (*Store, error) {
	if strconv.IntSize == 32 {
		return nil, errors.New("badger loses data on 32-bit machines without a word: build for a 64-bit one")
	}
	o, err := o.checked()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	s := &Store{dir: dir, options: o, open: with}
	if s.lock, err = lockFile(filepath.Join(dir, "lock")); err != nil {
		return nil, err
	}
	if err := s.begins(); err != nil {
		return nil, errors.Join(err, unlock(s.lock))
	}
	return s, nil
}

// begins brings a locked store to its first epoch's beginning.
func (s *Store) begins() error {
	if err := checkFree(s.dir, reserve); err != nil {
		return err
	}
	found, err := s.openEngine()
	if err != nil {
		return err
	}
	if err = s.measure(); err == nil {
		err = s.beginEpoch(found)
	}
	if err != nil {
		return errors.Join(err, s.engine.close())
	}
	return nil
}

// openEngine opens the engine and reads what it holds of each lane. What can't
// be read is set aside, once.
func (s *Store) openEngine() ([]*found, error) {
	if err := s.find(); err != nil {
		return nil, err
	}
	if s.unfinished() >= maxOpenings {
		if err := s.setAside(errors.New("opening it ended the process")); err != nil {
			return nil, err
		}
	}
	found, err := s.tryEngine()
	if err == nil || environment(err) {
		return found, err
	}
	if err := s.setAside(err); err != nil {
		return nil, err
	}
	return s.tryEngine()
}

// find sets path to the directory of the engine: a fresh store never takes the
// path of one that was set aside, whose engine may still hold it.
func (s *Store) find() error {
	aside, err := filepath.Glob(filepath.Join(s.dir, "quarantine-*"))
	if err != nil {
		return err
	}
	for _, q := range aside {
		s.quarantined = append(s.quarantined, filepath.Base(q))
	}
	stores, err := filepath.Glob(filepath.Join(s.dir, "store-*"))
	if err != nil {
		return err
	}
	if len(stores) > 0 {
		s.path = stores[0]
		return nil
	}
	return s.fresh()
}

func (s *Store) fresh() error {
	s.path = filepath.Join(s.dir, "store-"+newEpoch().String())
	return os.Mkdir(s.path, 0o700)
}

// setAside keeps what can't be read under another name and begins afresh.
func (s *Store) setAside(cause error) error {
	name := strings.Replace(filepath.Base(s.path), "store-", "quarantine-", 1)
	if err := os.Rename(s.path, filepath.Join(s.dir, name)); err != nil {
		return err
	}
	s.quarantined = append(s.quarantined, name)
	s.options.Logger.Error("store set aside, a fresh one begins", "dir", s.dir, "name", name, "err", cause)
	return s.fresh()
}

// unfinished counts the openings before this one that never came to their end.
func (s *Store) unfinished() int {
	b, _ := os.ReadFile(s.openings())
	n, _ := strconv.Atoi(string(b))
	return n
}

func (s *Store) openings() string { return filepath.Join(s.dir, "opening") }

// tryEngine opens the engine and reads what it holds.
func (s *Store) tryEngine() ([]*found, error) {
	if err := writeFile(s.openings(), strconv.Itoa(s.unfinished()+1)); err != nil {
		return nil, err
	}
	e, err := s.open(s.path, s.options.Logger)
	if err == nil {
		s.engine = e
		var all []*found
		if all, err = s.loadAll(); err == nil {
			return all, s.opened()
		}
		err = errors.Join(err, e.close())
	}
	return nil, errors.Join(err, s.opened())
}

// opened ends the count of openings.
func (s *Store) opened() error {
	return errors.Join(os.Remove(s.openings()), syncDir(s.dir))
}

func (s *Store) loadAll() ([]*found, error) {
	if err := s.checkVersion(); err != nil {
		return nil, err
	}
	s.loadAge()
	marks := s.readMarks()
	var all []*found
	for _, l := range s.options.Lanes {
		f, err := load(s.engine, l.Name)
		if err != nil {
			return nil, err
		}
		for p := range f.state.pieces {
			s.base = max(s.base, p.age)
		}
		if end := f.state.end; f.recall(marks[l.Name]) {
			f.recalled = true
			s.options.Logger.Error("durable records are gone", "lane", l.Name, "first", max(f.state.first, end+1), "last", f.state.end)
		}
		all = append(all, f)
	}
	return all, nil
}

// loadAge sets base. If it is damaged the newest chunk tells enough.
func (s *Store) loadAge() {
	key := []byte{keyAge}
	if stored, err := s.engine.get(key); err == nil {
		if v, err := take(key, stored, 8); err == nil {
			s.base = time.Duration(number(v, 0))
		}
	}
}

// checkVersion refuses a version that isn't ours. A store without a version
// must be empty.
func (s *Store) checkVersion() error {
	key := []byte{keyVersion}
	stored, err := s.engine.get(key)
	if errors.Is(err, errAbsent) {
		return s.engine.each(nil, func(key, _ []byte) error {
			return fmt.Errorf("key %q without a version: %w", key, errDamaged)
		})
	}
	if err != nil {
		return err
	}
	v, err := take(key, stored, 1)
	if err != nil {
		return err
	}
	if v[0] != formatVersion {
		return fmt.Errorf("version %d, this program knows %d", v[0], formatVersion)
	}
	return nil
}

// environment tells a machine that can't serve from a store that is damaged.
func environment(err error) bool {
	var full *FullError
	if errors.As(err, &full) || errors.Is(err, fs.ErrPermission) {
		return true
	}
	for _, e := range []error{syscall.ENOSPC, syscall.EROFS, syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

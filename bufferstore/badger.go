package bufferstore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"
	"github.com/dgraph-io/badger/v4/table"
)

// openTries is how often a store that can't be opened is tried: one attempt of
// Badger may mend what the next one needs.
const openTries = 3

// badgerEngine is Badger with all values in the LSM tree: its value log leaks
// on DropPrefix and hides failed syncs.
type badgerEngine struct {
	db  *badger.DB
	dir string
	// synced is when the directory had last changed as its entries were synced:
	// Badger doesn't sync the entry of a new log file.
	synced time.Time
}

// badgerOptions keeps the anonymous memory small: it goes with the size of the
// log, of which there is one being written and one or two being flushed, and
// with that of tables. Logs so small are gathered in level zero, because each
// compaction from there rewrites the level below.
func badgerOptions(dir string, log *slog.Logger) badger.Options {
	o := badger.DefaultOptions(dir).
		WithLogger(badgerLog{log}).
		WithMetricsEnabled(false).
		WithSyncWrites(true).
		WithDetectConflicts(false).
		WithBypassLockGuard(true). // Store holds its own lock
		WithNumGoroutines(1).
		WithMemTableSize(2 << 20).     // a transaction takes 15 % of it
		WithValueThreshold(300 << 10). // no value is so long: see parts
		WithValueLogFileSize(1 << 20).
		WithNumMemtables(2).
		WithBlockCacheSize(0).
		WithIndexCacheSize(0).
		WithCompression(options.None).
		WithChecksumVerificationMode(options.NoVerification). // ours are checked; Badger's end the process
		WithNumCompactors(2).
		WithNumLevelZeroTables(4).
		WithNumLevelZeroTablesStall(8).
		WithBaseLevelSize(8 << 20).
		WithBlockSize(128 << 10).
		WithBaseTableSize(2 << 20)
	o.TableSizeMultiplier = 1
	return o
}

func openBadger(dir string, log *slog.Logger) (engine, error) {
	o := badgerOptions(dir, log)
	if err := checkTables(dir, o); err != nil {
		return nil, err
	}
	var err error
	for range openTries {
		if err := sweep(dir); err != nil {
			return nil, err
		}
		var db *badger.DB
		if db, err = tryBadger(o); err == nil {
			b := &badgerEngine{db: db, dir: dir}
			return b, errors.Join(b.sweepParts(), b.syncEntries())
		}
		if errors.Is(err, errDamaged) {
			break // a panic left goroutines behind that may still hold the files
		}
		// Without encryption this file holds nothing, yet Badger wants it intact.
		_ = os.Remove(filepath.Join(dir, badger.KeyRegistryFileName))
	}
	return nil, err
}

func tryBadger(o badger.Options) (db *badger.DB, err error) {
	defer recovered(&err)
	return badger.Open(o)
}

// recovered turns a panic of Badger's, which it has for damaged blocks, into errDamaged.
func recovered(err *error) {
	if r := recover(); r != nil {
		*err = fmt.Errorf("%w: %v", errDamaged, r)
	}
}

// checkTables refuses what would make Badger delete all tables, which is a
// lost manifest, or end the process, which is a table cut short. Tables that the
// manifest doesn't name are what a kill left of a compaction; Badger removes them.
func checkTables(dir string, o badger.Options) error {
	all, err := filepath.Glob(filepath.Join(dir, "*.sst"))
	if err != nil || len(all) == 0 {
		return err
	}
	f, err := os.Open(filepath.Join(dir, badger.ManifestFilename))
	if err != nil {
		return fmt.Errorf("%w: %v", errDamaged, err)
	}
	defer f.Close()
	m, _, err := badger.ReplayManifestFile(f, 0, o)
	if err != nil {
		return fmt.Errorf("manifest: %w: %v", errDamaged, err)
	}
	for id := range m.Tables {
		if err := checkTable(table.NewFilename(id, dir)); err != nil {
			return fmt.Errorf("table %d: %w: %v", id, errDamaged, err)
		}
	}
	return nil
}

// checkTable looks at the end of a table:
//
//	| blocks | index | length of index u32 | checksum | length of checksum u32 |
func checkTable(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	end := info.Size()
	for range 2 {
		var n [4]byte
		if _, err := f.ReadAt(n[:], max(0, end-4)); err != nil {
			return err
		}
		end -= 4 + int64(binary.BigEndian.Uint32(n[:]))
	}
	if end < 0 {
		return errors.New("cut short")
	}
	return nil
}

// sweep removes log files of no length, which a cut between their creation
// and their first bytes leaves behind: Badger refuses them.
func sweep(dir string) error {
	files, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, f := range files {
		if ext := filepath.Ext(f.Name()); ext != ".mem" && ext != ".vlog" {
			continue
		}
		info, err := f.Info()
		if err != nil {
			return err
		}
		if info.Size() == 0 {
			if err := os.Remove(filepath.Join(dir, f.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

func (b *badgerEngine) apply(ops []op) (err error) {
	defer recovered(&err)
	entries := make([]*badger.Entry, 0, len(ops))
	for _, o := range ops {
		if len(o.value) > partBytes {
			e, err := b.putParts(o)
			if err != nil {
				return err
			}
			entries = append(entries, e)
			continue
		}
		entries = append(entries, badger.NewEntry(o.key, o.value))
	}
	return b.write(entries)
}

// write sets entries in one transaction, or removes those without a value.
func (b *badgerEngine) write(entries []*badger.Entry) error {
	txn := b.db.NewTransaction(true)
	defer txn.Discard()
	for _, e := range entries {
		set := txn.SetEntry
		if e.Value == nil {
			set = func(e *badger.Entry) error { return remove(txn, e.Key) }
		}
		if err := set(e); err != nil {
			return err
		}
	}
	if err := txn.Commit(); err != nil {
		return err
	}
	return b.syncEntries()
}

// syncEntries makes new log files findable after a power cut.
func (b *badgerEngine) syncEntries() error {
	info, err := os.Stat(b.dir)
	if err != nil || info.ModTime().Equal(b.synced) {
		return err
	}
	b.synced = info.ModTime()
	return syncDir(b.dir)
}

func (b *badgerEngine) get(key []byte) (value []byte, err error) {
	defer recovered(&err)
	err = b.db.View(func(txn *badger.Txn) error {
		item, err := txn.Get(key)
		if err != nil {
			return err
		}
		value, err = valueOf(txn, item)
		return err
	})
	if errors.Is(err, badger.ErrKeyNotFound) {
		return nil, errAbsent
	}
	return value, err
}

func (b *badgerEngine) each(prefix []byte, f func(key, value []byte) error) (err error) {
	defer recovered(&err)
	return b.db.View(func(txn *badger.Txn) error {
		o := badger.DefaultIteratorOptions
		o.Prefix, o.PrefetchValues = prefix, false
		it := txn.NewIterator(o)
		defer it.Close()
		for it.Rewind(); it.Valid(); it.Next() {
			value, err := valueOf(txn, it.Item())
			if err != nil {
				return err
			}
			if err := f(it.Item().KeyCopy(nil), value); err != nil {
				return err
			}
		}
		return nil
	})
}

func (b *badgerEngine) drop(prefixes [][]byte) (err error) {
	defer recovered(&err)
	all := slices.Clone(prefixes)
	for _, p := range prefixes {
		all = append(all, append([]byte{keyPart}, p...))
	}
	return b.db.DropPrefix(all...)
}

func (b *badgerEngine) close() (err error) {
	defer recovered(&err)
	return b.db.Close()
}

// badgerLog keeps Badger's own lines for debugging: what an operator must
// know is said once, by Store.
type badgerLog struct{ log *slog.Logger }

func (b badgerLog) Errorf(f string, a ...any)   { b.line("error", f, a) }
func (b badgerLog) Warningf(f string, a ...any) { b.line("warning", f, a) }
func (b badgerLog) Infof(string, ...any)        {}
func (b badgerLog) Debugf(string, ...any)       {}

func (b badgerLog) line(kind, f string, a []any) {
	b.log.Debug("badger", "kind", kind, "text", fmt.Sprintf(f, a...))
}

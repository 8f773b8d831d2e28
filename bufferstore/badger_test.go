//go:build !(386 || arm || mips || mipsle || windows)

package bufferstore

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/dgraph-io/badger/v4"
)

func TestSegmentIsABadgerDatabase(t *testing.T) {
	root, all := newRoot(t), madeChunks("a", 30, 100<<10)
	mustWrite(t, root, badgerEngine{}, "a", 1, all)
	dir := filepath.Join(root, segmentName("a", 1))
	f, err := os.Open(filepath.Join(dir, badger.ManifestFilename))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	m, _, err := badger.ReplayManifestFile(f, 0, badger.DefaultOptions(dir))
	if err != nil || len(m.Tables) < 3 {
		t.Errorf("manifest of %d tables, %v", len(m.Tables), err)
	}
	// With its own options, which check all there is, and for writing.
	db, err := badger.Open(badger.DefaultOptions(dir).WithLogger(nil).WithVerifyValueChecksum(true))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.VerifyChecksum(); err != nil {
		t.Error(err)
	}
	for _, c := range all {
		if err := db.View(func(txn *badger.Txn) error {
			item, err := txn.Get(badgerKey(c.first))
			if err != nil {
				return err
			}
			return item.Value(func(v []byte) error {
				if !bytes.Equal(v, c.value) {
					t.Errorf("chunk %d is another one", c.first)
				}
				return nil
			})
		}); err != nil {
			t.Error(err)
		}
	}
}

func TestClosedSegmentLeavesNoGoroutine(t *testing.T) {
	root, all := newRoot(t), madeChunks("a", 3, 1000)
	before := runtime.NumGoroutine()
	mustWrite(t, root, badgerEngine{}, "a", 1, all)
	openAll(t, root, badgerEngine{}, "a", 1)
	for range 1000 {
		if runtime.NumGoroutine() <= before {
			return
		}
		runtime.Gosched()
	}
	t.Errorf("%d goroutines more", runtime.NumGoroutine()-before)
}

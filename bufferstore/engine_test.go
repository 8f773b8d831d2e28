package bufferstore

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// memory is a disk that outlives its engines, and that can fail.
type memory struct {
	mu    sync.Mutex
	files map[string]map[string][]byte // by directory
	fails int                          // so many applies fail
	torn  bool                         // a failing apply is durable all the same
	stall chan struct{}                // if not nil, apply waits for it
	tried int                          // applies
	onGet func(key []byte)             // if not nil, called before a get
	done  func()                       // if not nil, called after an apply
}

var errDisk = errors.New("input/output error")

func (m *memory) open(dir string, _ *slog.Logger) (engine, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.files == nil {
		m.files = map[string]map[string][]byte{}
	}
	if m.files[dir] == nil {
		m.files[dir] = map[string][]byte{}
	}
	return &memEngine{disk: m, keys: m.files[dir]}, nil
}

type memEngine struct {
	disk *memory
	keys map[string][]byte
}

func (e *memEngine) apply(ops []op) error {
	if e.disk.stall != nil {
		<-e.disk.stall
	}
	if e.disk.done != nil {
		defer e.disk.done()
	}
	e.disk.mu.Lock()
	defer e.disk.mu.Unlock()
	e.disk.tried++
	failing := e.disk.fails > 0
	if failing {
		e.disk.fails--
	}
	if failing && !e.disk.torn {
		return errDisk
	}
	for _, o := range ops {
		if o.value == nil {
			delete(e.keys, string(o.key))
		} else {
			e.keys[string(o.key)] = bytes.Clone(o.value)
		}
	}
	if failing {
		return errDisk
	}
	return nil
}

func (e *memEngine) get(key []byte) ([]byte, error) {
	if e.disk.onGet != nil {
		e.disk.onGet(key)
	}
	e.disk.mu.Lock()
	defer e.disk.mu.Unlock()
	if v, ok := e.keys[string(key)]; ok {
		return bytes.Clone(v), nil
	}
	return nil, errAbsent
}

func (e *memEngine) each(prefix []byte, f func(key, value []byte) error) error {
	e.disk.mu.Lock()
	all := maps.Clone(e.keys)
	e.disk.mu.Unlock()
	for _, k := range slices.Sorted(maps.Keys(all)) {
		if strings.HasPrefix(k, string(prefix)) {
			if err := f([]byte(k), bytes.Clone(all[k])); err != nil {
				return err
			}
		}
	}
	return nil
}

func (e *memEngine) drop(prefixes [][]byte) error {
	e.disk.mu.Lock()
	defer e.disk.mu.Unlock()
	maps.DeleteFunc(e.keys, func(k string, _ []byte) bool {
		return slices.ContainsFunc(prefixes, func(p []byte) bool { return strings.HasPrefix(k, string(p)) })
	})
	return nil
}

func (e *memEngine) close() error { return nil }

// quickDir is a directory in memory where there is one with room: a store in
// memory needs its directory for small files only, but syncs them.
func quickDir(t *testing.T) string {
	t.Helper()
	if free, err := freeBytes("/dev/shm"); err != nil || free < 4*reserve {
		return t.TempDir()
	}
	dir, err := os.MkdirTemp("/dev/shm", "bufferstore")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// engines are those that the tests of the contract run on.
func engines(t *testing.T, f func(t *testing.T, open opener)) {
	t.Run("memory", func(t *testing.T) { f(t, new(memory).open) })
	t.Run("badger", func(t *testing.T) { f(t, openBadger) })
}

func TestEngineKeepsWhatItApplied(t *testing.T) {
	engines(t, func(t *testing.T, open opener) {
		dir, log := t.TempDir(), slog.New(slog.DiscardHandler)
		want := map[string]string{}
		for round := range 3 {
			e, err := open(dir, log)
			if err != nil {
				t.Fatal(err)
			}
			got := map[string]string{}
			if err := e.each([]byte("k"), func(key, value []byte) error {
				got[string(key)] = string(value)
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("round %d: %s", round, diff)
			}
			var ops []op
			for i := range 100 {
				k, v := fmt.Sprintf("k%d/%02d", i%4, i), fmt.Sprintf("%d %d", round, i)
				if i%7 == round {
					ops, v = append(ops, op{key: []byte(k)}), ""
					delete(want, k)
				} else {
					ops = append(ops, op{[]byte(k), []byte(v)})
					want[k] = v
				}
			}
			if err := e.apply(ops); err != nil {
				t.Fatal(err)
			}
			prefix := fmt.Sprintf("k%d/", round)
			if err := e.drop([][]byte{[]byte(prefix), []byte("x")}); err != nil {
				t.Fatal(err)
			}
			maps.DeleteFunc(want, func(k, _ string) bool { return strings.HasPrefix(k, prefix) })
			if _, err := e.get([]byte(prefix + "01")); !errors.Is(err, errAbsent) {
				t.Errorf("get of a dropped key: %v", err)
			}
			if err := e.close(); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestLongValuesLeaveNothingBehind(t *testing.T) {
	dir, log := t.TempDir(), slog.New(slog.DiscardHandler)
	e, err := openBadger(dir, log)
	if err != nil {
		t.Fatal(err)
	}
	b := e.(*badgerEngine)
	long := bytes.Repeat([]byte("0123456789"), 100_000)
	parts := func() (n int) {
		if err := b.each([]byte{keyPart}, func([]byte, []byte) error { n++; return nil }); err != nil {
			t.Fatal(err)
		}
		return n
	}
	key := func(n byte) []byte { return []byte{'c', n, 1} }
	for n := range byte(4) {
		if err := b.apply([]op{{key(n), long[n:]}, {[]byte{'x', n}, []byte("short")}}); err != nil {
			t.Fatal(err)
		}
	}
	for n := range byte(4) {
		if got, err := b.get(key(n)); err != nil || !bytes.Equal(got, long[n:]) {
			t.Errorf("get %d: %d bytes, %v", n, len(got), err)
		}
	}
	if got := parts(); got != 20 {
		t.Fatalf("%d parts", got)
	}
	if err := b.apply([]op{{key: key(0)}, {key(1), []byte("short now")}}); err != nil {
		t.Fatal(err)
	}
	if err := b.drop([][]byte{{'c', 2}}); err != nil {
		t.Fatal(err)
	}
	if got := parts(); got != 10 {
		t.Errorf("%d parts of one long value and one that is short now", got)
	}
	if _, err := b.putParts(op{key(9), long}); err != nil { // and a cut
		t.Fatal(err)
	}
	if err := b.close(); err != nil {
		t.Fatal(err)
	}
	if e, err = openBadger(dir, log); err != nil {
		t.Fatal(err)
	}
	b = e.(*badgerEngine)
	if got := parts(); got != 5 {
		t.Errorf("%d parts of one long value", got)
	}
	if err := b.apply([]op{{key: append([]byte{keyPart}, append(key(3), 0, 2)...)}}); err != nil {
		t.Fatal(err)
	}
	if _, err := b.get(key(3)); !errors.Is(err, errDamaged) {
		t.Errorf("get without a part: %v", err)
	}
	if err := b.close(); err != nil {
		t.Fatal(err)
	}
}

//go:build !(386 || arm || mips || mipsle || windows)

package bufferstore

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"iter"
	"math"
	"os"
	"path/filepath"
	"sort"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/table"
	"github.com/dgraph-io/badger/v4/y"
)

const (
	// tableBytes is where a table ends. The builder holds twice that in memory.
	tableBytes = 512 << 10
	// blockBytes takes a usual chunk, because a block grows by doubling.
	blockBytes = 320 << 10
	// lastLevel is Badger's seventh, which is never compacted.
	lastLevel = 6
)

// segmentEngine writes segments on this machine.
var segmentEngine engine = badgerEngine{}

// badgerEngine makes a segment a Badger database that is read only from its
// birth: tables of chunks under their first numbers, u64 big endian, and a manifest. The tables
// are made by Badger's builder and read by Badger's reader, but they are files of
// ours: Badger itself works through memory maps, and then a disk that is full or
// fails ends the process instead of the call.
type badgerEngine struct{}

func (badgerEngine) build(dir string, values iter.Seq[sealedChunk]) error {
	t := tables{dir: dir}
	for c := range values {
		if err := t.add(c); err != nil {
			return err
		}
	}
	if err := t.flush(); err != nil {
		return err
	}
	if err := writeSynced(filepath.Join(dir, badger.ManifestFilename), encodeManifest(t.count)); err != nil {
		return err
	}
	return syncDir(dir)
}

// tables writes chunks into tables from number 1 on.
type tables struct {
	dir     string
	builder *table.Builder // nil while it would be empty
	count   uint64
}

func (t *tables) add(c sealedChunk) (err error) {
	defer recovered(&err)
	if t.builder == nil {
		t.builder = table.NewTableBuilder(table.Options{TableSize: tableBytes, BlockSize: blockBytes})
	}
	t.builder.Add(y.KeyWithTs(badgerKey(c.first), 1), y.ValueStruct{Value: c.value}, 0)
	if t.builder.ReachedCapacity() {
		return t.flush()
	}
	return nil
}

func (t *tables) flush() error {
	if t.builder == nil {
		return nil
	}
	defer func() {
		t.builder.Close()
		t.builder = nil
	}()
	t.count++
	return writeSynced(table.NewFilename(t.count, t.dir), t.builder.Finish())
}

func badgerKey(first Seq) []byte { return binary.BigEndian.AppendUint64(nil, uint64(first)) }

// encodeManifest names tables 1 to count, in Badger's manifest version 8: one set of
// changes, a protocol buffer, that creates them.
//
//	| Bdgr | 0 u16 | 8 u16 | length u32 | crc32c u32 | {0x0a | length | 0x08 | table uvarint | 0x18 | level}... |
func encodeManifest(count uint64) []byte {
	var set []byte
	for id := uint64(1); id <= count; id++ {
		change := append(binary.AppendUvarint([]byte{0x08}, id), 0x18, lastLevel)
		set = append(append(set, 0x0a, byte(len(change))), change...)
	}
	b := append([]byte("Bdgr"), 0, 0, 0, 8)
	b = binary.BigEndian.AppendUint32(b, uint32(len(set)))
	b = binary.BigEndian.AppendUint32(b, crc32.Checksum(set, castagnoli))
	return append(b, set...)
}

// open reads the tables into memory. Badger itself would map them and list the
// directory, and end the process where the disk fails meanwhile.
func (badgerEngine) open(dir string) (c chunks, err error) {
	defer recovered(&err)
	files, err := os.ReadDir(dir) // in order
	if err != nil {
		return nil, err
	}
	var all badgerChunks
	for _, f := range files {
		id, ok := table.ParseFileID(f.Name())
		if !ok {
			continue
		}
		b, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil {
			return nil, err
		}
		t, err := table.OpenInMemoryTable(b, id, &table.Options{})
		if err != nil {
			return nil, fmt.Errorf("%s: %w: %v", f.Name(), errDamaged, err)
		}
		all = append(all, t)
	}
	return all, nil
}

// badgerChunks are tables, in order of their keys.
type badgerChunks []*table.Table

func (b badgerChunks) get(first Seq) (value []byte, err error) {
	defer recovered(&err)
	key := y.KeyWithTs(badgerKey(first), math.MaxUint64) // before that with any version
	i := sort.Search(len(b), func(i int) bool { return y.CompareKeys(b[i].Biggest(), key) >= 0 })
	if i < len(b) {
		it := b[i].NewIterator(table.NOCACHE)
		defer it.Close()
		if it.Seek(key); it.Valid() && y.SameKey(it.Key(), key) {
			return bytes.Clone(it.Value().Value), nil
		}
	}
	return nil, fmt.Errorf("chunk %d: absent: %w", first, errDamaged)
}

func (badgerChunks) close() error { return nil }

// recovered turns a panic of Badger's, which it has for what it can't read, into errDamaged.
func recovered(err *error) {
	if r := recover(); r != nil {
		*err = fmt.Errorf("%w: %v", errDamaged, r)
	}
}

package bufferstore

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"syscall"
)

// marksMagic begins a file of marks.
const marksMagic = "SKM\x01"

// encodeMarks writes what is known of all lanes as of a number of writing.
// Numbers are big endian, lists begin with their length, u32:
//
//	| SKM | 1 | crc32c | length u32 | number u64 | list of lanes |
//	lane: lane | first u64 | end u64 | spans | cursors
//
// The checksum covers what is behind the length, and the length that. Spans and
// cursors are those of a checkpoint.
func encodeMarks(n uint64, all map[string]*found) []byte {
	b := append([]byte(marksMagic), make([]byte, 8)...)
	b = appendU64(b, n)
	b = binary.BigEndian.AppendUint32(b, uint32(len(all)))
	for _, name := range slices.Sorted(maps.Keys(all)) {
		f := all[name]
		b = appendU64(appendText(b, name), uint64(f.state.first), uint64(f.state.end))
		b = appendCursors(appendSpans(b, f.spans), f.cursors)
	}
	binary.BigEndian.PutUint32(b[8:], uint32(len(b)-12))
	binary.BigEndian.PutUint32(b[4:], crc32.Checksum(b[12:], castagnoli))
	return b
}

// decodeMarks reads what encodeMarks wrote.
func decodeMarks(b []byte) (n uint64, all map[string]*found, ok bool) {
	if len(b) < 12 || string(b[:4]) != marksMagic {
		return 0, nil, false
	}
	sum, size := binary.BigEndian.Uint32(b[4:]), int64(binary.BigEndian.Uint32(b[8:]))
	if b = b[12:]; size > int64(len(b)) || sum != crc32.Checksum(b[:size], castagnoli) {
		return 0, nil, false
	}
	d := fields{b: b[:size]}
	n, all = d.u64(), map[string]*found{}
	for range d.length(25) {
		name, f := d.text(), newFound()
		f.state.first, f.state.end = d.seq(), d.seq()
		f.spans, f.cursors = d.spans(f.state.end), d.cursors()
		all[name] = f
	}
	return n, all, d.whole()
}

// witness keeps in two small files, written in turn, how far each lane is
// durable. It is no part of what makes it so and is never synced: it costs a page
// each half minute or so. It matters where the end of the head is damaged, which
// by itself looks like an end.
type witness struct {
	dir    string
	number uint64
	files  [2]*os.File
}

func (w *witness) path(i uint64) string {
	return filepath.Join(w.dir, []string{"marks-0", "marks-1"}[i])
}

// read returns the newest marks that are intact, empty if there are none.
func (w *witness) read() (newest map[string]*found) {
	for i := range uint64(2) {
		b, err := os.ReadFile(w.path(i))
		if err != nil {
			continue
		}
		if n, all, ok := decodeMarks(b); ok && n >= w.number {
			w.number, newest = n, all
		}
	}
	return newest
}

// write notes what is durable. The caller doesn't depend on it.
func (w *witness) write(all map[string]*found) (err error) {
	w.number++
	i := w.number % 2
	if w.files[i] == nil {
		w.files[i], err = os.OpenFile(w.path(i), os.O_WRONLY|os.O_CREATE, 0o600)
		if errors.Is(err, syscall.EISDIR) {
			return os.RemoveAll(w.path(i)) // the next but one is written
		}
		if err != nil {
			return err
		}
	}
	_, err = w.files[i].WriteAt(encodeMarks(w.number, all), 0)
	return err
}

func (w *witness) close() {
	for _, f := range w.files {
		if f != nil {
			_ = f.Close()
		}
	}
}

package bufferstore

import (
	"bytes"
	"cmp"
	"errors"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
)

const (
	scanBytes = 64 << 10
	pageBytes = 4 << 10 // what is given up where a read fails
)

// place is where an intact chunk was seen.
type place struct {
	chunk
	file   string
	offset int64
	length int
}

// salvage yields the intact chunks of lane in whatever files lie beneath dir, each
// once, in order of first number and epoch, whether or not they overlap. It
// reads around what can't be read, in the memory of one chunk. An error, the
// last thing yielded, says that more may be there.
func salvage(dir, lane string) iter.Seq2[sealedChunk, error] {
	return func(yield func(sealedChunk, error) bool) {
		places, err := findChunks(dir, lane)
		if err != nil {
			yield(sealedChunk{}, err)
			return
		}
		for _, p := range places {
			value, err := p.read()
			if err != nil {
				yield(sealedChunk{}, err)
				return
			}
			if c, err := checkChunk(lane, value); err == nil && c == p.chunk && !yield(sealedChunk{c, value}, nil) {
				return
			}
		}
	}
}

func findChunks(dir, lane string) (places []place, err error) {
	err = filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			err = withFile(name, func(f *os.File) error {
				info, err := f.Stat()
				if err != nil {
					return err
				}
				scan(f, info.Size(), lane, func(p place) {
					p.file = name
					places = append(places, p)
				})
				return nil
			})
		}
		if faulty(err) {
			return nil
		}
		return err
	})
	slices.SortStableFunc(places, func(a, b place) int {
		return cmp.Or(cmp.Compare(a.first, b.first), bytes.Compare(a.epoch[:], b.epoch[:]), cmp.Compare(b.last, a.last))
	})
	return slices.CompactFunc(places, func(a, b place) bool {
		return a.first == b.first && a.epoch == b.epoch
	}), err
}

func withFile(name string, do func(f *os.File) error) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(do(f), f.Close())
}

// read reads the chunk again. What can't be read now is zero.
func (p place) read() ([]byte, error) {
	b := make([]byte, p.length)
	return b, withFile(p.file, func(f *os.File) error {
		readAround(f, b, p.offset)
		return nil
	})
}

// scan finds the intact chunks of lane in the size bytes of r.
func scan(r io.ReaderAt, size int64, lane string, found func(place)) {
	var value []byte
	buf := make([]byte, scanBytes)
	for at := int64(0); at+chunkHeader <= size; {
		b := buf[:min(scanBytes, size-at)]
		readAround(r, b, at)
		i := bytes.Index(b, []byte(chunkMagic))
		if i < 0 {
			at += int64(max(len(b)-len(chunkMagic)+1, 1))
			continue
		}
		at += int64(i)
		p, ok := probeChunk(r, at, size, lane, &value)
		if !ok {
			at += int64(len(chunkMagic))
			continue
		}
		found(p)
		at += int64(p.length)
	}
}

// probeChunk looks whether an intact chunk lies at an offset.
func probeChunk(r io.ReaderAt, at, size int64, lane string, buf *[]byte) (place, bool) {
	header := make([]byte, chunkHeader+len(lane))
	readAround(r, header, at)
	_, length, err := parseHeader(lane, header)
	if err != nil || int64(length) > size-at {
		return place{}, false
	}
	*buf = slices.Grow((*buf)[:0], length)[:length]
	readAround(r, *buf, at)
	c, err := checkChunk(lane, *buf)
	return place{chunk: c, offset: at, length: length}, err == nil
}

// readAround fills b from an offset on. Pages that can't be read are zero.
func readAround(r io.ReaderAt, b []byte, at int64) {
	n, err := r.ReadAt(b, at)
	if err == nil || err == io.EOF {
		clear(b[n:])
		return
	}
	for len(b) > 0 {
		page := b[:min(int64(len(b)), pageBytes-at%pageBytes)]
		if n, err := r.ReadAt(page, at); err != nil {
			clear(page[n:])
		}
		b, at = b[len(page):], at+int64(len(page))
	}
}

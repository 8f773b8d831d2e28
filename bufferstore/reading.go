package bufferstore

import (
	"errors"
	"os"
	"path/filepath"
)

// reading is a segment open for reading: as it was written, or what is left of it.
type reading struct {
	number  uint64
	extents []extent
	damaged bool
	get     func(i int) ([]byte, error)
	close   func() error
}

// openReading opens a segment. Of a damaged one it finds the chunks that are
// intact and holds them in memory. The error is fs.ErrNotExist for one that has
// gone as a whole.
func openReading(root string, e engine, lane string, number uint64) (*reading, error) {
	o, err := openSegment(root, e, lane, number)
	if err == nil {
		get := func(i int) ([]byte, error) {
			c, err := o.chunk(i)
			return c.value, err
		}
		return &reading{number, o.chunks, false, get, o.close}, nil
	}
	if !errors.Is(err, errDamaged) && !faulty(err) {
		return nil, err
	}
	if _, err := os.Lstat(filepath.Join(root, segmentName(lane, number))); err != nil {
		return nil, err
	}
	left, err := rest(root, lane, number)
	if err != nil {
		return nil, err
	}
	r := &reading{number: number, damaged: true, close: func() error { return nil }}
	for _, c := range left {
		r.extents = append(r.extents, extent{c.epoch, c.first, c.last, len(c.value)})
	}
	r.get = func(i int) ([]byte, error) { return left[i].value, nil }
	return r, nil
}

// rest returns the intact chunks of a damaged segment.
func rest(root, lane string, number uint64) (left []sealedChunk, err error) {
	for c, err := range intact(filepath.Join(root, segmentName(lane, number)), lane, number) {
		if err != nil {
			return nil, err
		}
		left = append(left, c)
	}
	return left, nil
}

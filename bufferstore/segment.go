package bufferstore

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// A segment is a directory <lane>-<number> with an immutable set of chunks of one
// lane. Names with a dot, which no lane has, are those of segments on their way:
//
//	<lane>-<number>          whole, once its name is there
//	<lane>-<number>.new      being written
//	<lane>-<number>.fresh    whole; takes the place of a damaged one: see repairSegment
//	<lane>-<number>.gone     being removed
const (
	sealedName  = "sealed"
	newSuffix   = ".new"
	freshSuffix = ".fresh" // .fresh.new while it is being written
	goneSuffix  = ".gone"
)

// segment is what the store keeps in mind of a segment.
type segment struct {
	number      uint64
	first, last Seq
	age         time.Duration // of the store when its newest chunk was written
	bytes       int64         // on disk
	chunks      int
}

var errEmpty = errors.New("no chunks")

func segmentName(lane string, number uint64) string { return fmt.Sprintf("%s-%016x", lane, number) }

// parseSegmentName reads what segmentName wrote.
func parseSegmentName(name string) (lane string, number uint64, ok bool) {
	dash := len(name) - 17
	if dash < 1 {
		return "", 0, false
	}
	lane = name[:dash]
	number, err := strconv.ParseUint(name[dash+1:], 16, 64)
	return lane, number, err == nil && name == segmentName(lane, number) && !strings.Contains(lane, ".")
}

// writeSegment writes chunks, which rise and don't overlap, as a segment of lane
// beneath root, the directory of segments. It is durable, and each chunk has been
// read back and compared, when writeSegment returns nil. After an error nothing of it is left.
// There must be none of that number.
//
// A cut leaves:
//   - before the rename: a directory .new, which tidySegments removes;
//   - after the rename, before root is synced: that or the segment, whole, because
//     all of it was synced before.
func writeSegment(root string, e engine, lane string, number uint64, values iter.Seq2[sealedChunk, error]) (segment, error) {
	name := segmentName(lane, number)
	g, err := writeAs(root, name, e, lane, number, values)
	if err != nil {
		return segment{}, fmt.Errorf("write segment %s: %w", name, err)
	}
	return g, nil
}

// writeAs is writeSegment under any name.
func writeAs(root, name string, e engine, lane string, number uint64, values iter.Seq2[sealedChunk, error]) (g segment, err error) {
	dir := filepath.Join(root, name+newSuffix)
	if err := os.RemoveAll(dir); err != nil {
		return segment{}, err
	}
	err = os.Mkdir(dir, 0o700)
	if errors.Is(err, fs.ErrNotExist) { // nor is root, which the opening couldn't make
		err = errors.Join(os.MkdirAll(dir, 0o700), syncDir(filepath.Dir(root)))
	}
	if err != nil {
		return segment{}, err
	}
	defer func() {
		if err != nil {
			_ = os.RemoveAll(dir) // else tidySegments does
		}
	}()
	w := writing{sealed: sealed{lane: lane, number: number}}
	if err := w.write(dir, e, values); err != nil {
		return segment{}, err
	}
	if err := w.compare(dir, e); err != nil {
		return segment{}, fmt.Errorf("read back: %w", err)
	}
	if g, err = w.segment(dir); err != nil {
		return segment{}, err
	}
	named := filepath.Join(root, name)
	if err := os.Rename(dir, named); err != nil {
		return segment{}, err
	}
	if err := syncDir(root); err != nil {
		return segment{}, errors.Join(err, os.Rename(named, dir))
	}
	return g, nil
}

// writing is a segment being written.
type writing struct {
	sealed
	sums [][sha256.Size]byte // of the chunks that went in
	err  error               // why no more of them did
}

func (w *writing) write(dir string, e engine, values iter.Seq2[sealedChunk, error]) error {
	if err := e.build(dir, w.take(values)); err != nil || w.err != nil {
		return errors.Join(w.err, err)
	}
	if len(w.chunks) == 0 {
		return errEmpty
	}
	files, err := sumFiles(dir)
	if err != nil {
		return err
	}
	w.files = files
	if err := writeSynced(filepath.Join(dir, sealedName), encodeSealed(w.sealed)); err != nil {
		return err
	}
	return syncDir(dir)
}

// take passes chunks on and notes what they are, up to the first error.
func (w *writing) take(values iter.Seq2[sealedChunk, error]) iter.Seq[sealedChunk] {
	return func(yield func(sealedChunk) bool) {
		for c, err := range values {
			if err == nil {
				err = w.note(c)
			}
			if err != nil {
				w.err = err
				return
			}
			if !yield(c) {
				return
			}
		}
	}
}

func (w *writing) note(c sealedChunk) error {
	if n := len(w.chunks); n > 0 && c.first <= w.chunks[n-1].last {
		return fmt.Errorf("chunk %d-%d: behind %d", c.first, c.last, w.chunks[n-1].last)
	}
	w.chunks = append(w.chunks, extent{c.epoch, c.first, c.last, len(c.value)})
	w.sums = append(w.sums, sha256.Sum256(c.value))
	w.age = max(w.age, c.age)
	return nil
}

// compare opens what was written and compares it with what went in.
func (w *writing) compare(dir string, e engine) error {
	o, err := openDir(dir, e, w.lane, w.number)
	if err != nil {
		return err
	}
	for i := range w.sums {
		c, err := o.chunk(i)
		if err == nil && sha256.Sum256(c.value) != w.sums[i] {
			err = fmt.Errorf("chunk %d: another one: %w", w.chunks[i].first, errDamaged)
		}
		if err != nil {
			return errors.Join(err, o.close())
		}
	}
	return o.close()
}

// segment sums up what dir holds.
func (s *sealed) segment(dir string) (segment, error) {
	g := segment{number: s.number, age: s.age, chunks: len(s.chunks)}
	g.first, g.last = s.chunks[0].first, s.chunks[len(s.chunks)-1].last
	names := []string{".", sealedName}
	for _, f := range s.files {
		names = append(names, f.name)
	}
	for _, name := range names {
		info, err := os.Lstat(filepath.Join(dir, name))
		if err != nil {
			return segment{}, err
		}
		g.bytes += allocated(info)
	}
	return g, nil
}

// describe tells what a segment holds without looking at its chunks.
func describe(root, lane string, number uint64) (segment, []extent, error) {
	name := segmentName(lane, number)
	dir := filepath.Join(root, name)
	s, err := readSealed(dir, lane, number)
	if err != nil {
		return segment{}, nil, fmt.Errorf("segment %s: %w", name, err)
	}
	g, err := s.segment(dir)
	if err != nil {
		return segment{}, nil, fmt.Errorf("segment %s: %w", name, damage(err))
	}
	return g, s.chunks, nil
}

// listSegments returns the numbers of the segments beneath root by lane, in
// order, without looking into them. There needn't be a directory root.
func listSegments(root string) (map[string][]uint64, error) {
	entries, err := os.ReadDir(root)
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENOTDIR) {
		return nil, fmt.Errorf("list segments: %w", err)
	}
	all := make(map[string][]uint64)
	for _, e := range entries {
		if lane, number, ok := parseSegmentName(e.Name()); ok {
			all[lane] = append(all[lane], number)
		}
	}
	for _, numbers := range all {
		slices.Sort(numbers)
	}
	return all, nil
}

// tidySegments finishes what a cut left unfinished beneath root, which it makes
// if need be: it removes what was being written or removed. A fresh segment takes
// its place if the damaged one has left it; else the repair begins anew.
func tidySegments(root string) error {
	entries, err := os.ReadDir(root)
	if errors.Is(err, syscall.ENOTDIR) {
		if err := moveAside(filepath.Dir(root), root); err != nil {
			return err
		}
		err = fs.ErrNotExist
	}
	if errors.Is(err, fs.ErrNotExist) {
		return errors.Join(os.Mkdir(root, 0o700), syncDir(filepath.Dir(root)))
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		name, _, _ := strings.Cut(e.Name(), ".")
		if _, _, ok := parseSegmentName(name); !ok {
			continue
		}
		switch strings.TrimPrefix(e.Name(), name) {
		case freshSuffix:
			err = settleFresh(root, name)
		case newSuffix, goneSuffix, freshSuffix + newSuffix:
			err = os.RemoveAll(filepath.Join(root, e.Name()))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// settleFresh gives a fresh segment, if there is one, its name, or removes it.
func settleFresh(root, name string) error {
	dir := filepath.Join(root, name)
	_, err := os.Lstat(dir)
	switch {
	case err == nil:
		return os.RemoveAll(dir + freshSuffix)
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	if err := os.Rename(dir+freshSuffix, dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return syncDir(root)
}

// removeSegment gives the space of a segment back. A cut leaves the segment, whole, or
// a directory .gone: the rename is synced before anything is removed.
func removeSegment(root, lane string, number uint64) error {
	name := segmentName(lane, number)
	dir := filepath.Join(root, name)
	gone := dir + goneSuffix
	if err := os.RemoveAll(gone); err != nil {
		return fmt.Errorf("remove segment %s: %w", name, err)
	}
	if err := os.Rename(dir, gone); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return fmt.Errorf("remove segment %s: %w", name, err)
	}
	if err := errors.Join(syncDir(root), os.RemoveAll(gone)); err != nil {
		return fmt.Errorf("remove segment %s: %w", name, err)
	}
	return nil
}

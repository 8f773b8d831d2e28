package bufferstore

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"slices"
)

// openedSegment is a segment whose files were intact when it was opened.
// Goroutines may share it until close.
type openedSegment struct {
	sealed
	values chunks
}

// openSegment opens a segment after it has checked every byte of it. The error is
// errDamaged where repairSegment is the answer; any other may pass.
func openSegment(root string, e engine, lane string, number uint64) (*openedSegment, error) {
	name := segmentName(lane, number)
	o, err := openDir(filepath.Join(root, name), e, lane, number)
	if err != nil {
		return nil, fmt.Errorf("open segment %s: %w", name, err)
	}
	return o, nil
}

func openDir(dir string, e engine, lane string, number uint64) (*openedSegment, error) {
	s, err := readSealed(dir, lane, number)
	if err != nil {
		return nil, err
	}
	files, err := sumFiles(dir)
	if err != nil {
		return nil, damage(err)
	}
	if !slices.Equal(files, s.files) {
		return nil, fmt.Errorf("files: %w", errDamaged)
	}
	if s.plain() {
		e = plainEngine{} // whichever machine wrote it
	}
	values, err := e.open(dir)
	if err != nil {
		return nil, damage(err)
	}
	return &openedSegment{s, values}, nil
}

func (s *sealed) plain() bool { return len(s.files) == 1 && s.files[0].name == plainName }

// chunk reads the chunk at index i of o.chunks. It is the one that went in, or
// the error is errDamaged.
func (o *openedSegment) chunk(i int) (sealedChunk, error) {
	want := o.chunks[i]
	value, err := o.values.get(want.first)
	if err != nil {
		return sealedChunk{}, damage(err)
	}
	c, err := checkChunk(o.lane, value)
	if err != nil {
		return sealedChunk{}, err
	}
	if (extent{c.epoch, c.first, c.last, len(value)}) != want {
		return sealedChunk{}, fmt.Errorf("chunk %d: another one: %w", want.first, errDamaged)
	}
	return sealedChunk{c, value}, nil
}

func (o *openedSegment) close() error { return o.values.close() }

// readSealed reads what a segment says of itself.
func readSealed(dir, lane string, number uint64) (sealed, error) {
	f, err := os.Open(filepath.Join(dir, sealedName))
	if err != nil {
		return sealed{}, damage(err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxSealed+1))
	if err != nil {
		return sealed{}, damage(err)
	}
	s, err := decodeSealed(b)
	if err == nil && (s.lane != lane || s.number != number) {
		err = fmt.Errorf("sealed: of %s: %w", segmentName(s.lane, s.number), errDamaged)
	}
	return s, err
}

// sumFiles reads all files in dir but sealed, by pread: a bad sector is an error then.
func sumFiles(dir string) (files []sealedFile, err error) {
	entries, err := os.ReadDir(dir) // in order
	if err != nil {
		return nil, err
	}
	buf := make([]byte, 64<<10)
	for _, e := range entries {
		if e.Name() == sealedName {
			continue
		}
		f, err := sumFile(filepath.Join(dir, e.Name()), buf)
		if err != nil {
			return nil, err
		}
		files = append(files, f)
	}
	return files, nil
}

func sumFile(name string, buf []byte) (sealedFile, error) {
	f, err := os.Open(name)
	if err != nil {
		return sealedFile{}, err
	}
	defer f.Close()
	s := sealedFile{name: filepath.Base(name)}
	for {
		n, err := f.ReadAt(buf, s.length)
		s.crc = crc32.Update(s.crc, castagnoli, buf[:n])
		s.length += int64(n)
		if err == io.EOF {
			return s, nil
		}
		if err != nil {
			return sealedFile{}, err
		}
	}
}

// writeSynced writes and syncs a file; its entry is not synced.
func writeSynced(name string, b []byte) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	return errors.Join(err, f.Sync(), f.Close())
}

// damage takes what the file system has lost for damage.
func damage(err error) error {
	if faulty(err) && !errors.Is(err, errDamaged) {
		return fmt.Errorf("%w: %w", errDamaged, err)
	}
	return err
}

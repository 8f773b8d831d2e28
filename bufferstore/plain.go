package bufferstore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
)

// plainName is the one file of a segment of the plain engine: its chunks, one
// behind the other.
const plainName = "chunks"

// plainEngine is the engine of machines on which Badger loses keys.
type plainEngine struct{}

func (plainEngine) build(dir string, values iter.Seq[sealedChunk]) error {
	f, err := os.OpenFile(filepath.Join(dir, plainName), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	for c := range values {
		if _, err = f.Write(c.value); err != nil {
			break
		}
	}
	return errors.Join(err, f.Sync(), f.Close(), syncDir(dir))
}

func (plainEngine) open(dir string) (chunks, error) {
	f, err := os.Open(filepath.Join(dir, plainName))
	if err != nil {
		return nil, err
	}
	p := &plainChunks{f, make(map[Seq]section)}
	if err := p.walk(); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return p, nil
}

// section is where a chunk lies in the file.
type section struct{ offset, length int64 }

type plainChunks struct {
	f     *os.File
	where map[Seq]section // immutable after walk
}

// walk goes from header to header.
func (p *plainChunks) walk() error {
	var b [chunkHeader]byte
	for at := int64(0); ; {
		switch _, err := p.f.ReadAt(b[:], at); {
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		}
		length := int64(binary.BigEndian.Uint32(b[8:]))
		if string(b[:4]) != chunkMagic || length < chunkHeader || length > maxChunk {
			return fmt.Errorf("chunk at %d: header: %w", at, errDamaged)
		}
		p.where[Seq(binary.BigEndian.Uint64(b[20:]))] = section{at, length}
		at += length
	}
}

func (p *plainChunks) get(first Seq) ([]byte, error) {
	s, ok := p.where[first]
	if !ok {
		return nil, fmt.Errorf("chunk %d: absent: %w", first, errDamaged)
	}
	b := make([]byte, s.length)
	_, err := p.f.ReadAt(b, s.offset)
	return b, err
}

func (p *plainChunks) close() error { return p.f.Close() }

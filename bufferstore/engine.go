package bufferstore

import (
	"errors"
	"io"
	"io/fs"
	"iter"
	"syscall"
)

// engine writes and opens the chunks of a segment.
type engine interface {
	// build writes chunks, whose first numbers rise, into dir, which is there and
	// empty. It returns nil once all files and dir are synced.
	build(dir string, values iter.Seq[sealedChunk]) error
	// open opens what build wrote, read only. Every byte has been checked before.
	open(dir string) (chunks, error)
}

// chunks are those of an open segment. Goroutines may share it until close.
type chunks interface {
	// get returns the value of the chunk that begins with first, which is the
	// caller's own.
	get(first Seq) ([]byte, error)
	close() error
}

var errDamaged = errors.New("damaged")

// faults are what a file system answers where it has lost something, and not
// where it, or the process, is short of something for the moment.
var faults = []error{
	io.EOF, fs.ErrNotExist, syscall.ENOTDIR, syscall.EISDIR, syscall.EIO, syscall.EBADMSG, errCorrupt,
}

// faulty reports whether err says that something on disk can't be read.
func faulty(err error) bool {
	for _, f := range faults {
		if errors.Is(err, f) {
			return true
		}
	}
	return false
}

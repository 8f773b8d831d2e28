package bufferstore

import (
	"bytes"
	"cmp"
	"crypto/cipher"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"syscall"
)

// head is the log that makes records durable: files of one size, filled in
// turn, each commit on pages of its own by one write and one fdatasync. It is
// used by one goroutine at a time.
type head struct {
	dir    string
	size   int64
	key    cipher.AEAD
	files  []*headFile // by generation, the one being filled last
	latest uint32      // generation
	raw    int64       // bytes of the records in the file being filled, packed or not

	datasync func(*os.File) error
}

// headFile is one file of the head.
type headFile struct {
	name       string
	f          *os.File
	generation uint32 // of its newest frames, zero if it has none
	used       int64  // bytes, whole pages
	size       int64
	failed     bool // a write failed, or must not be: nothing more goes into it
}

// headNames are the files that there may be. Two are used in turn; the spare ones
// take over where one has failed that is still needed.
var headNames = []string{"head-0", "head-1", "head-2", "head-3", "head-4", "head-5"}

const headFiles = 2 // in turn

var errNoHead = errors.New("no head file is free")

// openHead reads the head files in dir and yields their intact frames, oldest
// first. Files that must not be written to are read as well.
func openHead(dir string, size int64, flag int) (*head, []frame, error) {
	h := &head{dir: dir, size: size, datasync: datasync}
	var all []frame
	for _, name := range headNames {
		f, err := os.OpenFile(filepath.Join(dir, name), flag, 0)
		readOnly := err != nil
		if readOnly {
			f, err = os.Open(filepath.Join(dir, name))
		}
		if faulty(err) {
			continue
		}
		if err != nil {
			return nil, nil, errors.Join(err, h.close())
		}
		hf := &headFile{name: name, f: f, failed: readOnly}
		h.files = append(h.files, hf)
		more, err := hf.read()
		if err != nil {
			return nil, nil, errors.Join(err, h.close())
		}
		all = append(all, more...)
	}
	slices.SortStableFunc(all, func(a, b frame) int { return cmp.Compare(a.tag.generation(), b.tag.generation()) })
	slices.SortStableFunc(h.files, func(a, b *headFile) int { return cmp.Compare(a.generation, b.generation) })
	if n := len(h.files); n > 0 {
		h.latest = h.files[n-1].generation
		if n > 1 && h.files[n-2].generation == h.latest { // a copy: neither is filled further
			h.files[n-1].failed = true
		}
	}
	if slices.ContainsFunc(h.files, func(f *headFile) bool { return f.failed }) {
		h.latest += uint32(len(headNames)) // of which each may hold one that can't be seen
		if last := h.last(); last != nil {
			last.failed = true
		}
	}
	return h, all, nil
}

// read returns a file's intact frames and finds out where its newest end. What
// can't be read counts as zeros.
func (hf *headFile) read() (all []frame, err error) {
	info, err := hf.f.Stat()
	if err != nil {
		return nil, err
	}
	b := make([]byte, min(info.Size(), maxHead))
	hf.size = int64(len(b)) &^ (pageBytes - 1)
	if _, err := hf.f.ReadAt(b, 0); err != nil && !errors.Is(err, io.EOF) {
		readAround(hf.f, b, 0)
		hf.failed = true // what can't be read today may be there tomorrow
	}
	for fr := range frames(b) {
		all = append(all, fr)
		if g := fr.tag.generation(); g >= hf.generation {
			hf.generation, hf.used = g, pages(int64(fr.end))
		}
	}
	return all, nil
}

// maxHead bounds what is read of a head file.
const maxHead = 256 << 20

// pages rounds n up to whole pages.
func pages(n int64) int64 { return (n + pageBytes - 1) &^ (pageBytes - 1) }

// fits reports whether a commit of n bytes goes into the file being filled. One
// that had its first commit refused has taken that generation with it.
func (h *head) fits(n int64) bool {
	f := h.last()
	return f != nil && !f.failed && f.generation == h.latest && f.used+pages(n) <= f.size && h.raw <= 2*h.size
}

// last returns the file being filled, nil if there is none. A file without a
// frame, as a cut or damage leaves it, is none: what goes into a file has a
// generation of its own.
func (h *head) last() *headFile {
	if n := len(h.files); n > 0 && h.files[n-1].generation > 0 {
		return h.files[n-1]
	}
	return nil
}

// failed reports whether the file being filled has refused a commit.
func (h *head) failed() bool {
	f := h.last()
	return f != nil && f.failed
}

// encode makes a commit of the newest generation, on whole pages.
func (h *head) encode(events []event) []byte {
	n := int64(0)
	for _, e := range events {
		n += frameCost(e)
	}
	b := make([]byte, 0, pages(n))
	t := newTag(h.latest)
	for _, e := range events {
		b = appendFrame(b, t, e, h.key)
	}
	return b[:pages(int64(len(b)))]
}

// frameCost is the most bytes that an event takes.
func frameCost(e event) int64 {
	return frameHeader + int64(len(e.body)+bytes.Count(e.body, []byte(guarded))) + sealCost
}

// sealCost is what encryption adds to a body: a nonce and an authenticator.
const sealCost = 28

// commit makes events durable. After an error nobody knows whether they are,
// and the file takes nothing more.
func (h *head) commit(events []event) error {
	b, f := h.encode(events), h.last()
	_, err := f.f.WriteAt(b, f.used)
	if err == nil {
		err = h.datasync(f.f)
	}
	if f.failed = err != nil; f.failed && f.used == 0 {
		// Nothing durable relies on a file whose first commit has failed.
		f.generation = 0
		h.files = slices.Insert(h.files[:len(h.files)-1], 0, f)
	}
	f.used += int64(len(b))
	return err
}

// settle makes durable what an earlier process may have left in the page cache
// only: it was killed between its write and its sync. A file for which that
// fails takes nothing more.
func (h *head) settle() error {
	for _, f := range h.files {
		if err := h.datasync(f.f); err != nil {
			f.failed = true
			if last := h.last(); last != nil && f.generation > 0 {
				last.failed = true // all is written again
			}
		}
	}
	return syncDir(h.dir)
}

// turn begins a new generation in a file that isn't needed, big enough for a
// commit of n bytes. needed is the oldest generation that is. A spare file is
// used after a failure, and where the caller allows it.
func (h *head) turn(needed uint32, n int64, spare bool) error {
	size := h.size
	for size < pages(n)+h.size/2 { // a checkpoint may be as long as a file
		size *= 2
	}
	f, err := h.next(needed, size, spare)
	if err != nil {
		return err
	}
	if len(h.files) == 0 && f.name == headNames[0] { // a fresh store: the next turn is not to wait for zeros
		if second, err := h.take(headNames[1], h.size); err == nil {
			h.files = append(h.files, second)
		}
	}
	h.latest++
	h.raw = 0
	f.generation, f.used = h.latest, 0
	h.files = append(h.files, f)
	return nil
}

// next takes the first file that may be filled anew. Where that one can't be
// made, and not for want of space, another may, or one that a seal sets free.
func (h *head) next(needed uint32, size int64, spare bool) (*headFile, error) {
	var failure error
	held := false
	for i, name := range headNames {
		if i >= headFiles && !spare && !h.failed() && failure == nil {
			break
		}
		if f := h.named(name); f != nil && f.generation > 0 && (f.generation >= needed || f == h.last()) {
			held = held || f != h.last()
			continue
		}
		f, err := h.take(name, size)
		if err == nil || errors.Is(err, syscall.ENOSPC) {
			return f, err
		}
		failure = errors.Join(failure, err)
	}
	if held {
		return nil, errors.Join(failure, errNoHead)
	}
	return nil, failure
}

func (h *head) named(name string) *headFile {
	for _, f := range h.files {
		if f.name == name {
			return f
		}
	}
	return nil
}

// take takes a file out of files, or makes it. One that is too short or much too
// long, or has failed, is made anew: nobody knows what a card does later with a
// page that it has refused.
func (h *head) take(name string, size int64) (*headFile, error) {
	f := h.named(name)
	h.files = slices.DeleteFunc(h.files, func(other *headFile) bool { return other == f })
	if f != nil && f.size >= size && f.size <= 4*size && !f.failed {
		return f, nil
	}
	if f != nil {
		_ = f.f.Close()
	}
	path := filepath.Join(h.dir, name)
	if err := os.RemoveAll(path); err != nil { // whatever it is
		return nil, err
	}
	file, err := createHead(path, size)
	if err != nil {
		return nil, errors.Join(err, os.Remove(path))
	}
	return &headFile{name: name, f: file, size: size}, nil
}

// createHead makes a file of zeros that are on disk: to write to it later moves
// neither blocks nor length, so that fdatasync has no metadata to write.
func createHead(path string, size int64) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	zeros := make([]byte, 256<<10)
	for at := int64(0); at < size && err == nil; at += int64(len(zeros)) {
		_, err = f.WriteAt(zeros[:min(int64(len(zeros)), size-at)], at)
	}
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = syncDir(filepath.Dir(path))
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("create %s: %w", filepath.Base(path), err), f.Close())
	}
	return f, nil
}

// drop removes the spare files that aren't needed.
func (h *head) drop(needed uint32) {
	h.files = slices.DeleteFunc(h.files, func(f *headFile) bool {
		if slices.Contains(headNames[:headFiles], f.name) || f.generation >= needed || f == h.last() {
			return false
		}
		_ = f.f.Close()
		_ = os.Remove(filepath.Join(h.dir, f.name)) // tried again at the next opening
		return true
	})
}

// bytes is what the files take on disk.
func (h *head) bytes() (sum int64) {
	for _, f := range h.files {
		sum += f.size
	}
	return sum
}

func (h *head) close() error {
	var errs []error
	for _, f := range h.files {
		errs = append(errs, f.f.Close())
	}
	return errors.Join(errs...)
}

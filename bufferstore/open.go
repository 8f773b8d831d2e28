package bufferstore

import (
	"cmp"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// segmentsDir and quarantineDir are the folders of segments and of what was set aside.
const (
	segmentsDir   = "segments"
	quarantineDir = "quarantine"
)

// ErrKey says that a store can't be read without its key, or with another one.
var ErrKey = errors.New("the buffer is encrypted under another key, or no key was given")

// Open opens the store in dir, which it creates if need be, under a new epoch.
// It reads the head and the names of the segments and needs no space: a full,
// failing or read-only file system makes the first Sync fail, not Open. What is damaged costs the records that it held. Content of a newer
// version is set aside in dir/quarantine and a fresh store begun. Open fails if
// dir can't be made or read, if another process has the store open, or with
// [ErrKey].
func Open(dir string, o Options) (*Store, error) {
	s, err := open(dir, o, segmentEngine)
	if err != nil {
		return nil, fmt.Errorf("store %s: %w", dir, err)
	}
	return s, nil
}

func open(dir string, o Options, e engine) (*Store, error) {
	o, err := o.checked()
	if err != nil {
		return nil, err
	}
	if err := makeDir(dir); err != nil {
		return nil, err
	}
	s := &Store{
		dir: dir, options: o, engine: e, epoch: newEpoch(), started: time.Now(),
		witness: witness{dir: dir}, waker: make(chan struct{}, 1), damaged: map[segmentID]bool{},
		built: map[*Lane]*segment{}, number: map[*Lane]uint64{}, lost: map[string][]gap{},
	}
	if s.lock, err = lockDir(dir); err != nil {
		return nil, err
	}
	if err := s.recover(); err != nil {
		if s.head != nil {
			err = errors.Join(err, s.head.close())
		}
		return nil, errors.Join(err, unlock(s.lock))
	}
	s.beginEpoch()
	s.quota.Store(cmp.Or(o.Quota, 1<<40))
	if err := s.measure(); err != nil { // Run tries again
		o.Logger.Warn("the space for the buffer can't be found out", "err", err)
	}
	return s, nil
}

// makeDir makes dir and what it lies in, if need be, durable: what is synced in a
// directory is lost where the directory itself is.
func makeDir(dir string) error {
	var missing []string
	for at := filepath.Clean(dir); at != filepath.Dir(at); at = filepath.Dir(at) {
		if all, err := os.ReadDir(at); len(all) > 0 || err != nil && !errors.Is(err, os.ErrNotExist) {
			break
		}
		missing = append(missing, at) // or empty, perhaps by a process that ended before it was synced
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for _, at := range missing {
		if err := syncDir(filepath.Dir(at)); err != nil && !errors.Is(err, os.ErrPermission) {
			return err
		}
	}
	return nil
}

// keys derives the keys of the head's frames and of chunks.
func keys(key []byte) (head, chunk cipher.AEAD, err error) {
	if key == nil {
		return nil, nil, nil
	}
	var made [2]cipher.AEAD
	for i, use := range []string{"skyhaul buffer head", "skyhaul buffer chunk"} {
		k, err := hkdf.Key(sha256.New, key, nil, use, 32)
		if err != nil {
			return nil, nil, err
		}
		block, err := aes.NewCipher(k)
		if err != nil {
			return nil, nil, err
		}
		if made[i], err = cipher.NewGCMWithRandomNonce(block); err != nil {
			return nil, nil, err
		}
	}
	return made[0], made[1], nil
}

// recover reads what is on disk. Content of a newer version is set aside once.
func (s *Store) recover() error {
	headKey, chunkKey, err := keys(s.options.Key)
	if err != nil {
		return err
	}
	s.key = chunkKey
	img, err := s.readImage(headKey)
	if errors.Is(err, errVersion) && !s.looking {
		if err := s.setAside(err); err != nil {
			return err
		}
		img, err = s.readImage(headKey)
	}
	if err != nil {
		return err
	}
	s.base = img.age
	s.quarantined, err = entries(filepath.Join(s.dir, quarantineDir))
	if err != nil {
		return err
	}
	return s.settle(img)
}

// readImage reads the head and the marks.
func (s *Store) readImage(key cipher.AEAD) (*image, error) {
	flag := os.O_RDWR
	if s.looking {
		flag = os.O_RDONLY
	}
	h, all, err := openHead(s.dir, s.options.HeadBytes, flag)
	if err != nil {
		return nil, err
	}
	h.key = key
	img, err := replay(all, func(fr frame) ([]byte, error) {
		if fr.kind&encryptedFrame == 0 {
			return fr.body, nil
		}
		if key == nil {
			return nil, ErrKey
		}
		body, err := key.Open(nil, nil, fr.body, append(slices.Clone(fr.tag[:]), byte(fr.kind)))
		if err != nil {
			return nil, ErrKey
		}
		return body, nil
	})
	if err != nil {
		return nil, errors.Join(err, h.close())
	}
	s.head = h
	for name, m := range s.witness.read() {
		img.lane(name).recall(m, img.whole)
	}
	return img, nil
}

// settle makes the lanes of the image and of the segments that are there.
func (s *Store) settle(img *image) error {
	if !s.looking {
		if err := tidySegments(s.segments()); err != nil {
			s.options.Logger.Warn("leftovers in the buffer can't be removed", "err", err)
		}
	}
	there, err := listSegments(s.segments())
	if err != nil {
		return err
	}
	for name := range there {
		img.lane(name)
	}
	for _, o := range s.options.Lanes {
		img.lane(o.Name)
	}
	for _, name := range slices.Sorted(maps.Keys(img.lanes)) {
		f := img.lanes[name]
		lost, useless := f.settle(s.present(name, f, there[name]), img.records[name])
		for _, number := range useless {
			s.garbage = append(s.garbage, segmentID{name, number})
		}
		if len(lost) > 0 {
			s.lost[name] = lost
		}
		for _, g := range lost {
			s.options.Logger.Error("durable records are gone", "lane", name, "first", g.first, "last", g.last)
		}
		for _, k := range f.state.segments {
			s.base = max(s.base, k.age)
		}
	}
	s.makeLanes(img.lanes)
	for _, l := range s.lanes {
		for _, k := range l.state.head {
			if k.generation == s.head.latest {
				s.head.raw += cost(k.data)
			}
		}
	}
	return nil
}

// present returns the segments of a lane that are on disk.
func (s *Store) present(lane string, f *found, there []uint64) (all []present) {
	known := map[uint64]segment{}
	for _, g := range f.state.segments {
		known[g.number] = g
	}
	for _, n := range there {
		if g, ok := known[n]; ok {
			all = append(all, present{segment: g})
			continue
		}
		g, epochs, err := s.unknown(lane, n)
		if err != nil {
			s.options.Logger.Error("segment can't be read", "lane", lane, "number", n, "err", err)
			continue
		}
		all = append(all, present{g, epochs})
	}
	return all
}

// unknown reads what a segment tells of itself.
func (s *Store) unknown(lane string, number uint64) (segment, []extent, error) {
	g, chunks, err := describe(s.segments(), lane, number)
	if err != nil && s.looking {
		return s.left(lane, number)
	}
	if err != nil {
		_, err = repairSegment(s.segments(), s.engine, lane, number)
		if err == nil {
			g, chunks, err = describe(s.segments(), lane, number)
		}
	}
	return g, chunks, err
}

func (s *Store) segments() string { return filepath.Join(s.dir, segmentsDir) }

// makeLanes makes the lanes of Options, and behind them those that Options
// doesn't name any more, whose records stay.
func (s *Store) makeLanes(all map[string]*found) {
	for _, o := range s.options.Lanes {
		s.lanes = append(s.lanes, newLane(s, o, all[o.Name]))
	}
	s.named = len(s.lanes)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if f := all[name]; s.Lane(name) == nil && f.state.end > 0 {
			s.lanes = append(s.lanes, newLane(s, LaneOptions{Name: name}, f))
		}
	}
}

func newLane(s *Store, o LaneOptions, f *found) *Lane {
	l := &Lane{s: s, name: o.Name, options: o, spans: f.spans, last: f.state.end, state: &f.state, cursors: map[string]*Cursor{}}
	for name, m := range f.cursors {
		l.cursors[name] = &Cursor{lane: l, marks: m, saved: m}
	}
	return l
}

// beginEpoch gives every lane the epoch of this opening, which is durable with
// the first records under it.
func (s *Store) beginEpoch() {
	for _, l := range s.lanes[:s.named] {
		l.begin(s.epoch)
	}
}

// setAside moves content of a newer version away. The marks stay, so that its
// numbers aren't given out again.
func (s *Store) setAside(cause error) error {
	aside := filepath.Join(s.dir, quarantineDir, asideStore+s.epoch.String())
	if err := os.MkdirAll(aside, 0o700); err != nil {
		return err
	}
	// The head goes last: a cut in between leaves what says that it isn't ours.
	for _, name := range append([]string{segmentsDir}, headNames...) {
		err := os.Rename(filepath.Join(s.dir, name), filepath.Join(aside, name))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	s.options.Logger.Error("store set aside, a fresh one begins", "dir", s.dir, "as", aside, "err", cause)
	return syncDir(s.dir)
}

// entries lists a folder, which need not be there.
func entries(dir string) (all []string, err error) {
	found, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	for _, e := range found {
		all = append(all, e.Name())
	}
	return all, err
}

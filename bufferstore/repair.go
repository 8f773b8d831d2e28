package bufferstore

import (
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"syscall"
)

// errUnreadable says that the disk doesn't give a segment's bytes back now. They
// may be intact, so it stays as it is: readers find what they can.
var errUnreadable = errors.New("unreadable for the moment")

// repairSegment puts a fresh segment of what is intact in the place of a damaged one,
// which goes to quarantine beside root. Without anything intact it returns a segment
// of no chunks, and none is left in its place. After an error it may be called again.
//
// A cut leaves, by the step it comes after:
//   - the fresh segment is whole under .fresh: that and the damaged one, and
//     tidySegments removes the fresh one: the repair begins anew;
//   - the damaged one is in quarantine: tidySegments gives the fresh one its name;
//   - the fresh one has its name: the end.
//
// Each step is synced before the next, so the damaged segment or the fresh one is
// always there under a name that tidySegments knows.
func repairSegment(root string, e engine, lane string, number uint64) (segment, error) {
	g, err := repair(root, e, lane, number)
	if err != nil {
		return segment{}, fmt.Errorf("repair segment %s: %w", segmentName(lane, number), err)
	}
	return g, nil
}

func repair(root string, e engine, lane string, number uint64) (segment, error) {
	name := segmentName(lane, number)
	dir := filepath.Join(root, name)
	if err := settleFresh(root, name); err != nil {
		return segment{}, err
	}
	o, err := openDir(dir, e, lane, number)
	if err == nil { // the end of an earlier repair
		g, err := o.segment(dir)
		return g, errors.Join(err, o.close())
	}
	if errors.Is(err, syscall.EIO) {
		return segment{}, fmt.Errorf("%w: %v", errUnreadable, err)
	}
	g, err := writeAs(root, name+freshSuffix, e, lane, number, intact(dir, lane, number))
	if err != nil && !errors.Is(err, errEmpty) {
		return segment{}, err
	}
	if err := setAside(root, name); err != nil {
		return segment{}, err
	}
	return g, settleFresh(root, name)
}

// intact yields the chunks of a segment that can be salvaged: those it lists or,
// where the list is gone, all that don't overlap.
func intact(dir, lane string, number uint64) iter.Seq2[sealedChunk, error] {
	s, err := readSealed(dir, lane, number)
	listed := err == nil
	return func(yield func(sealedChunk, error) bool) {
		if err != nil && !errors.Is(err, errDamaged) {
			yield(sealedChunk{}, err)
			return
		}
		var before Seq
		for c, err := range salvage(dir, lane) {
			own := extent{c.epoch, c.first, c.last, len(c.value)}
			if err == nil && (c.first <= before || listed && !slices.Contains(s.chunks, own)) {
				continue
			}
			if !yield(c, err) {
				return
			}
			before = c.last
		}
	}
}

// setAside moves a segment to quarantine.
func setAside(root, name string) error {
	return moveAside(filepath.Dir(root), filepath.Join(root, name))
}

// moveAside moves a file or directory of the store in dir to quarantine, under
// the first number that is free there.
func moveAside(dir, path string) error {
	quarantine := filepath.Join(dir, quarantineDir)
	if err := os.MkdirAll(quarantine, 0o700); err != nil {
		return err
	}
	if err := syncDir(dir); err != nil {
		return err
	}
	to := ""
	for n := 0; ; n++ {
		to = filepath.Join(quarantine, fmt.Sprintf("%s-%d", filepath.Base(path), n))
		if _, err := os.Lstat(to); errors.Is(err, fs.ErrNotExist) {
			break
		} else if err != nil {
			return err
		}
	}
	err := os.Rename(path, to)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return errors.Join(syncDir(quarantine), syncDir(filepath.Dir(path)))
}

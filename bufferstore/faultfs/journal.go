//go:build linux && !(386 || arm || mips || mipsle)

package faultfs

import (
	"math/rand/v2"
	"slices"
)

// slot is a place for an entry: a name in a directory.
type slot struct {
	dir  uint64
	name string
}

// edit puts inode now where inode was stood before; 0 is none.
type edit struct {
	slot
	was, now uint64
}

// dirOp is one directory operation: the edits that happen together.
type dirOp []edit

// creates says whether op makes a new entry and nothing else.
func (op dirOp) creates() bool { return len(op) == 1 && op[0].was == 0 }

// isOf says whether op is of the entry or the entries of inode ino.
func (op dirOp) isOf(ino uint64) bool {
	return slices.ContainsFunc(op, func(e edit) bool {
		return e.dir == ino || e.was == ino || e.now == ino
	})
}

// entries are directories by inode number: names and the inodes they stand for.
type entries map[uint64]map[string]uint64

func (es entries) set(s slot, ino uint64) {
	if es[s.dir] == nil {
		es[s.dir] = map[string]uint64{}
	}
	if ino == 0 {
		delete(es[s.dir], s.name)
	} else {
		es[s.dir][s.name] = ino
	}
}

func (es entries) apply(op dirOp) {
	for _, e := range op {
		es.set(e.slot, e.now)
	}
}

// fits says whether all stands as op found it, in directories that are there.
func (es entries) fits(op dirOp) bool {
	return !slices.ContainsFunc(op, func(e edit) bool { return es[e.dir][e.name] != e.was || !es.name(e.dir) })
}

// name says whether a directory has an entry.
func (es entries) name(dir uint64) bool {
	for _, names := range es {
		for _, ino := range names {
			if ino == dir {
				return true
			}
		}
	}
	return dir == root
}

// journal holds the directory operations that are not durable yet, in order.
type journal struct {
	strict bool
	ops    []dirOp
}

// commit makes durable what an fsync of inode ino does, and applies it to
// disk. It returns the operations.
func (j *journal) commit(disk entries, ino uint64, dir bool) []dirOp {
	var done []dirOp
	switch {
	case !j.strict:
		done, j.ops = j.prefix(ino)
	case dir:
		done, j.ops = j.related(ino)
	}
	for _, op := range done {
		disk.apply(op)
	}
	return done
}

// prefix splits the operations behind the last one that is of ino.
func (j *journal) prefix(ino uint64) (done, left []dirOp) {
	n := len(j.ops)
	for n > 0 && !j.ops[n-1].isOf(ino) {
		n--
	}
	return j.ops[:n:n], j.ops[n:]
}

// related picks out the operations on entries of directory ino, and those
// before them on the same entries.
func (j *journal) related(ino uint64) (done, left []dirOp) {
	slots := map[slot]bool{}
	for _, op := range slices.Backward(j.ops) {
		if !slices.ContainsFunc(op, func(e edit) bool { return e.dir == ino || slots[e.slot] }) {
			left = append(left, op)
			continue
		}
		for _, e := range op {
			slots[e.slot] = true
		}
		done = append(done, op)
	}
	slices.Reverse(done)
	slices.Reverse(left)
	return done, left
}

// after applies to disk what survives a power cut; without rng everything.
func (j *journal) after(disk entries, rng *rand.Rand) {
	n := len(j.ops)
	if rng != nil && !j.strict {
		n = rng.IntN(n + 1)
	}
	for _, op := range j.ops[:n] {
		if rng != nil && j.strict && (op.creates() || rng.IntN(2) == 0 || !disk.fits(op)) {
			continue
		}
		disk.apply(op)
	}
}

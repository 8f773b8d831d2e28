//go:build linux && !(386 || arm || mips || mipsle)

package faultfs

import "math/rand/v2"

// fate says which sectors of a write reach the disk.
type fate uint8

const (
	kept fate = iota
	dropped
	torn
)

// fates deals out what becomes of n changes. A file is spared or lost as a
// whole as often as not, because chance for each change alone would hardly
// ever leave that where there are many; else either all up to one change is
// there, that one torn, or each goes its own way.
func fates(rng *rand.Rand, n int) []fate {
	fs := make([]fate, n)
	if rng == nil {
		return fs
	}
	mood, last := rng.IntN(4), rng.IntN(n)
	for i := range fs {
		switch {
		case mood == 1, mood == 2 && i > last:
			fs[i] = dropped
		case mood == 2 && i == last:
			fs[i] = torn
		case mood == 3:
			fs[i] = fate(rng.IntN(3))
		}
	}
	return fs
}

// settle applies to disk what survives of the changes. What needs a shrinking
// or a punch that was lost is lost too: it lies in blocks that the file system
// doesn't know to be the file's.
func settle(disk *image, changes []change, rng *rand.Rand) {
	if len(changes) == 0 {
		return
	}
	for i, f := range fates(rng, len(changes)) {
		ch := changes[i]
		if ch.kind == wrote {
			ch.settle(disk, f, rng)
			continue
		}
		if f == torn {
			f = fate(rng.IntN(2))
		}
		if f == kept {
			ch.apply(disk)
		} else if ch.kind == shrank || ch.kind == punched {
			break
		}
	}
	disk.trim(disk.size)
}

func (ch change) apply(disk *image) {
	switch ch.kind {
	case grew:
		disk.size = max(disk.size, ch.size)
	case shrank:
		disk.size = max(disk.size, ch.size)
		disk.resize(ch.size)
	case reserved:
		disk.allocate(ch.off, ch.end)
		disk.size = max(disk.size, ch.size)
	case punched:
		disk.zero(ch.off, ch.end)
	}
}

// settle puts the surviving sectors of a write on disk. Of a torn one the
// first, the last or any sectors survive, and one in eight reads as zeros. The
// size may grow without the data, and the data may be there without the size.
func (ch change) settle(disk *image, f fate, rng *rand.Rand) {
	first := ch.off / sectorSize * sectorSize
	n := len(ch.sectors) / sectorSize
	survives := func(int) bool { return f == kept }
	if f == torn {
		survives = tear(rng, n)
	}
	reached := int64(0)
	for i := range n {
		off := first + int64(i)*sectorSize
		if !survives(i) {
			continue
		}
		data := ch.sectors[i*sectorSize:][:sectorSize]
		if f == torn && off >= ch.off && off+sectorSize <= ch.end && rng.IntN(8) == 0 {
			data = make([]byte, sectorSize)
		}
		disk.put(data, off)
		reached = min(off+sectorSize, ch.end)
	}
	switch {
	case rng == nil || f == kept && rng.IntN(4) > 0, f == torn && rng.IntN(2) == 0:
		disk.size = max(disk.size, ch.size)
	case f == torn:
		disk.size = max(disk.size, reached)
	}
}

// tear says for each of n sectors of a torn write whether it survives.
func tear(rng *rand.Rand, n int) func(int) bool {
	at := rng.IntN(n + 1)
	switch rng.IntN(3) {
	case 0:
		return func(i int) bool { return i < at }
	case 1:
		return func(i int) bool { return i >= at }
	default:
		return func(int) bool { return rng.IntN(2) == 0 }
	}
}

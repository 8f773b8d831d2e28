//go:build linux && !(386 || arm || mips || mipsle)

package faultfs

import (
	"math/rand/v2"
	"syscall"
	"time"
)

// Op is a set of kinds of calls that can fail.
type Op uint16

// The kinds of calls. Looking up a name and asking for attributes are none,
// because how often the kernel does that is its own affair.
const (
	Open    Op = 1 << iota // of a file or directory that is there
	Read                   // of content that the kernel doesn't hold; its second try fails too
	Write                  // by pwrite or for a memory map
	Sync                   // fsync, fdatasync and msync of a file
	SyncDir                // fsync of a directory
	Create                 // of a file or directory
	Remove                 // of a file or directory
	Rename                 //
	Resize                 // truncate and fallocate

	Any Op = 1<<iota - 1
)

// changing are the kinds that a read-only volume refuses.
const changing = Write | Sync | SyncDir | Create | Remove | Rename | Resize

// Loss says what a failed fsync does to the content that it should have made
// durable. In any case the error is reported once and the content counts as
// clean, so that the next fsync returns nil without making it durable.
type Loss uint8

const (
	// LossOnDisk leaves the new content to readers and the old one on disk: ext4.
	LossOnDisk Loss = iota
	// LossAtOnce takes the new content from readers too: btrfs.
	LossAtOnce
	// LossInPart is LossOnDisk, but some of it has reached the disk.
	LossInPart
)

// Fault is a plan to let calls fail. A call that fails changes nothing.
type Fault struct {
	Ops     Op            // which calls; 0 is Any
	Nth     int           // the call from now on that fails, from 1; 0 is the first
	Lasting bool          // and every one behind it
	Chance  float64       // instead of Nth: each call fails with this probability
	Errno   syscall.Errno // 0 is EIO
	Loss    Loss          // of content, where a Sync fails
}

// plan is a Fault and what is left to count until it strikes.
type plan struct {
	Fault
	left int
}

func (p *plan) strikes(op Op, rng *rand.Rand) bool {
	if p.Ops&op == 0 {
		return false
	}
	if p.Chance > 0 {
		return rng.Float64() < p.Chance
	}
	p.left--
	return p.left == 0 || p.left < 0 && p.Lasting
}

// Fail plans a fault, beside those that are planned already.
func (v *Volume) Fail(f Fault) {
	if f.Ops == 0 {
		f.Ops = Any
	}
	if f.Errno == 0 {
		f.Errno = syscall.EIO
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.plans = append(v.plans, &plan{Fault: f, left: max(f.Nth, 1)})
}

// Heal forgets all planned faults, ends a stall, and lets the volume be
// written to again.
func (v *Volume) Heal() {
	v.Stall(0)
	v.mu.Lock()
	defer v.mu.Unlock()
	v.plans, v.readOnly = nil, false
}

// SetReadOnly makes the volume refuse every change with EROFS, fsync included,
// as after an emergency remount; or takes that back. What was not durable
// before is neither lost nor made durable by it.
func (v *Volume) SetReadOnly(on bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.readOnly = on
}

// SetCapacity sets the size of the volume in bytes. It may be less than what
// is used.
func (v *Volume) SetCapacity(bytes int64) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.capacity = bytes
}

// Stall lets writes and fsyncs hang for d each, from now on. A new call sets
// free those that hang; Stall(0) ends it.
func (v *Volume) Stall(d time.Duration) {
	v.mu.Lock()
	defer v.mu.Unlock()
	close(v.freed)
	v.freed, v.stall = make(chan struct{}), d
}

// await is where writes and fsyncs hang.
func (v *Volume) await() {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.stall == 0 {
		return
	}
	timer, freed := time.NewTimer(v.stall), v.freed
	v.stats.Stalled++
	v.mu.Unlock()
	select {
	case <-timer.C:
	case <-freed:
	}
	v.mu.Lock()
	v.stats.Stalled--
}

// admit counts a call and says whether it fails by plan, and with what loss.
func (v *Volume) admit(op Op) (Loss, syscall.Errno) {
	v.stats.count(op)
	if v.readOnly && op&changing != 0 {
		return 0, syscall.EROFS
	}
	for _, p := range v.plans {
		if p.strikes(op, v.rng) {
			v.stats.Failed++
			return p.Loss, p.Errno
		}
	}
	return 0, 0
}

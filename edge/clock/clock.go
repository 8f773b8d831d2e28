// Package clock gives every record its stamp: the ordinal of this boot, the
// time since boot, the wall time and how far the wall time may be trusted. It
// is the only package that asks the kernel for clocks, and it never sets one.
//
// The wall clock of a gateway jumps: by years when a dead battery meets the
// first fix, by seconds when a link comes up after weeks. So a stamp's order is
// boot and boottime, and its wall time carries a quality:
//
//	synced     the kernel says that its clock is disciplined; the bound is the
//	           kernel's maxerror (systemd-timesyncd reports 0 there: it is believed)
//	holdover   it was disciplined in this boot; the bound grows by 50 ppm
//	rtc only   it never was, or someone set the clock since
//	unknown    before the trusted floor, or more than 20 years after it
//
// The trusted floor is the later of the program's build time and the last
// disciplined wall time kept on disk. It is fixed at Open. A wrong future time
// that stands for ten minutes, and to the end, is the next start's floor; to
// undo that, stop the daemon and remove clock.synced.* from the folder.
package clock

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"skyhaul/edge/point"
	"skyhaul/edge/stable"
)

const (
	checkEvery = 10 * time.Second
	keepEvery  = 10 * time.Minute
)

// Step is a jump of the wall clock by more than a second.
type Step struct {
	After point.Stamp   // the first stamp taken after the jump
	By    time.Duration // positive: forward
}

// Clock makes stamps. It is safe for concurrent use.
type Clock struct {
	// OnStep, set before Run or nil, is called by Run for every step, at most
	// ten seconds late.
	OnStep func(Step)

	dir  *stable.Dir
	log  *slog.Logger
	boot uint32         // immutable once set
	read func() reading // immutable once set

	mu      sync.Mutex // guards the fields below
	state   state
	pending []Step // not handed to OnStep yet
	steps   uint64

	keepFailed int // Run's own: times in a row that the synced time could not be kept
}

// Open finds the ordinal of this boot in dir, or gives it the next one. bootID
// names the boot, with or without dashes; empty: the kernel's own boot id, and
// where that is hidden every start counts as a boot. A folder that can't be
// written costs no start, see ordinal. An error means that there is no clock
// for the time since boot.
func Open(dir *stable.Dir, bootID string, log *slog.Logger) (*Clock, error) {
	if err := probe(); err != nil {
		return nil, fmt.Errorf("open clock: %w", err)
	}
	boot, err := ordinal(dir, bootID)
	if err != nil {
		log.Warn("table of boots in doubt, ordinals left out", "boot", boot, "err", err)
	}
	c := &Clock{dir: dir, log: log, boot: boot, read: read, state: state{floor: trustedFloor(dir)}}
	c.look()
	return c, nil
}

// Now returns the stamp of this moment. Between two calls its wall time keeps
// the same distance to its boottime unless the wall clock moved by more than
// 5 ms against it; the bound covers what that leaves.
func (c *Clock) Now() point.Stamp {
	s, _ := c.look()
	return s
}

// Steps returns how often the wall clock jumped since Open.
func (c *Clock) Steps() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.steps
}

// Run reports steps and keeps the last disciplined wall time on disk, until
// ctx ends; then it returns nil.
func (c *Clock) Run(ctx context.Context) error {
	check := time.NewTicker(checkEvery)
	defer check.Stop()
	keep := time.NewTicker(keepEvery)
	defer keep.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-check.C:
			c.report()
		case <-keep.C:
			c.keep()
		}
	}
}

// look reads the clocks. steady is how long the wall clock has not stepped.
func (c *Clock) look() (s point.Stamp, steady time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s, by := c.state.observe(c.read())
	s.Boot = c.boot
	if by != 0 {
		c.steps++
		// A clock that jumps a hundred times between two reports is one fault.
		if len(c.pending) < 100 {
			c.pending = append(c.pending, Step{After: s, By: by})
		}
	}
	return s, s.Boottime - c.state.steppedAt
}

func (c *Clock) report() {
	c.look()
	c.mu.Lock()
	steps := c.pending
	c.pending = nil
	c.mu.Unlock()
	for _, s := range steps {
		c.log.Warn("wall clock stepped", "by", s.By, "wall", s.After.Time(), "quality", s.After.Quality)
		if c.OnStep != nil {
			c.OnStep(s)
		}
	}
}

// keep saves the wall time as the next start's trusted floor. A time that was
// not disciplined, or stepped since the last look, is not to be trusted.
func (c *Clock) keep() {
	s, steady := c.look()
	if s.Quality != point.Synced || steady < keepEvery {
		return
	}
	err := saveSynced(c.dir, s.Time())
	switch {
	case err != nil:
		if c.keepFailed == 0 {
			c.log.Warn("synced time not kept", "err", err)
		}
		c.keepFailed++
	case c.keepFailed > 0:
		c.log.Info("synced time kept again", "failed", c.keepFailed)
		c.keepFailed = 0
	}
}

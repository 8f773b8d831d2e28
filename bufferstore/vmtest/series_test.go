//go:build linux && amd64

package vmtest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

// series is a number of cuts of one machine.
type series struct {
	machine  *machine
	ledgers  map[string]*ledger // by lane
	epochs   map[string]bool
	openTime time.Duration // that the last opening took, with telling what is there

	cuts, early, failures int // early: before the store was open
	last                  string
}

func newSeries(m *machine) *series {
	s := &series{machine: m, ledgers: map[string]*ledger{}, epochs: map[string]bool{}}
	for _, l := range loads {
		s.ledgers[l.Name] = &ledger{}
	}
	return s
}

var errCut = errors.New("power cut")

// patience is the most that a boot, an opening, or the next line takes.
const patience = 2 * time.Minute

// boot is one life of the machine.
type boot struct {
	*series
	look   bool          // only verify
	early  float64       // the share of an opening after which the power goes; 0: later
	moment time.Duration // from when all was verified to the cut
	writes int           // of the disk, from then or from the early moment
	cut    context.CancelCauseFunc
	timer  *time.Timer

	begun, open, done time.Time // of the opening, when the store was open, when all was told
}

// cycle boots the machine, lets it verify and write, and cuts.
func (s *series) cycle(ctx context.Context, rng *rand.Rand) error {
	b := boot{series: s, moment: time.Duration(rng.Int64N(int64(8 * time.Second))), writes: 1 + rng.IntN(30)}
	switch rng.IntN(8) {
	case 0, 1:
		b.early, b.writes = 1.2*rng.Float64(), 1+b.writes/8
	case 2:
		b.moment += 8 * time.Second
	}
	s.cuts++
	began := time.Now()
	before, beforeBytes := s.reported()
	err := b.live(ctx, rng)
	unflushed, lost, cutErr := s.machine.disk.cut(rng)
	if b.done.IsZero() {
		s.early++
	}
	records, bytes := s.reported()
	s.last = fmt.Sprintf("cycle %d: boot %v, open %v, read all %v; %d records, %d KiB durable; of %d sectors unflushed %d lost; %v",
		s.cuts, span(began, b.begun), span(b.begun, b.open), span(b.open, b.done), records-before, (bytes-beforeBytes)>>10,
		unflushed, lost, span(began, time.Now()))
	return errors.Join(err, cutErr)
}

// verify boots the machine and lets it verify only.
func (s *series) verify(ctx context.Context, rng *rand.Rand) error {
	b := boot{series: s, look: true}
	return b.live(ctx, rng)
}

// live runs the machine until the power goes.
func (b *boot) live(ctx context.Context, rng *rand.Rand) error {
	ctx, cut := context.WithCancelCause(ctx)
	defer cut(nil)
	b.cut = cut
	b.timer = time.AfterFunc(patience, func() { cut(errors.New("the machine doesn't boot")) })
	err := b.machine.boot(ctx, rng, b.hear)
	b.timer.Stop()
	if cause := context.Cause(ctx); err == nil && !errors.Is(cause, errCut) {
		err = cause
	}
	return err
}

// span is the time between two moments; zero if there was no second one.
func span(from, to time.Time) time.Duration {
	if to.IsZero() {
		return 0
	}
	return to.Sub(from).Round(10 * time.Millisecond)
}

// in replaces what would have happened.
func (b *boot) in(d time.Duration, why error) {
	b.timer.Stop()
	b.timer = time.AfterFunc(d, func() { b.cut(why) })
}

// cutIn plans the cut: in d and some writes, or a second later if the disk has
// nothing to write.
func (b *boot) cutIn(d time.Duration) {
	b.timer.Stop()
	end := func() { b.cut(errCut) }
	b.timer = time.AfterFunc(d, func() {
		if b.machine.cache == volatile {
			b.machine.disk.endAfter(b.writes, end)
			time.AfterFunc(time.Second, end)
			return
		}
		end()
	})
}

// hear takes in what the guest says.
func (b *boot) hear(l line) {
	switch l.Said {
	case opening:
		b.begun = time.Now()
		if b.early > 0 {
			b.cutIn(time.Duration(b.early * float64(b.openTime)))
		} else {
			b.in(patience, errors.New("the store doesn't open"))
		}
	case opened:
		b.open = time.Now()
		if b.epochs[l.Epoch] {
			b.cut(fmt.Errorf("epoch %s again", l.Epoch))
		}
		b.epochs[l.Epoch] = true
	case verified:
		b.done = time.Now()
		b.openTime = b.done.Sub(b.begun)
		for _, l := range b.ledgers {
			l.judge()
		}
		switch {
		case b.look:
			b.cut(errCut)
		case b.early == 0:
			b.cutIn(b.moment)
		}
	case failed:
		b.cut(errors.New(l.Text))
	default:
		b.ledgers[l.Lane].hear(l)
	}
}

// reported returns how many records were reported durable in all, and their bytes.
func (s *series) reported() (n uint64, bytes int64) {
	for _, l := range s.ledgers {
		n += l.reported
		bytes += l.bytes
	}
	return n, bytes
}

// table returns the result.
func (s *series) table() string {
	var lost, wrong uint64
	for _, l := range s.ledgers {
		lost += l.lost
		wrong += l.wrong
	}
	records, bytes := s.reported()
	return fmt.Sprintf(`
cuts                   %10d
  before it was open   %10d
records durable in all %10d
MiB of them            %10d
lost                   %10d
wrong                  %10d
failures to start      %10d`, s.cuts, s.early, records, bytes>>20, lost, wrong, s.failures)
}

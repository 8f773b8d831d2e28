package link

import (
	"errors"
	"fmt"
	"io/fs"
	"time"

	"skyhaul/link/batch"
)

// keepEvery is how often the chains are kept while the uplink runs: what a
// fresh start costs in bytes is less than flash is worth.
const keepEvery = time.Hour

// keptChain is the name of a lane's chain among the kept values.
func (l *lane) keptChain() string { return "chain." + l.Lane.String() }

// resume goes on with the chain that the process before this one has kept. One
// that can't be read is no loss: batches stand on their own until an ack
// permits otherwise.
func (l *lane) resume(k Keeper) error {
	b, err := k.Load(l.keptChain())
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(b) == 0 {
		return nil
	}
	var c *batch.Chain
	if err == nil {
		c, err = batch.ParseChain(b)
	}
	if err != nil {
		return fmt.Errorf("chain of lane %s: %w", l.Lane, err)
	}
	l.enc.Resume(c)
	l.kept = c.Name()
	return nil
}

// keep saves the chain if it is another than the one saved before.
func (l *lane) keep(k Keeper) error {
	var name uint32 // 0 is that of none
	var b []byte
	c := l.enc.Chain()
	if c != nil {
		name = c.Name()
	}
	if name == l.kept {
		return nil
	}
	if c != nil {
		b = c.Append(nil)
	}
	if err := k.Save(l.keptChain(), b); err != nil {
		return fmt.Errorf("chain of lane %s: %w", l.Lane, err)
	}
	l.kept = name
	return nil
}

// keep saves the chains of all lanes.
func (u *Uplink) keep() {
	if u.opt.Keeper == nil {
		return
	}
	u.kept = u.opt.Now().Boottime
	for _, l := range u.lanes {
		if err := l.keep(u.opt.Keeper); err != nil {
			u.opt.Logger.Warn("state of the coder is not kept", "err", err)
		}
	}
}

package edge

import (
	"context"
	"errors"

	"skyhaul/bufferstore"
	"skyhaul/config"
	"skyhaul/edge/archive"
	"skyhaul/edge/point"
)

// connectHarvest lets the archives of a unit be read.
func (d *Daemon) connectHarvest(c *config.Harvest) error {
	h, err := archive.New(c.Spec, archive.Options{
		Bus: d.line(c.Line), Sink: d.keeper, Sync: d.keptAll(), State: d.opts.State,
		Now: d.opts.Clock.Now, Logger: d.log,
	})
	if err != nil {
		return err
	}
	d.harvests = append(d.harvests, h)
	return nil
}

// keptAll returns a sync that fails where a record of lane custody was refused
// since the last one. A store that is full takes numbers and keeps nothing: that
// must not be acknowledged to an instrument, which then forgets.
func (d *Daemon) keptAll() func(context.Context) error {
	refused := func() uint64 { return refusedIn(d.store.Stats(), point.Custody) }
	before := refused()
	return func(ctx context.Context) error {
		if err := d.store.Sync(ctx); err != nil {
			return err
		}
		now := refused()
		if now == before {
			return nil
		}
		before = now
		return errors.New("the buffer is full")
	}
}

// refusedIn counts the records of a lane that were lost.
func refusedIn(s bufferstore.Stats, lane point.Lane) uint64 {
	for _, l := range s.Lanes {
		if l.Name == lane.String() {
			return l.Lost
		}
	}
	return 0
}

package edge

import (
	"context"
	"log/slog"
	"time"

	"skyhaul/bufferstore"
	"skyhaul/edge/point"
)

// lastSync is how long the last sync may take when the daemon stops.
const lastSync = 5 * time.Second

// keeper takes records for the store and makes them durable: all lanes by one
// sync each interval, an alarm at once.
type keeper struct {
	lanes    map[point.Lane]*bufferstore.Lane
	sync     func(context.Context) error
	interval time.Duration
	durable  func() // called when an urgent record became durable
	tick     func() // called whenever the loop has come round
	log      *slog.Logger
	urgent   chan struct{}
	fault    fault
}

func newKeeper(d *Daemon) *keeper {
	k := &keeper{
		lanes: map[point.Lane]*bufferstore.Lane{}, sync: d.store.Sync, interval: d.opts.Config.Buffer.Sync,
		durable: d.wake, tick: func() { d.opts.Tick(PartStore) }, log: d.log, urgent: make(chan struct{}, 1),
	}
	for _, l := range point.Lanes() {
		k.lanes[l] = d.store.Lane(l.String())
	}
	return k
}

// Put appends a record. It never blocks.
func (k *keeper) Put(lane point.Lane, rec []byte) {
	k.lanes[lane].Append(rec)
	if lane == point.Alarm {
		select {
		case k.urgent <- struct{}{}:
		default:
		}
	}
}

// Run syncs until ctx ends, and then once more: what was acquired before is
// durable when it returns, or the store can't write.
func (k *keeper) Run(ctx context.Context) error {
	ticker := time.NewTicker(k.interval)
	defer ticker.Stop()
	for {
		urgent := false
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastSync)
			defer cancel()
			if err := k.sync(last); err != nil {
				k.log.Error("the last readings are not in the buffer", "err", err)
			}
			return nil
		case <-ticker.C:
		case <-k.urgent:
			urgent = true
		}
		if k.once(ctx) && urgent {
			k.durable()
		}
		k.tick()
	}
}

// once syncs and tells of a store that can't write: when it begins and when it ends.
func (k *keeper) once(ctx context.Context) bool {
	err := k.sync(ctx)
	if ctx.Err() != nil && err != nil {
		return false // cut short, not refused; the last sync takes it in
	}
	k.fault.set(k.log, "buffer does not take readings", err)
	return err == nil
}

package buffigures

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sync/errgroup"
)

// pace writes 1,000 readings a second into all variants at once.
func (f *figures) pace(ctx context.Context) error {
	costs := make([]cost, len(f.variants))
	g, ctx := errgroup.WithContext(ctx)
	for i, v := range f.variants {
		g.Go(func() (err error) {
			if err := wait(ctx, time.Duration(i)*250*time.Millisecond); err != nil {
				return err
			}
			costs[i], err = f.paceOne(ctx, v)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	for i, v := range f.variants {
		if err := f.addBytes("paced", v, &costs[i]); err != nil {
			return err
		}
	}
	f.addRun(&costs[0])
	return nil
}

// paceOne writes into one variant; the writer ends by kill -9.
func (f *figures) paceOne(ctx context.Context, v variant) (cost, error) {
	w, _, err := f.start(ctx, v.disk, main)
	if err != nil {
		return cost{}, err
	}
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	c, err := w.run(play{seconds: seconds(f.paced), warmUp: seconds(f.warmUp), commit: seconds(v.commit), pace: ticker.C})
	return c, errors.Join(err, w.kill())
}

// race writes into one variant after the other as fast as it goes.
func (f *figures) race(ctx context.Context) error {
	for _, v := range f.variants {
		w, _, err := f.start(ctx, v.disk, "unpaced")
		if err != nil {
			return err
		}
		c, err := w.run(play{seconds: seconds(min(10*f.paced, time.Hour)), commit: seconds(v.commit)})
		if err != nil {
			return err
		}
		if err := errors.Join(w.stop(), os.RemoveAll(w.dir)); err != nil {
			return err
		}
		if err := f.addBytes("unpaced", v, &c); err != nil {
			return err
		}
	}
	return nil
}

// addBytes adds the row of the device's bytes.
func (f *figures) addBytes(pace string, v variant, c *cost) error {
	targets := map[time.Duration]string{time.Second: "<= 8", 5 * time.Second: "<= 5"}
	n := float64(c.readings)
	device := float64(c.end.device-c.begin.device) / n
	process := float64(c.end.process-c.begin.process) / n
	grown := float64(c.end.store-c.begin.store) / n
	f.add(fmt.Sprintf("device bytes, %s, %v", pace, v), device, "B/reading", targets[v.commit],
		fmt.Sprintf("store grown %.2f, else by the process %.2f, journal and metadata %.2f; sync p99 %.1f ms",
			grown, process-grown, device-process, c.latency(0.99)))
	if device <= 0 || process <= 0 {
		return fmt.Errorf("%v: %d readings took no bytes", v, c.readings)
	}
	return nil
}

// addRun adds the rows of the run with the backlog.
func (f *figures) addRun(c *cost) {
	f.add("anonymous RSS, paced, with backlog", float64(c.peak.anon)/1e6, "MB", "<= 40",
		fmt.Sprintf("most of all seconds; VmRSS %.1f MB", float64(c.peak.rss)/1e6))
	f.add("acquired to durable beyond the commit interval, p99", c.latency(0.99), "ms", "<= 20",
		fmt.Sprintf("p50 %.2f, max %.1f ms of %d", c.latency(0.5), c.latency(1), len(c.latencies)))
	busy := c.end.cpu - c.begin.cpu
	f.add("CPU of the writer, paced", 100*busy.Seconds()/c.end.at.Sub(c.begin.at).Seconds(), "%", "", "")
}

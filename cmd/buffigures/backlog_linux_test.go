package buffigures

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"skyhaul/bufferstore"
	"skyhaul/edge/point"
)

// readOutMost is how many readings are read at most.
const readOutMost = 200_000_000

// fill makes the backlog: a commit each second, as the daemon makes it, on a
// mount that doesn't wait for the disk.
func (f *figures) fill(ctx context.Context) error {
	d := f.variants[0].disk
	if err := d.remount(careless); err != nil {
		return err
	}
	w, _, err := f.start(ctx, d, main)
	if err != nil {
		return err
	}
	begin := time.Now()
	peak, err := w.fill(seconds(f.backlog))
	if err != nil {
		return err
	}
	readings := float64(w.next-1) * points
	rate := readings / time.Since(begin).Seconds() / 1e6
	if err := wait(ctx, min(f.paced, 90*time.Second)); err != nil { // for what the store does behind
		return err
	}
	if err := errors.Join(w.stop(), d.remount("")); err != nil {
		return err
	}
	size, err := allocated(w.dir)
	if err != nil {
		return err
	}
	perReading := float64(size-f.fixed) / readings
	f.add("disk for 30 days", (float64(f.fixed)+perReading*month.Seconds()*perSecond)/1e9, "GB", "<= 5",
		fmt.Sprintf("%.3f B/reading and %.1f MB, of %v", perReading, float64(f.fixed)/1e6, f.backlog))
	f.add("making the backlog", rate, "M readings/s", "", fmt.Sprintf("RssAnon up to %.1f MB", float64(peak.anon)/1e6))
	return nil
}

// fill writes so many seconds and tells on stderr how far it has got.
func (w *writer) fill(seconds int64) (peak memory, err error) {
	const step = 60
	begin := time.Now()
	told := begin
	var posted, done int64
	for done < seconds {
		next := min(step, seconds-posted)
		if err := w.post(next); err != nil {
			return peak, err
		}
		if err := w.collect(posted - done); err != nil { // the step before
			return peak, err
		}
		done, posted = posted, posted+next
		m, err := w.memory()
		if err != nil {
			return peak, err
		}
		peak = peak.most(m)
		if time.Since(told) > 10*time.Second {
			told = time.Now()
			fmt.Fprintf(os.Stderr, "%s backlog %.1f %%, %.2f M readings/s, RssAnon %.1f MB\n", told.Format(time.TimeOnly),
				100*float64(done)/float64(seconds), float64(done*perSecond)/time.Since(begin).Seconds()/1e6, float64(m.anon)/1e6)
		}
	}
	return peak, nil
}

// reopen kills a writer in the middle of a sync and opens the store on a cold
// machine.
func (f *figures) reopen(ctx context.Context) error {
	d := f.variants[0].disk
	w, _, err := f.start(ctx, d, main)
	if err != nil {
		return err
	}
	var took []time.Duration
	for range f.opens {
		durable, err := w.kill9()
		if err != nil {
			return err
		}
		if err := f.chill(d); err != nil {
			return err
		}
		var a answer
		if w, a, err = f.start(ctx, d, main); err != nil {
			return err
		}
		if a.number < durable {
			return fmt.Errorf("%d durable after kill -9, were %d", a.number, durable)
		}
		took = append(took, a.took)
	}
	slices.Sort(took)
	f.add("open after kill -9, cold", took[len(took)/2].Seconds(), "s", "<= 2",
		fmt.Sprintf("median of %d, max %v", len(took), took[len(took)-1].Round(time.Millisecond)))
	return w.stop()
}

// kill9 writes a minute of records, kills w while it makes more of them
// durable, and returns the last that was.
func (w *writer) kill9() (durable int64, err error) {
	if err := errors.Join(w.post(60), w.collect(60)); err != nil {
		return 0, err
	}
	durable = w.next - 1
	return durable, errors.Join(w.post(1), w.kill())
}

// chill empties the caches of what is on a disk.
func (f *figures) chill(d *disk) error {
	if err := d.remount(""); err != nil || !f.cold {
		return err
	}
	unix.Sync()
	return os.WriteFile("/proc/sys/vm/drop_caches", []byte("3"), 0)
}

// readOut reads the backlog, cold and warm, and compares each record.
func (f *figures) readOut(ctx context.Context) error {
	d := f.variants[0].disk
	if err := f.chill(d); err != nil {
		return err
	}
	w, opened, err := f.start(ctx, d, main)
	if err != nil {
		return err
	}
	from := max(1, opened.number-readOutMost/points+1)
	for _, state := range []string{"cold", "warm"} {
		a, err := w.ask(cmdReadOut, from)
		if err != nil {
			return err
		}
		if want := (opened.number - from + 1) * points; a.number != want {
			return fmt.Errorf("%d readings read, want %d", a.number, want)
		}
		f.add("sequential read-out, "+state, float64(a.number)/a.took.Seconds()/1e6, "M readings/s", ">= 20",
			fmt.Sprintf("%.1f M readings in %v", float64(a.number)/1e6, a.took.Round(time.Millisecond)))
	}
	if err := w.stop(); err != nil {
		return err
	}
	return f.compare(w.dir, from)
}

// compare returns an error unless the records from a number on are those that
// were written.
func (f *figures) compare(dir string, from int64) (err error) {
	s, _, err := openStore(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	var scan point.Scan
	var want []byte
	next := bufferstore.Seq(from)
	for r, err := range s.Lane(point.History.String()).Records(next) {
		if err != nil {
			return err
		}
		want = f.load.append(want[:0], &scan, int64(r.First))
		if r.First != next || r.Lost != bufferstore.Kept || !bytes.Equal(r.Data, want) {
			return fmt.Errorf("record %d, want %d: %v %x, want %x", r.First, next, r.Lost, r.Data, want)
		}
		next = r.Last + 1
	}
	return nil
}

// reclaim acknowledges all and sees how fast the space comes back.
func (f *figures) reclaim(ctx context.Context) error {
	d := f.variants[0].disk
	w, _, err := f.start(ctx, d, main)
	if err != nil {
		return err
	}
	full, err := d.used()
	if err != nil {
		return err
	}
	begin := time.Now()
	if _, err := w.ask(cmdAck); err != nil {
		return err
	}
	all := full - d.empty - f.fixed
	lasts, share, reached := min(f.paced, time.Minute), 0.0, time.Duration(0)
	for time.Since(begin) < lasts {
		if err := wait(ctx, 100*time.Millisecond); err != nil {
			return err
		}
		used, err := d.used()
		if err != nil {
			return err
		}
		if share = 100 * float64(full-used) / float64(all); share < 99 {
			reached = 0
		} else if reached == 0 {
			reached = time.Since(begin)
		}
	}
	note := fmt.Sprintf("of %.1f MB", float64(all)/1e6)
	if reached > 0 {
		note += fmt.Sprintf(", 99 %% after %.1f s", reached.Seconds())
	}
	f.add(fmt.Sprintf("space back %v after ack", lasts), share, "%", ">= 99", note)
	if err := f.wakeUps(ctx, w, "idle wake-ups, backlog gone"); err != nil {
		return err
	}
	return errors.Join(w.stop(), os.RemoveAll(filepath.Join(d.dir, main)))
}

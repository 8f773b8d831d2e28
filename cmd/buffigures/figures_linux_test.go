package buffigures

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

var (
	paced   = flag.Duration("paced", 0, "how long TestFigures writes 1,000 readings a second; 0: two seconds")
	backlog = flag.Duration("backlog", 0, "how much of such readings the store holds before; 0: two minutes")
	commits = flag.String("commit", "1s,5s", "`INTERVALS` between syncs, the first of which has the backlog")
	data    = flag.String("data", "", "`DIR` of recordings, as an absolute path, to take instead of those in the repository")
	results = flag.String("figures", "", "`FILE`, as an absolute path, for the table as JSON")
)

const (
	month     = 30 * 24 * time.Hour
	perSecond = groups * points
)

// figures is a run of all measurements.
type figures struct {
	table
	t        *testing.T
	load     *load
	paced    time.Duration
	backlog  time.Duration
	warmUp   time.Duration // of the paced writers
	cold     bool          // drop the machine's page cache before what is measured cold
	opens    int
	variants []variant
	fixed    int64 // bytes allocated by an empty store
}

// variant is a mount and an interval between syncs.
type variant struct {
	*disk
	commit time.Duration
}

func (v variant) String() string {
	mount := "noatime"
	if v.lazytime {
		mount += ",lazytime"
	}
	return fmt.Sprintf("%v commit, %s", v.commit, mount)
}

// main is the store that is written at its pace; the one on the first variant's
// disk has the backlog.
const main = "main"

func TestFigures(t *testing.T) {
	ctx, stop := signal.NotifyContext(t.Context(), os.Interrupt)
	defer stop()
	f := newFigures(t)
	steps := []struct {
		name string
		run  func(context.Context) error
	}{
		{"idle", f.idle},
		{"backlog", f.fill},
		{"paced", f.pace},
		{"unpaced", f.race},
		{"open after kill -9", f.reopen},
		{"read-out", f.readOut},
		{"space back", f.reclaim},
	}
	for _, s := range steps {
		fmt.Fprintf(os.Stderr, "%s %s\n", time.Now().Format(time.TimeOnly), s.name)
		if err := s.run(ctx); err != nil {
			t.Errorf("%s: %v", s.name, err)
			break // the others build on it
		}
	}
	t.Logf("\n%s", &f.table)
	if *results != "" {
		if err := f.save(*results); err != nil {
			t.Error(err)
		}
	}
}

// newFigures reads the load and makes the disks.
func newFigures(t *testing.T) *figures {
	t.Helper()
	f := &figures{t: t, paced: *paced, backlog: *backlog, cold: *paced > 0, opens: 5}
	if f.paced == 0 {
		f.paced, f.opens = 2*time.Second, 1
	}
	if f.backlog == 0 {
		f.backlog = 2 * time.Minute
	}
	if f.paced >= 10*time.Minute {
		f.warmUp = time.Minute
	}
	needed := f.paced + f.backlog/500
	if deadline, ok := t.Deadline(); ok && time.Until(deadline) < needed {
		t.Fatalf("takes at least %v: give a longer -timeout", needed)
	}
	dir := "../../link/batch/bench/testdata"
	if *data != "" {
		dir = *data
	}
	var err error
	if f.load, err = newLoad(dir); err != nil {
		t.Fatal(err)
	}
	size := 2<<30 + seconds(f.backlog)*perSecond*6
	for interval := range strings.SplitSeq(*commits, ",") {
		commit, err := time.ParseDuration(interval)
		if err != nil || commit < time.Second || commit%time.Second != 0 {
			t.Fatalf("-commit %s: want whole seconds", *commits)
		}
		for _, lazytime := range []bool{false, true} {
			f.variants = append(f.variants, variant{newDisk(t, size, lazytime), commit})
			size = 1 << 30
		}
	}
	f.Title = f.title()
	return f
}

func seconds(d time.Duration) int64 { return int64(d / time.Second) }

func (f *figures) title() string {
	var u unix.Utsname
	_ = unix.Uname(&u) // then there is no release
	text := fmt.Sprintf("%d groups of %d points at 1 Hz from %s; paced %v, backlog %v; %s, Linux %s, %d CPUs",
		groups, points, strings.Join(f.load.names, ", "), f.paced, f.backlog,
		runtime.Version(), unix.ByteSliceToString(u.Release[:]), runtime.NumCPU())
	if f.paced < time.Hour || f.backlog < month {
		text += "\na quick look: the targets are for 1h0m0s and 720h0m0s"
	}
	return text
}

// start starts a writer on a store of a disk, which is made if it is not there.
func (f *figures) start(ctx context.Context, d *disk, name string) (*writer, answer, error) {
	w, a, err := newWriter(ctx, f.load, d, name)
	if w != nil {
		f.t.Cleanup(func() { w.kill() })
	}
	return w, a, err
}

// idle measures a new store in which nothing happens.
func (f *figures) idle(ctx context.Context) error {
	w, _, err := f.start(ctx, f.variants[0].disk, "idle")
	if err != nil {
		return err
	}
	if err := f.wakeUps(ctx, w, "idle wake-ups, new store"); err != nil {
		return err
	}
	if f.fixed, err = allocated(w.dir); err != nil {
		return err
	}
	return errors.Join(w.stop(), os.RemoveAll(w.dir))
}

// wakeUps counts how often the threads of a writer run that has nothing to do.
func (f *figures) wakeUps(ctx context.Context, w *writer, figure string) error {
	lasts := min(f.paced, 30*time.Second)
	before, err := w.switches()
	if err != nil {
		return err
	}
	if err := wait(ctx, lasts); err != nil {
		return err
	}
	after, err := w.switches()
	f.add(figure, float64(after-before)/lasts.Seconds(), "/s", "<= 60", fmt.Sprintf("over %v", lasts))
	return err
}

func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

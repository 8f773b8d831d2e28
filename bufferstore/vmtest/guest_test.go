//go:build linux && amd64

package vmtest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"skyhaul/bufferstore"
)

// line is what the guest tells the host, one JSON object a line.
type line struct {
	Said        verb
	Lane        string             `json:",omitempty"`
	Epoch       string             `json:",omitempty"`
	First, Last bufferstore.Seq    `json:",omitempty"`
	Lost        bufferstore.Reason `json:",omitempty"`
	Acked       bufferstore.Seq    `json:",omitempty"`
	Bytes       int64              `json:",omitempty"`
	Text        string             `json:",omitempty"`
}

// verb says which of line's fields count.
type verb string

const (
	opening  verb = "opening"  // the disk is mounted
	opened   verb = "opened"   // Epoch
	holds    verb = "holds"    // Lane: First to Last are records of Epoch, or Lost
	wrong    verb = "wrong"    // Lane, Epoch, First: the record isn't what was appended; Text
	cursor   verb = "cursor"   // Lane: Acked is what the opening found
	verified verb = "verified" // all of the store was told
	gap      verb = "gap"      // Lane: an uplink reads First to Last as Lost
	durable  verb = "durable"  // Lane: First to Last, of Bytes, are durable under Epoch, the cursor at Acked
	acking   verb = "acking"   // Lane: about to acknowledge up to Acked
	failed   verb = "failed"   // Text
)

// guest is the machine's init.
type guest struct {
	seed uint64
	out  *os.File // the host's end of the second serial line
}

// runGuest is all that the machine does; it doesn't return.
func runGuest() {
	var g guest
	err := g.run()
	g.say(line{Said: failed, Text: fmt.Sprint(err)})
	select {} // the host cuts the power
}

func (g *guest) say(l line) {
	b, err := json.Marshal(l)
	if err == nil {
		_, err = g.out.Write(append(b, '\n'))
	}
	if err != nil {
		panic(err) // on the console, and the kernel's after it
	}
}

func (g *guest) run() error {
	if err := unix.Mount("dev", "/dev", "devtmpfs", 0, ""); err != nil {
		return fmt.Errorf("mount /dev: %v", err)
	}
	var err error
	if g.out, err = os.OpenFile("/dev/ttyS1", os.O_WRONLY, 0); err != nil {
		return err
	}
	if g.seed, err = strconv.ParseUint(os.Getenv("VMTEST_SEED"), 10, 64); err != nil {
		return err
	}
	if err := mountDisk(os.Getenv("VMTEST_MOUNT"), os.Getenv("VMTEST_WRITEBACK")); err != nil {
		return err
	}
	g.say(line{Said: opening})
	o := bufferstore.Options{Logger: slog.New(slog.NewTextHandler(os.Stderr, nil))}
	for _, l := range loads {
		o.Lanes = append(o.Lanes, l.LaneOptions)
	}
	s, err := bufferstore.Open("/disk/store", o)
	if err != nil {
		return fmt.Errorf("open: %v", err)
	}
	g.say(line{Said: opened, Epoch: s.Epoch().String()})
	for _, l := range loads {
		if err := g.tell(s.Lane(l.Name), l); err != nil {
			return fmt.Errorf("lane %s: %v", l.Name, err)
		}
	}
	if aside := s.Stats().Quarantined; len(aside) > 0 {
		return fmt.Errorf("set aside: %v", aside)
	}
	g.say(line{Said: verified})
	return g.work(s)
}

// mountDisk makes the disk known and mounts it on /disk. The kernel writes
// what isn't synced after so many hundredths of a second.
func mountDisk(options, writeback string) error {
	for _, m := range modules {
		f, err := os.Open("/" + m + ".ko")
		if err != nil {
			return err
		}
		if err := unix.FinitModule(int(f.Fd()), "", 0); err != nil {
			return fmt.Errorf("module %s: %v", m, err)
		}
		_ = f.Close() // read only
	}
	for _, dir := range []string{"/proc", "/disk"} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			return err
		}
	}
	if err := unix.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		return fmt.Errorf("mount /proc: %v", err)
	}
	for _, name := range []string{"dirty_expire_centisecs", "dirty_writeback_centisecs"} {
		if err := os.WriteFile("/proc/sys/vm/"+name, []byte(writeback), 0); err != nil {
			return err
		}
	}
	if err := unix.Mount("/dev/vda", "/disk", "ext4", 0, options); err != nil {
		return fmt.Errorf("mount /dev/vda with %q: %v", options, err)
	}
	return nil
}

// tell says what every number of a lane holds.
func (g *guest) tell(lane *bufferstore.Lane, l load) error {
	g.say(line{Said: cursor, Lane: l.Name, Acked: lane.Cursor("hub").Acked()})
	var runs []run
	for r, err := range lane.Records(1) {
		if err != nil {
			return err
		}
		g.check(l, r)
		runs = extend(runs, run{r.First, r.Last, r.Epoch.String(), r.Lost})
	}
	for _, r := range runs {
		g.say(line{Said: holds, Lane: l.Name, Epoch: r.epoch, First: r.first, Last: r.last, Lost: r.lost})
	}
	return nil
}

// check says so where a record isn't what was appended under its name.
func (g *guest) check(l load, r bufferstore.Record) {
	if r.Lost != bufferstore.Kept {
		return
	}
	if want := l.record(g.seed, r.Epoch, r.First); r.First != r.Last || !bytes.Equal(want, r.Data) {
		g.say(line{
			Said: wrong, Lane: l.Name, Epoch: r.Epoch.String(), First: r.First, Last: r.Last,
			Text: fmt.Sprintf("%d bytes %.40q, want %d bytes %.40q", len(r.Data), r.Data, len(want), want),
		})
	}
}

// work loads the store until something fails.
func (g *guest) work(s *bufferstore.Store) error {
	ended := make(chan error)
	go func() { ended <- fmt.Errorf("run: %v", s.Run(context.Background())) }()
	for _, l := range loads {
		go func() { ended <- fmt.Errorf("lane %s: %v", l.Name, g.write(s, l)) }()
	}
	return <-ended
}

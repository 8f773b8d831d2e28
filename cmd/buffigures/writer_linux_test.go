package buffigures

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"skyhaul/edge/point"
)

// writer is the process that has a store open, as the test sees it.
type writer struct {
	process
	load *load
	disk *disk
	dir  string
	cmd  *exec.Cmd
	pipe io.Closer
	in   *bufio.Writer
	out  *bufio.Reader
	next int64 // the number of the next record
	scan point.Scan
	rec  []byte
}

// answer is what a writer says to a command.
type answer struct {
	took   time.Duration
	number int64
}

// newWriter starts a writer on the store of that name, which is made if it is
// not there. Its first answer says how long the store took to open.
func newWriter(ctx context.Context, l *load, d *disk, name string) (*writer, answer, error) {
	w := &writer{load: l, disk: d, dir: filepath.Join(d.dir, name)}
	if err := l.keepSchemas(w.dir); err != nil {
		return nil, answer{}, err
	}
	exe, err := os.Executable()
	if err != nil {
		return nil, answer{}, err
	}
	w.cmd = exec.CommandContext(ctx, exe)
	w.cmd.Env = append(os.Environ(), childEnv+"="+w.dir, "GORACE=atexit_sleep_ms=0")
	w.cmd.Stderr = os.Stderr
	in, err1 := w.cmd.StdinPipe()
	out, err2 := w.cmd.StdoutPipe()
	if err := errors.Join(err1, err2, w.cmd.Start()); err != nil {
		return nil, answer{}, err
	}
	w.process, w.pipe, w.in, w.out = process(w.cmd.Process.Pid), in, bufio.NewWriterSize(in, 64<<10), bufio.NewReader(out)
	a, err := w.answer()
	w.next = a.number + 1
	return w, a, err
}

// answer waits for the next answer.
func (w *writer) answer() (a answer, err error) {
	if _, err := fmt.Fscanln(w.out, (*int64)(&a.took), &a.number); err != nil {
		return a, fmt.Errorf("writer on %s: %w", w.dir, err)
	}
	return a, nil
}

// ask sends a command that has no arguments, or one number, and waits for the
// answer.
func (w *writer) ask(cmd byte, args ...int64) (answer, error) {
	if err := w.send(cmd, args...); err != nil {
		return answer{}, err
	}
	return w.answer()
}

func (w *writer) send(cmd byte, args ...int64) error {
	w.in.WriteByte(cmd)
	for _, arg := range args {
		w.in.Write(binary.AppendUvarint(nil, uint64(arg)))
	}
	return w.in.Flush()
}

// append sends the records of so many seconds; they leave with the next command.
func (w *writer) append(seconds int64) {
	w.in.WriteByte(cmdRecords)
	var size []byte
	w.in.Write(binary.AppendUvarint(size, uint64(seconds*groups)))
	for range seconds * groups {
		w.rec = w.load.append(w.rec[:0], &w.scan, w.next)
		size = binary.AppendUvarint(size[:0], uint64(len(w.rec)))
		w.in.Write(size)
		w.in.Write(w.rec)
		w.next++
	}
}

// sync makes what was appended durable, and checks that it is.
func (w *writer) sync() (time.Duration, error) {
	a, err := w.ask(cmdSync)
	if err == nil && a.number != w.next-1 {
		err = fmt.Errorf("%d durable after a sync, want %d", a.number, w.next-1)
	}
	return a.took, err
}

// post sends records of so many seconds with a sync after each, collect takes
// the answers.
func (w *writer) post(seconds int64) error {
	for range seconds {
		w.append(1)
		w.in.WriteByte(cmdSync)
	}
	return w.in.Flush()
}

func (w *writer) collect(answers int64) error {
	for range answers {
		if _, err := w.answer(); err != nil {
			return err
		}
	}
	return nil
}

// stop ends the writer in order, kill by kill -9.
func (w *writer) stop() error {
	err := w.pipe.Close()
	return errors.Join(err, w.cmd.Wait())
}

func (w *writer) kill() error {
	err := w.cmd.Process.Kill()
	if errors.Is(err, os.ErrProcessDone) {
		err = nil
	}
	_ = w.cmd.Wait() // killed
	return err
}

// counters are what has been used up to a moment.
type counters struct {
	device, process, store int64 // bytes: device and process written, store allocated
	cpu                    time.Duration
	at                     time.Time
}

func (w *writer) counters() (c counters, err error) {
	err1 := w.disk.sync()
	var err2, err3, err4, err5 error
	c.device, err2 = w.disk.written()
	c.process, err3 = w.written()
	c.store, err4 = allocated(w.dir)
	c.cpu, err5 = w.cpu()
	c.at = time.Now()
	return c, errors.Join(err1, err2, err3, err4, err5)
}

// cost is what a run of records took.
type cost struct {
	begin, end counters
	readings   int64
	latencies  []time.Duration // each from the last append to the end of the sync
	peak       memory
}

// latency returns the latency that a share of the syncs kept to, in ms.
func (c *cost) latency(share float64) float64 {
	slices.Sort(c.latencies)
	if len(c.latencies) == 0 {
		return 0
	}
	at := min(int(share*float64(len(c.latencies))), len(c.latencies)-1)
	return float64(c.latencies[at]) / 1e6
}

// play is how a writer is given records.
type play struct {
	seconds, warmUp int64
	commit          int64            // seconds between syncs
	pace            <-chan time.Time // one a second; nil: as fast as it goes
}

// run plays records and returns what all but those of the warm-up cost.
func (w *writer) run(p play) (c cost, err error) {
	for s := range p.seconds {
		if s == p.warmUp {
			if c.begin, err = w.counters(); err != nil {
				return c, err
			}
			c.readings, c.latencies = 0, nil
		}
		if p.pace != nil {
			<-p.pace
		}
		w.append(1)
		c.readings += perSecond
		if (s+1)%p.commit == 0 || s == p.seconds-1 {
			took, err := w.sync()
			if err != nil {
				return c, err
			}
			c.latencies = append(c.latencies, took)
		} else if err := w.in.Flush(); err != nil {
			return c, err
		}
		m, err := w.memory()
		if err != nil {
			return c, err
		}
		c.peak = c.peak.most(m)
	}
	c.end, err = w.counters()
	return c, err
}

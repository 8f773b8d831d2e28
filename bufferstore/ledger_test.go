package bufferstore

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// holding is a run of numbers that are records of one epoch, or lost for one reason.
type holding struct {
	first, last Seq
	epoch       Epoch
	lost        Reason
}

// extend appends a run, to the last one if it only goes on.
func extend(runs []holding, r holding) []holding {
	if n := len(runs); n > 0 && runs[n-1] == (holding{runs[n-1].first, r.first - 1, r.epoch, r.lost}) {
		runs[n-1].last = r.last
		return runs
	}
	return append(runs, r)
}

// end returns the last number of runs.
func end(runs []holding) Seq {
	if len(runs) == 0 {
		return 0
	}
	return runs[len(runs)-1].last
}

// ledger is what a store's children have said of it: what must be there.
type ledger struct {
	mu     sync.Mutex // guards all
	lanes  map[string]*laneLedger
	epochs map[Epoch]bool
	tally

	evicts bool // space is short: lanes that may drop do so
	fails  bool // the disk: what is unreadable now need not stay so
}

// laneLedger is what is known of a lane.
type laneLedger struct {
	policy        Policy
	runs          []holding // all numbers up to the durable end, without a hole
	acked, acking Seq       // the cursor is between them
	dropping      Seq       // up to here it may have been thinned
	told          []holding // by the reading under way
	cursor        Seq
}

// tally is what a campaign counts.
type tally struct {
	rounds  int
	durable Seq    // records
	lost    Seq    // of them
	wrong   Seq    // numbers that aren't what they were
	given   Seq    // lost by policy, and declared
	hidden  Seq    // of durable ones, that couldn't be read for the moment
	refused int    // Syncs
	refusal string // of the last one
	starts  int
	failed  int // starts
	died    int // children, by themselves
	slowest time.Duration
	faults  []string
}

func newLedger() *ledger {
	b := &ledger{lanes: map[string]*laneLedger{}, epochs: map[Epoch]bool{}}
	for _, l := range childLoads {
		b.lanes[l.Name] = &laneLedger{policy: l.Policy}
	}
	return b
}

func (y *tally) faultf(format string, args ...any) {
	y.faults = append(y.faults, fmt.Sprintf("round %d: ", y.rounds)+fmt.Sprintf(format, args...))
}

// String is the line that a campaign ends with.
func (y *tally) String() string {
	return fmt.Sprintf("%d rounds, %d starts, %d durable records checked, %d lost, %d wrong, %d declared by policy, %d unreadable for the moment, %d Syncs refused, %d failures to start, %d deaths, slowest Append %v",
		y.rounds, y.starts, y.durable, y.lost, y.wrong, y.given, y.hidden, y.refused, y.failed, y.died, y.slowest.Round(time.Microsecond))
}

// add takes over what another ledger has counted.
func (y *tally) add(o tally) {
	y.rounds += o.rounds
	y.durable += o.durable
	y.lost += o.lost
	y.wrong += o.wrong
	y.given += o.given
	y.hidden += o.hidden
	y.refused += o.refused
	y.starts += o.starts
	y.failed += o.failed
	y.died += o.died
	y.slowest = max(y.slowest, o.slowest)
	y.faults = append(y.faults, o.faults...)
}

// maxAppend is more than an Append takes on a machine that is busy.
const maxAppend = 2 * time.Second

// report ends a campaign.
func (y *tally) report(t testing.TB) {
	t.Helper()
	t.Log(y)
	for _, f := range y.faults[:min(len(y.faults), 20)] {
		t.Error(f)
	}
	if y.slowest > maxAppend {
		t.Errorf("an Append took %v", y.slowest)
	}
	if y.lost+y.wrong > 0 || y.failed+y.died+len(y.faults) > 0 {
		t.Errorf("%d faults", len(y.faults))
	}
}

// hear takes in what a child says.
func (b *ledger) hear(s said) {
	b.mu.Lock()
	defer b.mu.Unlock()
	l := b.lanes[s.Lane]
	switch s.What {
	case "opened":
		b.starts++
		b.epochs[s.Epoch] = true
	case "cursor":
		l.told, l.cursor = nil, s.Acked
	case "holds":
		l.told = extend(l.told, holding{s.First, s.Last, s.Epoch, s.Lost})
	case "told":
		b.judge()
	case "wrong":
		b.wrong++
		b.faultf("%s: %d of %s is %s", s.Lane, s.First, s.Epoch, s.Text)
	case "acking":
		l.acking = max(l.acking, s.Acked)
	case "dropping":
		l.dropping = max(l.dropping, s.Last)
	case "durable":
		b.extend(s.Lane, l, holding{s.First, s.Last, s.Epoch, s.Lost})
	case "refused":
		b.refused++
		b.refusal = s.Text
	case "done":
		b.slowest = max(b.slowest, s.Slowest)
	}
}

// extend takes in what has become durable.
func (b *ledger) extend(lane string, l *laneLedger, r holding) {
	if r.first != end(l.runs)+1 {
		b.wrong++
		b.faultf("%s: %d was given out after %d", lane, r.first, end(l.runs))
	}
	n := r.last - r.first + 1
	switch {
	case r.lost == Kept:
		b.durable += n
	case r.lost == Refused && b.evicts, r.lost == Evicted && b.evicts && l.policy != Keep, r.lost == Thinned && r.last <= l.dropping:
		b.given += n
	default:
		b.lost += n
		b.faultf("%s: %d to %d are %v", lane, r.first, r.last, r.lost)
	}
	l.runs = extend(l.runs, r)
}

// judge compares what a reading has told with what must be there, and goes on
// from what it has told, if the disk is sound.
func (b *ledger) judge() {
	for _, name := range slices.Sorted(maps.Keys(b.lanes)) {
		b.judgeLane(name, b.lanes[name])
	}
}

func (b *ledger) judgeLane(name string, l *laneLedger) {
	next := Seq(1)
	for _, r := range l.told {
		if r.first != next || r.last < r.first || !b.epochs[r.epoch] {
			b.wrong++
			b.faultf("%s: after %d comes %+v", name, next-1, r)
		}
		next = r.last + 1
	}
	if l.cursor < l.acked && !b.fails || l.cursor > l.acking {
		b.wrong++
		b.faultf("%s: the cursor is at %d, want %d to %d", name, l.cursor, l.acked, l.acking)
	}
	for _, want := range l.runs {
		for _, got := range l.told {
			b.compare(name, l, want, got)
		}
		if want.last > end(l.told) && b.fails {
			b.hidden += want.last - max(want.first, end(l.told)+1) + 1
		} else if want.last > end(l.told) {
			first := max(want.first, end(l.told)+1)
			b.lost += want.last - first + 1
			b.faultf("%s: %d to %d: missing, the lane ends at %d", name, first, want.last, end(l.told))
		}
	}
	if !b.fails {
		l.runs, l.acked = l.told, l.cursor
		return
	}
	for _, r := range l.told {
		if r.last > end(l.runs) { // it was durable, but not told any more
			r.first = max(r.first, end(l.runs)+1)
			l.runs = extend(l.runs, r)
		}
	}
}

// compare compares two runs where they overlap.
func (b *ledger) compare(name string, l *laneLedger, want, got holding) {
	first, last := max(got.first, want.first), min(got.last, want.last)
	n := last - first + 1
	switch {
	case first > last, got.lost == want.lost && got.epoch == want.epoch:
	case got.lost == Expired && last <= l.cursor:
		// delivered, and its space given back
	case want.lost == Kept && got.epoch == want.epoch && b.mayGo(l, got.lost, last):
		b.given += n
	case want.lost == Kept && got.epoch == want.epoch && b.fails && got.lost == Damaged:
		b.hidden += n
	case want.lost == Kept && got.lost != Kept:
		b.lost += n
		b.faultf("%s: %d to %d are lost: %v", name, first, last, got.lost)
	default:
		b.wrong += n
		b.faultf("%s: %d to %d: %v of %s, was %v of %s", name, first, last, got.lost, got.epoch, want.lost, want.epoch)
	}
}

// mayGo reports whether a lane may have given up durable records up to last.
func (b *ledger) mayGo(l *laneLedger, why Reason, last Seq) bool {
	return why == Evicted && b.evicts && l.policy != Keep || why == Thinned && last <= l.dropping
}

// child is a process with a store.
type child struct {
	t     testing.TB
	cmd   *exec.Cmd
	in    *json.Encoder
	book  atomic.Pointer[ledger]
	done  chan said // one for each command
	ended chan struct{}
}

// startChild starts a child that tells a ledger, or later another one, all it says.
func startChild(t testing.TB, b *ledger) *child {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := &child{t: t, cmd: exec.CommandContext(t.Context(), exe), done: make(chan said, 100), ended: make(chan struct{})}
	c.cmd.Env = append(os.Environ(), childEnv+"=1", "GORACE=atexit_sleep_ms=0", "GOMAXPROCS=2")
	c.cmd.Stderr = os.Stderr
	in, err := c.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	c.in = json.NewEncoder(in)
	c.book.Store(b)
	go c.listen(out)
	return c
}

func (c *child) listen(out io.Reader) {
	defer close(c.ended)
	for d := json.NewDecoder(out); ; {
		var s said
		if d.Decode(&s) != nil {
			return // it has ended
		}
		c.book.Load().hear(s)
		if s.What == "done" {
			c.done <- s
		}
	}
}

// tell gives a command. A child that has died is found out by await.
func (c *child) tell(cmd command) { _ = c.in.Encode(cmd) }

// childPatience is how long a command may take. Then the child tells where it hangs.
const childPatience = time.Minute

// await waits until a command is done and returns what it has failed with.
func (c *child) await() error {
	c.t.Helper()
	select {
	case s := <-c.done:
		if s.Text != "" {
			return errors.New(s.Text)
		}
		return nil
	case <-c.ended:
		c.t.Fatalf("the child has died: %v", c.cmd.Wait())
	case <-time.After(childPatience):
		_ = c.cmd.Process.Signal(syscall.SIGQUIT)
		<-c.ended
		c.t.Fatal("the child hangs")
	}
	return nil
}

// ask gives a command and waits until it is done.
func (c *child) ask(cmd command) error {
	c.t.Helper()
	c.tell(cmd)
	return c.await()
}

// kill ends the child, and notes in the ledger if it had ended by itself. All that
// it has said is in the ledger then.
func (c *child) kill(b *ledger) {
	_ = c.cmd.Process.Kill() // it may have ended
	<-c.ended
	err := c.cmd.Wait()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		b.mu.Lock()
		b.died++
		b.faultf("the child has died: %v", err)
		b.mu.Unlock()
	}
}

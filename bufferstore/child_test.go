package bufferstore

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"iter"
	"log/slog"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"testing"
	"time"
)

// A test that kills a process, or serves the file system that a store lies on,
// has the store in a child: the test binary, started again, which does what it
// reads from its standard input and says what becomes of it.
func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "" {
		serveChild()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

const childEnv = "BUFFERSTORE_CHILD"

// command is what a child is told to do, a line of JSON. It says done after each.
type command struct {
	Do string // see childStore.obey

	// of "open"
	Dir        string
	Plain, Key bool
	Run        bool  // else "write" maintains the store after every fourth Sync
	Quota      int64 // see Options
	MaxPending int64
	Log        bool // to standard error

	// of "write"
	Seed   uint64
	Steps  int           // Syncs; zero goes on until the next command
	Pause  time.Duration // between them
	NoAcks bool
}

// said is what a child says, a line of JSON.
type said struct {
	What        string // opened, cursor, holds, told; wrong; acking, dropping; durable, refused; done
	Lane        string
	Epoch       Epoch
	First, Last Seq
	Lost        Reason
	Acked       Seq           // cursor: as read; acking: it is about to be
	Slowest     time.Duration // done: of all Appends
	Text        string        // refused, done: the error; wrong: what it is
}

// load is a lane and what is written to it.
type load struct {
	LaneOptions
	batch int // most records before a Sync
	size  int // of the longest record, bytes
}

// childLoads are unlike each other in what a store might confuse: few small
// records, records that stay when they are delivered, bulk that may go, and
// bulk that may be thinned. They fill a head of 64 KiB with a few Syncs.
var childLoads = []load{
	{LaneOptions{Name: "alarm"}, 2, 60},
	{LaneOptions{Name: "custody", Retain: time.Second}, 6, 600},
	{LaneOptions{Name: "history", Policy: DropOldest}, 20, 1500},
	{LaneOptions{Name: "trend", Policy: Thin}, 3, 1000},
}

// record returns the record that has a name: every byte follows from it, and
// the length from lane and number.
func (l load) record(e Epoch, n Seq) []byte {
	h := fnv.New64a()
	_, _ = h.Write([]byte(l.Name)) // never fails
	size := 16 + int(rand.NewPCG(h.Sum64(), uint64(n)).Uint64()%uint64(l.size))
	_, _ = h.Write(e[:])
	rng := rand.NewPCG(h.Sum64(), uint64(n))
	b := append(make([]byte, 0, size+8), e[:]...)
	for b = binary.BigEndian.AppendUint64(b, uint64(n)); len(b) < size; {
		b = binary.BigEndian.AppendUint64(b, rng.Uint64()&0x0f0f0f0f0f0f0f0f) // packs to half
	}
	return b[:size]
}

func (c command) options() Options {
	o := Options{Codec: squeeze{}, HeadBytes: 64 << 10, Quota: c.Quota, MaxPending: c.MaxPending}
	for _, l := range childLoads {
		o.Lanes = append(o.Lanes, l.LaneOptions)
	}
	if c.Key {
		o.Key = bytes.Repeat([]byte("k"), 32)
	}
	if c.Log {
		o.Logger = slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	return o
}

func (c command) engine() engine {
	if c.Plain {
		return plainEngine{}
	}
	return segmentEngine
}

// childStore is the store in a child.
type childStore struct {
	*Store
	how     command // as it was opened
	told    map[*Lane]Seq
	slowest time.Duration
	stop    func() // ends Run
	next    <-chan command
}

func serveChild() {
	next := make(chan command, 16)
	go func() {
		defer close(next)
		for in := json.NewDecoder(os.Stdin); ; {
			var c command
			if in.Decode(&c) != nil {
				return // the parent has gone
			}
			next <- c
		}
	}()
	c := childStore{next: next}
	for cmd := range next {
		s := said{What: "done"}
		if err := c.obey(cmd); err != nil {
			s.Text = err.Error()
		}
		s.Slowest = c.slowest
		say(s)
	}
}

func say(s said) {
	b, err := json.Marshal(s)
	if err == nil {
		_, err = os.Stdout.Write(append(b, '\n'))
	}
	if err != nil {
		os.Exit(4) // nobody listens
	}
}

func (c *childStore) obey(cmd command) error {
	if c.Store == nil && cmd.Do != "open" {
		return errClosed
	}
	switch cmd.Do {
	case "open":
		return c.open(cmd)
	case "write":
		return c.write(cmd)
	case "flood":
		return c.flood(cmd)
	case "read":
		return c.read()
	case "maintain":
		c.maintain()
		return nil
	case "close":
		c.stop()
		s := c.Store
		c.Store = nil
		return s.Close()
	default:
		return fmt.Errorf("%q: no such command", cmd.Do)
	}
}

func (c *childStore) open(cmd command) error {
	s, err := open(cmd.Dir, cmd.options(), cmd.engine())
	if err != nil {
		return err
	}
	c.Store, c.how, c.told, c.stop = s, cmd, map[*Lane]Seq{}, func() {}
	say(said{What: "opened", Epoch: s.Epoch()})
	for _, ld := range childLoads {
		l := c.Lane(ld.Name)
		c.holds(ld, slices.Collect(c.stretches(l)))
	}
	say(said{What: "told"})
	if cmd.Run {
		ctx, cancel := context.WithCancel(context.Background())
		var running sync.WaitGroup
		running.Go(func() { _ = s.Run(ctx) }) // nil
		c.stop = func() {
			cancel()
			running.Wait()
		}
	}
	return nil
}

// stretches yields what a lane holds by what the store has in mind, from the
// number on that it was told of last.
func (c *childStore) stretches(l *Lane) iter.Seq[holding] {
	return func(yield func(holding) bool) {
		for st := l.current(); c.told[l] < st.end; {
			pos := c.told[l] + 1
			p := st.at(pos)
			sp, last := spanAt(l.spans, pos, st.end)
			c.told[l] = min(p.last, last)
			yield(holding{pos, c.told[l], sp.epoch, p.lost})
		}
	}
}

// holds says what a lane holds.
func (c *childStore) holds(ld load, all []holding) {
	say(said{What: "cursor", Lane: ld.Name, Acked: c.Lane(ld.Name).Cursor("hub").Acked()})
	for _, r := range all {
		say(said{What: "holds", Lane: ld.Name, Epoch: r.epoch, First: r.first, Last: r.last, Lost: r.lost})
	}
}

// read reads all lanes and says what they hold.
func (c *childStore) read() error {
	for _, ld := range childLoads {
		var all []holding
		for r, err := range c.Lane(ld.Name).Records(1) {
			if err != nil {
				return fmt.Errorf("lane %s: %w", ld.Name, err)
			}
			if r.Lost == Kept && !bytes.Equal(r.Data, ld.record(r.Epoch, r.First)) {
				say(said{What: "wrong", Lane: ld.Name, Epoch: r.Epoch, First: r.First, Last: r.Last, Text: fmt.Sprintf("%.40q", r.Data)})
			}
			all = extend(all, holding{r.First, r.Last, r.Epoch, r.Lost})
		}
		c.told[c.Lane(ld.Name)] = end(all)
		c.holds(ld, all)
	}
	say(said{What: "told"})
	return nil
}

func (c *childStore) write(cmd command) error {
	rng := rand.New(rand.NewPCG(cmd.Seed, 0))
	for n := 1; n <= cmd.Steps || cmd.Steps == 0 && len(c.next) == 0; n++ {
		for _, ld := range childLoads {
			c.append(ld, 1+rng.IntN(ld.batch))
		}
		if err := c.Sync(context.Background()); err != nil {
			say(said{What: "refused", Text: err.Error()})
			time.Sleep(2 * time.Millisecond)
		} else {
			c.tell()
		}
		for _, ld := range childLoads {
			c.deliver(c.Lane(ld.Name), rng, !cmd.NoAcks && rng.IntN(8) == 0)
		}
		if !c.how.Run && n%4 == 0 {
			c.maintain()
		}
		time.Sleep(cmd.Pause)
	}
	return nil
}

// flood appends as long as one Sync takes.
func (c *childStore) flood(cmd command) error {
	done := make(chan error)
	go func() { done <- c.Sync(context.Background()) }()
	for {
		for _, ld := range childLoads {
			c.append(ld, 1)
		}
		select {
		case err := <-done:
			return err
		case <-time.After(cmd.Pause):
		}
	}
}

func (c *childStore) append(ld load, count int) {
	l := c.Lane(ld.Name)
	for range count {
		rec := ld.record(c.Epoch(), l.Append()+1)
		begin := time.Now()
		l.Append(rec)
		c.slowest = max(c.slowest, time.Since(begin))
	}
}

// tell says what is durable since it was told last.
func (c *childStore) tell() {
	for _, ld := range childLoads {
		for r := range c.stretches(c.Lane(ld.Name)) {
			say(said{What: "durable", Lane: ld.Name, Epoch: r.epoch, First: r.first, Last: r.last, Lost: r.lost})
		}
	}
}

// deliver acknowledges some of what is durable, and thins a lane that asks for it.
func (c *childStore) deliver(l *Lane, rng *rand.Rand, some bool) {
	if upTo := l.Crowded(); upTo > 0 {
		say(said{What: "dropping", Lane: l.name, Last: upTo})
		l.Drop(upTo, Thinned)
	}
	hub := l.Cursor("hub")
	if behind := l.Durable() - hub.Acked(); some && behind > 0 {
		upTo := hub.Acked() + Seq(rng.Uint64N(uint64(behind)+1))
		say(said{What: "acking", Lane: l.name, Acked: upTo})
		hub.Ack(upTo)
	}
}

package hub_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"skyhaul/bufferstore"
	"skyhaul/edge/point"
	"skyhaul/link/batch"
	"skyhaul/link/hub"
)

// TestMain uses the coder once outside of any bubble: it keeps a channel for
// the life of the process, which must not belong to the first bubble.
func TestMain(m *testing.M) {
	w := newWire(1)
	p, _, err := w.Encode(nil, w.Header, w.scans(1, 2), 1<<16)
	if err == nil {
		_, err = batch.NewDecoder(find).Decode(p)
	}
	if err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// rig is a receiver at work in a bubble.
type rig struct {
	*testing.T
	*broker
	sink     *memory
	library  *library // nil for a sink that keeps no chains
	receiver *hub.Receiver
	log      *logBuffer
	stop     func()
}

// logBuffer keeps a log.
type logBuffer struct {
	mu   sync.Mutex
	text strings.Builder
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

func start(t *testing.T, b *broker, m *memory) *rig {
	return (&rig{T: t, broker: b, sink: m}).start(hub.Options{Sink: m})
}

// keeping starts a receiver whose sink keeps chains.
func keeping(t *testing.T, b *broker, l *library, memory int) *rig {
	return (&rig{T: t, broker: b, sink: l.memory, library: l}).start(hub.Options{Sink: l, Name: "one", ChainMemory: memory})
}

func (r *rig) start(o hub.Options) *rig {
	t := r.T
	r.log = &logBuffer{}
	o.Fleet, o.Connect, o.Prefix, o.Master = r.sink, r.connect, "gas/", master
	o.Logger = slog.New(slog.NewTextHandler(r.log, nil))
	r.receiver = hub.New(o)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- r.receiver.Run(ctx) }()
	r.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	synctest.Wait()
	return r
}

func (r *rig) up(payload []byte) { r.deliver(batch.UpTopic("gas/", "north-7", lane), payload) }

// pass lets time go by.
func (r *rig) pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// left returns how many deliveries the broker still has.
func (r *rig) left() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.queue)
}

// stored returns how many records the sink has.
func (r *rig) stored() (n int) {
	r.sink.change(func() { n = len(r.sink.stored) })
	return n
}

// acks returns the acks that were published.
func (r *rig) acks() (acks []*batch.Ack) {
	r.Helper()
	for _, p := range r.on(batch.AckTopic("gas/", "north-7")) {
		a, err := batch.ParseAck(p, batch.SiteKey(master, "north-7"), "north-7")
		if err != nil {
			r.Fatal(err)
		}
		acks = append(acks, a)
	}
	return acks
}

// lines returns how often the log has a text.
func (r *rig) lines(text string) int { return strings.Count(r.log.String(), text) }

func TestOneAckSpeaksForAllThatWasStoredBeforeIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, newBroker(), newMemory())
		defer r.stop()
		w := newWire(1)
		for n := range bufferstore.Seq(60) {
			r.up(w.batch(t, 10*n+1, 10*n+10))
			r.pass(10 * time.Millisecond)
		}
		r.pass(time.Second)
		acks := r.acks()
		if len(acks) < 2 || len(acks) > 4 {
			t.Errorf("%d acks in 0.6 s, want 2 to 4", len(acks))
		}
		want := []batch.LaneAck{{Lane: lane, Epoch: epoch(1), Floor: 600, Whole: true}}
		if d := cmp.Diff(want, acks[len(acks)-1].Lanes); d != "" {
			t.Error(d)
		}
		for i := range acks[1:] {
			if acks[i+1].At <= acks[i].At {
				t.Error("the times of the acks don't rise")
			}
		}
		if n := r.stored(); n != 600 {
			t.Errorf("%d records stored, want 600", n)
		}
		r.stop()
		if d := cmp.Diff([]string{"$share/skyhub/gas/skyhaul/1/+/up/+", "gas/skyhaul/1/+/state"}, r.filters); d != "" {
			t.Error(d)
		}
	})
}

func TestNothingIsTakenFromTheBrokerBeforeItIsStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, newBroker(), newMemory())
		defer r.stop()
		r.sink.change(func() { r.sink.fail = errors.New("disk full") })
		r.up(newWire(1).batch(t, 1, 5))
		r.pass(time.Hour)
		if r.left() != 1 || len(r.acks()) > 0 {
			t.Fatalf("%d batches left with the broker, want 1; %d acks, want 0", r.left(), len(r.acks()))
		}
		var sessions int
		r.set(func() { sessions = r.sessions })
		if sessions < 30 || sessions > 130 {
			t.Errorf("%d sessions in an hour, want one or two a minute", sessions)
		}
		r.sink.change(func() { r.sink.fail = nil })
		r.pass(2 * time.Minute)
		if r.left() != 0 || r.stored() != 5 || len(r.acks()) == 0 {
			t.Errorf("%d batches left, %d records stored, %d acks", r.left(), r.stored(), len(r.acks()))
		}
		if r.lines("sink does not store") != 1 || r.lines("sink stores again") != 1 || r.lines("errors=") != 1 || r.lines("\n") != 2 {
			t.Errorf("log, want one line at the start and one with a count at the end:\n%s", r.log)
		}
	})
}

func TestALostBrokerIsOneLineAndComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBroker()
		b.dead = errCut
		r := start(t, b, newMemory())
		defer r.stop()
		r.pass(time.Hour)
		r.set(func() { r.dead = nil })
		r.up(newWire(1).batch(t, 1, 5))
		r.pass(2 * time.Minute)
		if r.stored() != 5 || !r.receiver.Status().Connected {
			t.Errorf("%d records stored, status %+v", r.stored(), r.receiver.Status())
		}
		if r.lines("broker session lost") != 1 || r.lines("broker session is back") != 1 || r.lines("\n") != 2 {
			t.Errorf("log:\n%s", r.log)
		}
	})
}

func TestACorruptBatchIsKeptAsideAndHoldsUpNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, newBroker(), newMemory())
		defer r.stop()
		w := newWire(1)
		bad := w.batch(t, 1, 5)
		bad[len(bad)-1] ^= 1
		r.up(bad)
		r.pass(time.Minute)
		if len(r.acks()) > 0 || r.left() > 0 || r.stored() > 0 {
			t.Errorf("%d acks, %d left, %d stored; want none", len(r.acks()), r.left(), r.stored())
		}
		r.deliver(batch.UpTopic("gas/", "north-7", 1), w.batch(t, 1, 5)) // not its lane
		r.deliver(batch.StateTopic("gas/", "north-7"), []byte("?"))
		r.deliver(batch.UpTopic("gas/", "north-7", lane), nil)
		r.deliver("gas/skyhaul/1/North-7/up/history", w.batch(t, 1, 5))
		r.up(w.batch(t, 6, 10))
		r.pass(time.Minute)
		if n := r.stored(); n != 5 {
			t.Errorf("%d records stored, want those 5 that are in order", n)
		}
		r.stop()
		if d := cmp.Diff(bad, r.sink.rejected[0].Payload); d != "" {
			t.Error(d)
		}
		st := r.receiver.Status()
		if st.Rejected != 3 || len(r.sink.rejected) != 3 || st.Strangers != 1 || st.Batches != 1 {
			t.Errorf("kept aside %d, status %+v; want 3 rejected, 1 stranger, 1 batch", len(r.sink.rejected), st)
		}
	})
}

func TestAnUnknownSchemaOrEpochAsksForAFreshStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, newBroker(), newMemory())
		defer r.stop()
		w := newWire(1)
		w.batch(t, 1, 5)
		w.Encoder.Acked(5) // by the hub that this one is an old copy of
		r.up(w.batch(t, 6, 10))
		r.pass(time.Second)
		want := []batch.LaneAck{{Lane: lane, Epoch: epoch(1), Fresh: true}}
		acks := r.acks()
		if len(acks) != 1 || r.left() > 0 {
			t.Fatalf("%d acks, want 1; %d batches left, want 0", len(acks), r.left())
		}
		if d := cmp.Diff(want, acks[0].Lanes); d != "" {
			t.Error(d)
		}
		r.sink.change(func() { // another site's hub knows the schema, but not the epoch
			r.sink.schemas["north-7"] = map[point.SchemaID]*point.Schema{flows.ID(): flows}
		})
		r.up(w.batch(t, 11, 12))
		r.pass(time.Second)
		if n := len(r.acks()); n != 2 {
			t.Fatalf("%d acks, want 2", n)
		}
		w.Reset()
		r.up(w.batch(t, 1, 10))
		r.pass(time.Second)
		acks = r.acks()
		want = []batch.LaneAck{{Lane: lane, Epoch: epoch(1), Floor: 10, Whole: true}}
		if d := cmp.Diff(want, acks[len(acks)-1].Lanes); d != "" {
			t.Error(d)
		}
		if st := r.receiver.Status(); st.Fresh != 2 {
			t.Errorf("status %+v, want 2 fresh starts asked for", st)
		}
	})
}

func TestASiteIsToldAgainWhenItsSessionStarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		before := start(t, newBroker(), m)
		before.up(newWire(1).batch(t, 1, 5))
		before.pass(time.Second)
		before.stop()
		m.down = batch.Down{At: 7, Commands: []batch.Command{{ID: 1, Deadline: 1 << 50, Body: []byte("scan all")}}}

		r := start(t, newBroker(), m)
		defer r.stop()
		state := batch.State{Online: true}.Marshal()
		r.deliver(batch.StateTopic("gas/", "north-7"), state) // retained: it comes with the subscription
		r.pass(time.Minute)
		downs := func() int { return len(r.on(batch.DownTopic("gas/", "north-7"))) }
		if len(r.acks()) != 1 || downs() != 1 {
			t.Errorf("%d acks and %d downs at the start of the hub, want 1 of each", len(r.acks()), downs())
		}
		r.deliver(batch.StateTopic("gas/", "north-7"), state)
		r.pass(time.Minute)
		if len(r.acks()) != 2 || downs() != 2 {
			t.Errorf("%d acks and %d downs after the site's session started, want 2 of each", len(r.acks()), downs())
		}
		r.deliver(batch.StateTopic("gas/", "north-7"), batch.State{}.Marshal())
		r.pass(time.Minute)
		r.stop()
		if len(r.acks()) != 2 || len(m.contacts) != 3 {
			t.Errorf("%d acks and %d contacts after the site's session ended, want 2 and 3", len(r.acks()), len(m.contacts))
		}
	})
}

func TestAnAckThatAnotherHubHasOvertakenIsReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, newBroker(), newMemory())
		defer r.stop()
		w := newWire(1)
		first, second := w.batch(t, 1, 5), w.batch(t, 6, 9)
		r.set(func() { r.mute = true })
		r.up(first)
		r.pass(time.Second)
		// Before our ack has its PUBACK another hub stores more and publishes:
		// ours may be the one that the broker keeps.
		b, err := batch.NewDecoder(find).Decode(second)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.sink.Store(t.Context(), "north-7", b); err != nil {
			t.Fatal(err)
		}
		r.pass(time.Minute)
		if n := len(r.acks()); n != 1 {
			t.Errorf("%d acks while one awaits its PUBACK, want 1", n)
		}
		r.set(func() { r.mute = false })
		r.pass(time.Minute)
		acks := r.acks()
		want := []batch.LaneAck{{Lane: lane, Epoch: epoch(1), Floor: 9, Whole: true}}
		if d := cmp.Diff(want, acks[len(acks)-1].Lanes); d != "" || len(acks) != 2 {
			t.Errorf("%d acks, want 2; the last: %s", len(acks), d)
		}
	})
}

func TestARefusedAckIsTriedAgainAndOneLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBroker()
		b.refuse = errors.New("not authorized")
		r := start(t, b, newMemory())
		defer r.stop()
		r.up(newWire(1).batch(t, 1, 5))
		r.pass(time.Minute)
		n := len(r.acks())
		if n < 3 || n > 8 {
			t.Errorf("%d tries in a minute, want one each 10 s", n)
		}
		r.set(func() { r.refuse = nil })
		r.pass(time.Minute)
		if r.lines("refuses a document") != 1 || r.lines("takes documents again") != 1 || r.receiver.Status().Acks != 1 {
			t.Errorf("status %+v, log:\n%s", r.receiver.Status(), r.log)
		}
	})
}

func TestCommandsQueuedByAnotherProcessGoDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, newBroker(), newMemory())
		defer r.stop()
		r.up(newWire(1).batch(t, 1, 5))
		r.pass(time.Minute)
		topic := batch.DownTopic("gas/", "north-7")
		if n := len(r.on(topic)); n != 0 {
			t.Errorf("%d downs without a command", n)
		}
		want := batch.Down{At: 9, Commands: []batch.Command{{ID: 3, Deadline: 1 << 50, Body: []byte("scan all")}}}
		r.sink.change(func() { r.sink.down = want })
		r.pass(time.Minute)
		downs := r.on(topic)
		if len(downs) != 1 {
			t.Fatalf("%d downs, want 1", len(downs))
		}
		got, err := batch.ParseDown(downs[0], batch.SiteKey(master, "north-7"), "north-7")
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(&want, got); d != "" {
			t.Error(d)
		}
	})
}

func TestAForkIsReportedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, newBroker(), newMemory())
		defer r.stop()
		for range 3 {
			r.up(newWire(1).batch(t, 1, 5))
			r.up(newWire(2).batch(t, 1, 5))
		}
		r.pass(time.Minute)
		if n := r.lines("site=north-7 lane=history epochs=2"); n != 1 || r.stored() != 10 {
			t.Errorf("%d lines on the fork, want 1; %d records stored, want 10 (both kept); log:\n%s", n, r.stored(), r.log)
		}
	})
}

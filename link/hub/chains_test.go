package hub_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"skyhaul/bufferstore"
	"skyhaul/link/batch"
	"skyhaul/link/hub"
)

// chained is a wire whose batches lean on each other.
func chained(e byte) *wire {
	w := newWire(e)
	w.Carry(true)
	return w
}

// run encodes n batches of ten scans each, from the k-th on.
func (w *wire) run(t *testing.T, k, n int) (all [][]byte) {
	t.Helper()
	for i := k; i < k+n; i++ {
		first := bufferstore.Seq(10*i + 1)
		all = append(all, w.batch(t, first, first+9))
	}
	return all
}

// lastAck returns the newest ack.
func (r *rig) lastAck() []batch.LaneAck {
	r.Helper()
	acks := r.acks()
	if len(acks) == 0 {
		r.Fatal("no ack")
	}
	return acks[len(acks)-1].Lanes
}

// want compares the newest ack.
func (r *rig) want(entries ...batch.LaneAck) {
	r.Helper()
	for i := range entries {
		entries[i].Lane = lane
	}
	if d := cmp.Diff(entries, r.lastAck()); d != "" {
		r.Error(d)
	}
}

// stands is the entry of epoch 1 up to floor.
func stands(floor bufferstore.Seq, chain bool) batch.LaneAck {
	return batch.LaneAck{Epoch: epoch(1), Floor: floor, Whole: true, Chain: chain}
}

const fitting, none = 0, -1 // ChainMemory

// readOn has a hub read batches that all lean on the one before.
func readOn(t *testing.T, l *library, memory int, payloads ...[]byte) *rig {
	t.Helper()
	r := keeping(t, newBroker(), l, memory)
	for _, p := range payloads {
		r.up(p)
	}
	r.pass(time.Second)
	r.stop()
	return r
}

func TestAChainGoesOnOverARestartAndWithoutMemory(t *testing.T) {
	for _, memory := range []int{fitting, none} {
		synctest.Test(t, func(t *testing.T) {
			l, all := newLibrary(), chained(1).run(t, 0, 200)
			for i := range 4 {
				r := readOn(t, l, memory, all[50*i:50*i+50]...)
				r.want(stands(bufferstore.Seq(500*i+500), true))
				st := r.receiver.Status()
				if memory == fitting && st.Rebuilt != int64(min(i, 1)) || memory == none && st.Rebuilt < 49 || st.Unchained > 0 {
					t.Errorf("memory %d: status %+v", memory, st)
				}
			}
			snapshots := 0
			for _, n := range l.links {
				if n.Snapshot != nil {
					snapshots++
				}
			}
			if l.memory.stored[1999].Last != 2000 || len(l.links) != 200 || snapshots != 3 {
				t.Errorf("%d links with %d snapshots, want 200 with 3", len(l.links), snapshots)
			}
		})
	}
}

func TestALinkThatComesAgainIsNotReadAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, all := newLibrary(), chained(1).run(t, 0, 10)
		readOn(t, l, fitting, all...)
		l.asked = 0
		r := readOn(t, l, fitting, all[9], all[3])
		if l.repeated != 2 || l.asked > 0 || len(l.stored) != 100 || r.receiver.Status().Batches != 2 {
			t.Errorf("%d repeated, %d chains asked for, %d records, status %+v", l.repeated, l.asked, len(l.stored), r.receiver.Status())
		}
		r.want(stands(100, true))
	})
}

func TestASiteMayGoBackToWhatIsAcked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, w := newLibrary(), chained(1)
		all := w.run(t, 0, 1)
		w.Encoder.Acked(10)
		all = append(all, w.run(t, 1, 3)...)
		for range 3 { // the site believes that what came after is lost
			w.Rewind()
			all = append(all, w.batch(t, 11, 25), w.batch(t, 26, 50))
		}
		r := readOn(t, l, fitting, all...)
		r.want(stands(50, true))
		if st := r.receiver.Status(); len(l.stored) != 50 || st.Unchained > 0 || st.Rebuilt != 1 || l.repeated != 4 {
			t.Errorf("%d records, %d repeated, status %+v", len(l.stored), l.repeated, st)
		}
	})
}

func TestAMissingChainIsAskedForOnceAndComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, w := newLibrary(), chained(1)
		r := keeping(t, newBroker(), l, fitting)
		defer r.stop()
		all := w.run(t, 0, 12)
		r.up(all[0])
		r.pass(time.Second)
		r.want(stands(10, true))
		for _, p := range all[2:] { // the second is lost on its way
			r.up(p)
		}
		r.pass(time.Second)
		asked := stands(10, false)
		asked.Fresh = true
		r.want(batch.LaneAck{Fresh: true}, asked)
		if st := r.receiver.Status(); st.Unchained != 10 || st.Fresh != 10 || st.Rejected != 0 || r.stored() != 10 {
			t.Errorf("%d records, status %+v", r.stored(), st)
		}
		if r.lines("chain is missing") != 1 || r.lines("site=north-7 lane=history") != 1 {
			t.Errorf("log:\n%s", r.log)
		}

		w.Reset() // as the site does when it hears that
		w.Carry(false)
		r.up(w.batch(t, 11, 20))
		r.pass(time.Second)
		r.want(stands(20, false))
		r.pass(11 * time.Minute)
		r.up(w.batch(t, 21, 30))
		r.pass(time.Second)
		r.want(stands(30, true))
		w.Carry(true)
		r.up(w.batch(t, 31, 40))
		r.up(w.batch(t, 41, 50))
		r.pass(time.Second)
		r.want(stands(50, true))
		if r.lines("chain is back") != 1 || r.lines("batches=10") != 1 {
			t.Errorf("log:\n%s", r.log)
		}
	})
}

func TestAFreshStartMayBeginAChain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, w := newLibrary(), chained(1)
		all := w.run(t, 0, 3)
		w.Reset()
		all = append(all, w.batch(t, 11, 30), w.batch(t, 31, 40))
		r := readOn(t, l, fitting, all[0], all[2], all[3], all[4])
		r.want(stands(40, false))
		if st := r.receiver.Status(); st.Unchained != 1 || st.Batches != 3 {
			t.Errorf("status %+v", st)
		}
	})
}

// A hub that has never heard of the site can't name the epoch.
func TestAMissingChainIsAskedForInAnUnknownEpoch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, w := newLibrary(), chained(1)
		r := readOn(t, l, fitting, w.run(t, 0, 2)[1])
		r.want(batch.LaneAck{Fresh: true})
		w.Reset()
		r = readOn(t, l, fitting, w.run(t, 0, 2)...)
		r.want(stands(20, true))
	})
}

func TestEachMissingChainDoublesTheTimeWithoutChains(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, w := newLibrary(), chained(1)
		r := keeping(t, newBroker(), l, fitting)
		defer r.stop()
		lose := func() { // a chain, and starts afresh
			r.up(w.batch(t, 1, 5))
			w.batch(t, 6, 7)
			r.up(w.batch(t, 8, 10))
			w.Reset()
			r.up(w.batch(t, 1, 20))
			r.pass(time.Second)
		}
		permitted := func() bool {
			r.up(w.batch(t, 1, 20))
			r.pass(time.Second)
			return r.lastAck()[0].Chain
		}
		for _, wait := range []time.Duration{10, 20, 40, 80, 160, 320, 360, 360} {
			lose()
			r.pass(wait*time.Minute - time.Minute)
			if permitted() {
				t.Errorf("permitted before %d minutes", wait)
			}
			r.pass(time.Minute)
			if !permitted() {
				t.Errorf("not permitted after %d minutes", wait)
			}
		}
		r.pass(49 * time.Hour)
		lose()
		r.pass(10 * time.Minute)
		if !permitted() {
			t.Error("what was long ago is not forgotten")
		}
	})
}

func TestABatchThatContradictsItsChainIsKeptAsideOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, w := newLibrary(), chained(1)
		all := w.run(t, 0, 4)
		var bad [][]byte
		for n := range 3 {
			b := bytes.Clone(all[1])
			b[len(b)-2] ^= byte(n + 1)
			bad = append(bad, b)
		}
		r := readOn(t, l, fitting, all[0], bad[0], bad[1], all[1], bad[2], all[2])
		// The batches as they should be go on all the same: the chain is made again.
		r.want(batch.LaneAck{Fresh: true}, batch.LaneAck{Epoch: epoch(1), Floor: 30, Whole: true, Fresh: true})
		if st := r.receiver.Status(); st.Unchained != 3 || st.Rejected != 1 || len(l.rejected) != 1 || !bytes.Equal(l.rejected[0].Payload, bad[0]) {
			t.Errorf("status %+v, kept aside: %v", st, l.rejected)
		}
		if r.lines("chain is missing") != 1 {
			t.Errorf("log:\n%s", r.log)
		}
	})
}

func TestAChainDoesNotAdvanceWhenTheSinkFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, w := newLibrary(), chained(1)
		r := keeping(t, newBroker(), l, fitting)
		defer r.stop()
		all := w.run(t, 0, 4)
		r.up(all[0])
		r.pass(time.Second)
		r.sink.change(func() { r.sink.fail = errors.New("disk full") })
		r.up(all[1])
		r.up(all[2])
		r.pass(10 * time.Minute)
		if r.left() != 2 || r.stored() != 10 {
			t.Errorf("%d left, %d stored", r.left(), r.stored())
		}
		r.sink.change(func() { r.sink.fail = nil })
		r.pass(2 * time.Minute)
		r.up(all[3])
		r.pass(time.Second)
		r.want(stands(40, true))
		if st := r.receiver.Status(); st.Unchained != 0 {
			t.Errorf("status %+v", st)
		}
	})
}

func TestABatchThatWasNotStoredIsNoLink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, w := newLibrary(), chained(1)
		r := keeping(t, newBroker(), l, fitting)
		defer r.stop()
		all := w.run(t, 0, 3)
		r.up(all[0])
		r.pass(time.Second)
		r.sink.change(func() { r.sink.fail = errors.New("disk full") })
		r.up(all[1])
		r.pass(time.Minute)
		r.set(func() { r.queue = nil }) // the broker has forgotten it
		r.sink.change(func() { r.sink.fail = nil })
		r.up(all[2])
		r.pass(2 * time.Minute)
		if st := r.receiver.Status(); st.Unchained != 1 || r.stored() != 10 || len(l.links) != 1 {
			t.Errorf("%d records, %d links, status %+v", r.stored(), len(l.links), st)
		}
	})
}

func TestASinkThatCannotTellItsChainsHoldsUpTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, w := newLibrary(), chained(1)
		all := w.run(t, 0, 2)
		readOn(t, l, fitting, all[0])
		l.torn = errTorn
		r := readOn(t, l, fitting, all[1])
		if r.left() != 1 || r.receiver.Status().SinkErrors == 0 || r.receiver.Status().Unchained != 0 {
			t.Errorf("%d left, status %+v", r.left(), r.receiver.Status())
		}
	})
}

func TestAnUnreadableSnapshotIsAMissingChain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, all := newLibrary(), chained(1).run(t, 0, 2)
		readOn(t, l, fitting, all[0])
		l.links[0].Snapshot = []byte{99}
		r := readOn(t, l, fitting, all[1])
		if st := r.receiver.Status(); st.Unchained != 1 {
			t.Errorf("status %+v", st)
		}
		if !strings.Contains(l.rejected[0].Cause, "chain of version 99") {
			t.Errorf("cause %q", l.rejected[0].Cause)
		}
	})
}

func TestChainsAreNotPermittedToSharedWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, w := newLibrary(), chained(1)
		r := keeping(t, newBroker(), l, fitting)
		defer r.stop()
		all := w.run(t, 0, 4)
		r.up(all[0])
		r.pass(time.Second)
		r.want(stands(10, true))
		if _, err := l.Alone(t.Context(), "other"); err != nil {
			t.Fatal(err)
		}
		r.pass(2 * time.Minute)
		r.up(all[1])
		r.pass(time.Second)
		r.want(stands(20, false))
		l.change(func() { delete(l.hubs, "other") })
		r.pass(2 * time.Minute)
		r.up(all[2])
		r.pass(time.Second)
		r.want(stands(30, true))
		if r.lines("other hubs share") != 1 || r.lines("no other hub") != 1 {
			t.Errorf("log:\n%s", r.log)
		}
	})
}

func TestOfTwoLinksWithOneTagTheRightOneIsFound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, all := newLibrary(), chained(1).run(t, 0, 2)
		readOn(t, l, fitting, all[0])
		twin := bytes.Clone(all[0]) // newer, and its path leads nowhere
		twin[len(twin)-4] ^= 1
		l.links = append(l.links, link{"north-7", lane, hub.Link{Payload: twin}})
		readOn(t, l, fitting, all[1]).want(stands(20, true))
	})
}

func TestWithoutASinkForThemChainsAreNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, newBroker(), newMemory())
		defer r.stop()
		for _, p := range chained(1).run(t, 0, 2) {
			r.up(p)
		}
		r.pass(time.Second)
		asked := stands(10, false)
		asked.Fresh = true
		r.want(batch.LaneAck{Fresh: true}, asked)
	})
}

func TestABatchOnAChainOfAnotherLaneIsKeptAside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := keeping(t, newBroker(), newLibrary(), fitting)
		defer r.stop()
		for _, p := range chained(1).run(t, 0, 2) {
			r.deliver(batch.UpTopic("gas/", "north-7", 1), p)
		}
		r.pass(time.Second)
		if st := r.receiver.Status(); st.Rejected != 2 || st.Unchained != 0 {
			t.Errorf("status %+v", st)
		}
	})
}

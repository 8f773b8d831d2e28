package link

import (
	"testing"
	"time"

	"skyhaul/bufferstore"
	"skyhaul/link/batch"

	"github.com/google/go-cmp/cmp"
)

func rng(first, last bufferstore.Seq) batch.Range { return batch.Range{First: first, Last: last} }

// send hands out the next batch of at most n numbers.
func (f *flight) send(t *testing.T, durable bufferstore.Seq, n int) flown {
	t.Helper()
	r, again, ok := f.next(durable)
	if !ok {
		t.Fatal("there is nothing to send")
	}
	r.Last = min(r.Last, r.First+bufferstore.Seq(n)-1)
	b := flown{Range: r, again: again}
	f.hand(b)
	return b
}

func (f *flight) wantNext(t *testing.T, durable bufferstore.Seq, want ...batch.Range) {
	t.Helper()
	r, _, ok := f.next(durable)
	if len(want) == 0 {
		if ok {
			t.Errorf("next is %v, want nothing", r)
		}
		return
	}
	if !ok || r != want[0] {
		t.Errorf("next is %v, %v; want %v", r, ok, want[0])
	}
}

func TestSentMovesWithContiguousPUBACKs(t *testing.T) {
	var f flight
	a, b, c := f.send(t, 30, 10), f.send(t, 30, 10), f.send(t, 30, 10)
	if diff := cmp.Diff([]batch.Range{rng(1, 10), rng(11, 20), rng(21, 30)}, []batch.Range{a.Range, b.Range, c.Range}); diff != "" {
		t.Fatal(diff)
	}
	for _, step := range []struct {
		landed flown
		sent   bufferstore.Seq
	}{{c, 0}, {a, 10}, {b, 30}} {
		f.puback(step.landed, 0)
		if f.sent != step.sent {
			t.Errorf("sent is %d after the PUBACK of %v, want %d", f.sent, step.landed.Range, step.sent)
		}
	}
	f.wantNext(t, 30)
	f.wantNext(t, 35, rng(31, 35))
}

func TestLimboWaitsAndThenSkipsWhatTheAckShows(t *testing.T) {
	f := flight{sent: 100, acked: 100}
	f.send(t, 400, 100)
	f.send(t, 400, 100)
	f.send(t, 400, 100)
	f.end(true)
	f.wantNext(t, 500)
	if !f.waiting(500) {
		t.Error("a lane in limbo is not known to have something to send")
	}
	f.stored(ranges{rng(1, 200), rng(301, 350)}, 0)
	f.wantNext(t, 500, rng(201, 300))
	f.puback(f.send(t, 500, 100), 0)
	f.wantNext(t, 500, rng(351, 500))
	if f.sent != 350 || f.acked != 200 {
		t.Errorf("sent %d, acked %d; want 350, 200", f.sent, f.acked)
	}
}

func TestWithoutAConnectionThereIsNoLimbo(t *testing.T) {
	var f flight
	f.send(t, 100, 50)
	f.end(false)
	f.wantNext(t, 100, rng(1, 100))
}

func TestResendInLimboIsResentAgain(t *testing.T) {
	f := flight{sent: 100, acked: 50, again: ranges{rng(60, 69)}}
	f.send(t, 100, 100)
	f.end(true)
	f.stored(ranges{rng(1, 64)}, 0)
	f.wantNext(t, 100, rng(65, 69))
}

func TestNewAndOldTakeTurns(t *testing.T) {
	f := flight{sent: 100, again: ranges{rng(1, 40)}}
	var got []batch.Range
	for range 6 {
		got = append(got, f.send(t, 130, 10).Range)
	}
	want := []batch.Range{rng(101, 110), rng(1, 10), rng(111, 120), rng(11, 20), rng(121, 130), rng(21, 30)}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestBatchTakenBackGoesNext(t *testing.T) {
	f := flight{sent: 10, again: ranges{rng(1, 5)}}
	a := f.send(t, 20, 10)
	b := f.send(t, 20, 10)
	f.takeBack(b)
	f.takeBack(a)
	f.wantNext(t, 20, rng(11, 20))
	f.send(t, 20, 10)
	f.wantNext(t, 20, rng(1, 5))
}

func TestSilenceGoesBackAndDoubles(t *testing.T) {
	const after = 24 * time.Hour
	f := flight{sent: 10, acked: 10}
	f.puback(f.send(t, 20, 10), time.Hour)
	if f.silent(time.Hour+after-1, after) {
		t.Error("silent too soon")
	}
	if !f.silent(time.Hour+after, after) {
		t.Fatal("not silent in time")
	}
	f.restart(span(15, 16), 30*time.Hour)
	f.wantNext(t, 20, rng(11, 14))
	for range 2 {
		f.puback(f.send(t, 20, 10), 31*time.Hour)
	}
	if f.silent(30*time.Hour+2*after-1, after) || !f.silent(30*time.Hour+2*after, after) {
		t.Error("the second silence isn't twice as long")
	}
	f.stored(span(1, 12), 40*time.Hour)
	if f.silent(40*time.Hour+after-1, after) || !f.silent(40*time.Hour+after, after) {
		t.Error("after a sign of life the time isn't the first one again")
	}
	f.stored(span(1, 20), 41*time.Hour)
	if f.silent(1000*time.Hour, after) {
		t.Error("silent though everything is acked")
	}
}

package link_test

import (
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"skyhaul/bufferstore"
	"skyhaul/edge/point"
	"skyhaul/link"
	"skyhaul/link/batch"
	"skyhaul/link/tariff"
	"skyhaul/link/window"

	"github.com/google/go-cmp/cmp"
)

// rigged runs a test with an uplink in a bubble.
func rigged(t *testing.T, test func(t *testing.T, r *rig), lanes ...point.Lane) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { test(t, newRig(t, lanes...)) })
}

// scan makes n records durable, one each interval.
func (r *rig) scan(l point.Lane, n, size int, interval time.Duration) {
	for range n {
		r.lanes[l].add(1, size)
		time.Sleep(interval)
	}
}

// wantDelivered checks that the hub holds all that is durable, and how many
// records it was sent more than once.
func (r *rig) wantDelivered(twice int) {
	r.t.Helper()
	held := make(map[point.Lane]bufferstore.Seq)
	r.far.mu.Lock()
	for n := range r.far.seen {
		held[n.lane]++
	}
	r.far.mu.Unlock()
	for l, b := range r.lanes {
		if got, want := held[l], b.Durable(); got != want {
			r.t.Errorf("lane %s: the hub holds %d records, %d are durable", l, got, want)
		}
		if got, want := b.Acked(), b.Durable(); got != want {
			r.t.Errorf("lane %s: acked %d, durable %d", l, got, want)
		}
	}
	if got := r.far.twice(); got != twice {
		r.t.Errorf("%d records were sent more than once, want %d", got, twice)
	}
}

func TestEveryRecordGoesOnceAtTheCadence(t *testing.T) {
	rigged(t, func(t *testing.T, r *rig) {
		r.start()
		r.scan(point.History, 1000, 100, time.Second)
		time.Sleep(2 * time.Minute)
		r.wantDelivered(0)
		got := r.far.arrivals()
		if n := len(got); n < 16 || n > 19 {
			t.Errorf("%d batches for 1000 s at one a minute", n)
		}
		if len(r.far.dialled()) != 1 {
			t.Errorf("%d connections, want 1", len(r.far.dialled()))
		}
		s := r.Status()
		if s.Phase != link.Connected || s.Lanes[0].Acked != 1000 || s.Err != "" || s.AckAt.IsZero() {
			t.Errorf("status %+v", s)
		}
	}, point.History)
}

func TestFirstWriteCarriesTheBacklog(t *testing.T) {
	rigged(t, func(t *testing.T, r *rig) {
		r.start()
		r.lanes[point.History].add(10, 100)
		time.Sleep(2 * time.Minute)
		if got := r.far.arrivals(); len(got) != 1 || got[0].at.Sub(r.far.dialled()[0]) != r.far.trip*3/2 {
			t.Errorf("%d batches, the first %v after the dial; want it after one and a half round trips", len(got), got[0].at.Sub(r.far.dialled()[0]))
		}
	}, point.History)
}

func TestNoSessionIsOpenedForNothing(t *testing.T) {
	rigged(t, func(t *testing.T, r *rig) {
		r.start()
		time.Sleep(24 * time.Hour)
		if n := len(r.far.dialled()); n != 0 {
			t.Errorf("%d connections with nothing to send", n)
		}
		if s := r.Status(); s.Phase != link.Idle || !s.Window.Open {
			t.Errorf("status %+v, want idle in an open window", s)
		}
	}, point.History)
}

func TestAlarmsGoBeforeHistory(t *testing.T) {
	rigged(t, func(t *testing.T, r *rig) {
		r.far.rate = 8000
		r.lanes[point.History].add(5_000, 100)
		r.lanes[point.Alarm].add(3, 50)
		r.start()
		time.Sleep(30 * time.Second)
		r.lanes[point.Alarm].add(1, 50)
		r.Wake()
		time.Sleep(10 * time.Minute)
		r.wantDelivered(0)
		var alarms []int
		for i, b := range r.far.arrivals() {
			if b.Lane == point.Alarm {
				alarms = append(alarms, i)
			}
		}
		// What is in flight, 128 kB, goes first; the rest of the history doesn't.
		if len(alarms) != 2 || alarms[0] != 0 || alarms[1] > 6 {
			t.Errorf("alarms are the batches %v of %d", alarms, len(r.far.arrivals()))
		}
	}, point.Alarm, point.History)
}

func TestAlarmDoesNotWaitForTheCadence(t *testing.T) {
	rigged(t, func(t *testing.T, r *rig) {
		r.start()
		r.lanes[point.History].add(1, 50)
		time.Sleep(70 * time.Second)
		began := time.Now()
		r.lanes[point.Alarm].add(1, 50)
		r.Wake()
		time.Sleep(10 * time.Second)
		got := r.far.arrivals()
		last := got[len(got)-1]
		if last.Lane != point.Alarm || last.at.Sub(began) > r.far.trip {
			t.Errorf("the last batch is of lane %s, %v after the alarm", last.Lane, last.at.Sub(began))
		}
	}, point.Alarm, point.History)
}

func TestNothingIsDoneOutsideAWindow(t *testing.T) {
	rigged(t, func(t *testing.T, r *rig) {
		const open = 5 * time.Minute
		w, err := window.NewEvery(time.Hour, open, 0)
		if err != nil {
			t.Fatal(err)
		}
		r.opt.Window = w
		time.Sleep(10 * time.Minute)
		r.start()
		go func() {
			time.Sleep(110*time.Minute + 30*time.Second)
			r.far.setDown(true) // in a window: sessions fail until it ends, and in the next
			time.Sleep(time.Hour)
			r.far.setDown(false)
		}()
		r.scan(point.History, 24*3600/10, 100, 10*time.Second)
		for _, d := range r.far.dialled() {
			if !w.At(d).Open {
				t.Errorf("a connection at %v, outside a window", d)
			}
		}
		for _, b := range r.far.arrivals() {
			if !w.At(b.at).Open {
				t.Errorf("a batch at %v, outside a window", b.at)
			}
		}
		if d := r.far.dialled()[0]; d.Minute() != 0 || d.Second() != 0 {
			t.Errorf("first connection at %v, want it when the window opens", d)
		}
		if got := r.far.twice(); got != 0 {
			t.Errorf("%d records were sent more than once", got)
		}
		time.Sleep(time.Hour)
		r.wantDelivered(0)
		if s := r.Status(); s.Phase != link.Closed || s.Window.Open {
			t.Errorf("status %+v, want closed", s)
		}
	}, point.History)
}

// TestWindowEndsWithNothingInLimbo drains a backlog for which each window is
// too short: what is begun before its end is PUBACKed in it.
func TestWindowEndsWithNothingInLimbo(t *testing.T) {
	rigged(t, func(t *testing.T, r *rig) {
		w, err := window.NewEvery(10*time.Minute, time.Minute, 0)
		if err != nil {
			t.Fatal(err)
		}
		r.opt.Window = w
		r.far.rate = 1000
		r.lanes[point.History].add(3750, 100) // 375 kB; a window carries 60 kB
		r.start()
		time.Sleep(2 * time.Hour)
		// The first window teaches the rate.
		if got := r.far.twice(); got > 200 {
			t.Errorf("%d records were sent more than once", got)
		}
		r.wantDelivered(r.far.twice())
		used := make(map[time.Time]int)
		for _, b := range r.far.arrivals() {
			used[b.at.Truncate(10*time.Minute)] += b.bytes
		}
		if len(used) > 9 {
			t.Errorf("%d windows for 375 kB at 60 kB each", len(used))
		}
	}, point.History)
}

func TestBackOffGrowsWithJitterUpToItsCap(t *testing.T) {
	rigged(t, func(t *testing.T, r *rig) {
		r.far.down = true
		r.lanes[point.Alarm].add(1, 50)
		r.start()
		time.Sleep(10 * time.Minute)
		dials := r.far.dialled()
		want := time.Second
		for i := 1; i < len(dials); i++ {
			waited := dials[i].Sub(dials[i-1]) - r.far.trip
			if waited < want/2 || waited > want+time.Millisecond {
				t.Errorf("wait %d is %v, want from %v to %v", i, waited, want/2, want)
			}
			want = min(2*want, time.Minute)
		}
		if s := r.Status(); s.Phase != link.Waiting || s.Err != "no route to host" || s.Failures != len(dials) {
			t.Errorf("status %+v after %d failures", s, len(dials))
		}
		r.far.setDown(false)
		time.Sleep(2 * time.Minute)
		r.far.setDown(true)
		n := len(r.far.dialled())
		r.lanes[point.Alarm].add(1, 50)
		r.Wake()
		time.Sleep(5 * time.Second)
		if len(r.far.dialled()) <= n+1 {
			t.Error("after a session that got through the waits don't begin from the first")
		}
	}, point.Alarm)
}

type refusedError struct{}

func (refusedError) Error() string { return "connect refused by the broker: not authorized" }
func (refusedError) Refused()      {}

func TestBrokerThatRefusesIsAskedRarely(t *testing.T) {
	rigged(t, func(t *testing.T, r *rig) {
		r.far.no = refusedError{}
		r.lanes[point.History].add(1, 50)
		r.start()
		time.Sleep(24 * time.Hour)
		if n := len(r.far.dialled()); n < 96 || n > 210 {
			t.Errorf("%d sessions in a day, want one each quarter of an hour or two", n)
		}
	}, point.History)
}

func TestBatchInLimboGoesAgainOnlyIfTheAckLacksIt(t *testing.T) {
	for _, tt := range []struct {
		name  string
		lost  bool
		again int
	}{
		{"only its PUBACK was lost", false, 0},
		{"it was lost", true, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			rigged(t, func(t *testing.T, r *rig) {
				cuts := 0
				r.far.eat = func(n int) (lost, cut bool) {
					if n == 3 && cuts == 0 {
						cuts++
						return tt.lost, true
					}
					return false, false
				}
				r.start()
				r.scan(point.History, 600, 100, time.Second)
				time.Sleep(5 * time.Minute)
				r.wantDelivered(0)
				if len(r.far.dialled()) != 2 {
					t.Errorf("%d connections, want 2", len(r.far.dialled()))
				}
			}, point.History)
		})
	}
}

func TestOtherLanesDontWaitForLimbo(t *testing.T) {
	rigged(t, func(t *testing.T, r *rig) {
		r.far.setDeaf() // so that no ack comes
		cuts := 0
		r.far.eat = func(int) (lost, cut bool) { cuts++; return cuts == 1, cuts == 1 }
		r.lanes[point.History].add(10, 100)
		r.lanes[point.History].sent = 10 // so that nothing is in limbo at first
		r.start()
		r.lanes[point.History].add(10, 100)
		time.Sleep(2 * time.Second)
		r.lanes[point.Result].add(10, 100)
		r.Wake()
		time.Sleep(time.Minute)
		got := r.far.arrivals()
		if len(got) < 2 || got[0].Lane != point.Result || got[1].Lane != point.History {
			t.Fatalf("got %d batches, want result first", len(got))
		}
		if d := got[0].at.Sub(r.far.dialled()[1]); d > 2*time.Second {
			t.Errorf("the other lane waited %v", d)
		}
		if d := got[1].at.Sub(r.far.dialled()[1]); d < 2*time.Second || d > 7*time.Second {
			t.Errorf("the lane in limbo waited %v for an ack that doesn't come, want two round trips and a little", d)
		}
	}, point.Result, point.History)
}

func TestShortWindowIsNotSpentOnWaitingForAnAck(t *testing.T) {
	rigged(t, func(t *testing.T, r *rig) {
		w, err := window.NewEvery(15*time.Second, 3*time.Second, 0)
		if err != nil {
			t.Fatal(err)
		}
		r.opt.Window = w
		r.far.setDeaf()                     // the hub has never said anything
		r.lanes[point.History].add(10, 100) // of a run before, which may have sent them
		r.start()
		time.Sleep(time.Minute)
		if len(r.far.arrivals()) == 0 {
			t.Error("nothing was sent in four windows")
		}
	}, point.History)
}

func TestForgottenBatchGoesAgainAndNothingElse(t *testing.T) {
	rigged(t, func(t *testing.T, r *rig) {
		r.far.forget = func(n int) bool { return n == 4 || n == 7 }
		r.start()
		r.scan(point.History, 1200, 100, time.Second)
		time.Sleep(5 * time.Minute)
		r.wantDelivered(0)
		got := r.far.arrivals()
		var again []batch.Range
		var top bufferstore.Seq
		for _, b := range got {
			if b.First <= top {
				again = append(again, batch.Range{First: b.First, Last: b.Last})
			}
			top = max(top, b.Last)
		}
		want := []batch.Range{{First: got[4].First, Last: got[4].Last}, {First: got[7].First, Last: got[7].Last}}
		if diff := cmp.Diff(want, again); diff != "" {
			t.Error(diff)
		}
		if s := r.Status(); s.Resent.Holes != int64(want[0].Last-want[0].First+want[1].Last-want[1].First+2) {
			t.Errorf("status counts %+v", s.Resent)
		}
	}, point.History)
}

func TestReorderingBrokerCausesNoResend(t *testing.T) {
	rigged(t, func(t *testing.T, r *rig) {
		r.opt.MaxAge = 10 * time.Second
		r.far.late = func(n int) time.Duration { return time.Duration(n*7%6) * 9 * time.Second }
		r.start()
		r.scan(point.History, 3000, 100, time.Second)
		time.Sleep(5 * time.Minute)
		r.wantDelivered(0)
		if s := r.Status(); s.Resent != (link.Resent{}) || s.Ignored != (link.Ignored{}) {
			t.Errorf("status %+v, %+v", s.Resent, s.Ignored)
		}
	}, point.History)
}

func TestHubAwayCostsNothing(t *testing.T) {
	rigged(t, func(t *testing.T, r *rig) {
		r.start()
		for range 5 {
			r.far.setDeaf()
			r.scan(point.History, 1200, 100, time.Second)
			r.far.hear()
			r.scan(point.History, 600, 100, time.Second)
		}
		time.Sleep(5 * time.Minute)
		r.wantDelivered(0)
	}, point.History)
}

func TestSilentHubIsSentAgainAfterADayThenTwo(t *testing.T) {
	rigged(t, func(t *testing.T, r *rig) {
		r.far.deaf = true
		r.lanes[point.History].add(10, 100)
		r.start()
		time.Sleep(80 * time.Hour)
		var at []time.Duration
		got := r.far.arrivals()
		for _, b := range got[1:] {
			at = append(at, b.at.Sub(got[0].at).Round(time.Hour))
		}
		if diff := cmp.Diff([]time.Duration{24 * time.Hour, 72 * time.Hour}, at); diff != "" {
			t.Error(diff)
		}
		r.far.hear()
		time.Sleep(time.Hour)
		r.lanes[point.History].add(1, 100)
		time.Sleep(5 * time.Minute)
		r.wantDelivered(20)
	}, point.History)
}

func TestHubRestoredFromABackupIsRefilled(t *testing.T) {
	rigged(t, func(t *testing.T, r *rig) {
		r.start()
		r.scan(point.History, 600, 100, time.Second)
		r.far.mu.Lock()
		backup := r.far.marks
		r.far.mu.Unlock()
		r.scan(point.History, 900, 100, time.Second)
		time.Sleep(2 * time.Minute)
		r.far.mu.Lock()
		at := r.far.marks.At
		r.far.marks = backup
		r.far.marks.At = at
		clear(r.far.seen)
		r.far.mu.Unlock()
		r.scan(point.History, 600, 100, time.Second)
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		held := r.far.marks.Epochs[0].Floor
		if held != 2100 {
			t.Errorf("the hub holds %d of 2100", held)
		}
		if got := r.far.twice(); got != 0 {
			t.Errorf("%d records came more than once after the backup", got)
		}
		s := r.Status()
		if s.Resent.Wanted == 0 || s.Ignored.FloorBack == 0 {
			t.Errorf("status %+v, %+v", s.Resent, s.Ignored)
		}
	}, point.History)
}

func TestHubThatLostEverythingIsRefilled(t *testing.T) {
	rigged(t, func(t *testing.T, r *rig) {
		stop := r.start()
		r.scan(point.History, 600, 100, time.Second)
		time.Sleep(2 * time.Minute)
		stop()
		r.lanes[point.History].reopen(2)
		r.start()
		r.scan(point.History, 600, 100, time.Second)
		time.Sleep(2 * time.Minute)
		r.far.mu.Lock()
		r.far.marks.Epochs = nil
		clear(r.far.seen)
		r.far.mu.Unlock()
		r.scan(point.History, 600, 100, time.Second)
		time.Sleep(5 * time.Minute)
		r.wantDelivered(0)
	}, point.History)
}

func TestDocumentThatCantBeTrustedIsCounted(t *testing.T) {
	rigged(t, func(t *testing.T, r *rig) {
		r.start()
		r.lanes[point.History].add(10, 100)
		time.Sleep(time.Minute)
		synctest.Wait()
		good := r.far.kept[ackTopic]
		forged := slices.Clone(good)
		forged[len(forged)-1] ^= 1
		r.far.publish(ackTopic, forged)
		time.Sleep(time.Second)
		r.far.publish(ackTopic, good) // again, as with each session
		time.Sleep(time.Second)
		r.far.publish(ackTopic, []byte("ack"))
		time.Sleep(time.Second)
		r.far.publish(ackTopic, marshal(&batch.Ack{At: 1}))
		time.Sleep(time.Second)
		r.far.publish(ackTopic, marshal(&batch.Ack{At: time.Now().UnixMilli(), Lanes: []batch.LaneAck{
			{Lane: point.History, Epoch: bufferstore.Epoch{9}, Floor: 10, Whole: true},
			{Lane: point.History, Epoch: bufferstore.Epoch{1}, Floor: 1000, Whole: true},
			{Lane: point.Alarm, Epoch: bufferstore.Epoch{1}, Floor: 1, Whole: true},
		}}))
		time.Sleep(2 * time.Minute)
		s := r.Status()
		got := s.Ignored
		got.BadMAC += got.Malformed // whatever three bytes are
		got.Malformed = 0
		if diff := cmp.Diff(link.Ignored{BadMAC: 2, Older: 1, UnknownEpoch: 1, AboveSent: 1}, got); diff != "" {
			t.Error(diff)
		}
		if s.Phase != link.Connected || len(r.far.dialled()) != 1 {
			t.Errorf("phase %v after %d connections; a bad document is no reason to hang up", s.Phase, len(r.far.dialled()))
		}
		r.wantDelivered(0)
	}, point.History)
}

func TestOpenCommandsAreShown(t *testing.T) {
	rigged(t, func(t *testing.T, r *rig) {
		var given []*batch.Down
		r.opt.Down = func(d *batch.Down) { given = append(given, d) }
		r.start()
		r.lanes[point.History].add(1, 100)
		time.Sleep(2 * time.Second)
		soon, late := time.Now().Add(time.Hour).Truncate(time.Millisecond), time.Now().Add(2*time.Hour)
		d := &batch.Down{At: 5, Commands: []batch.Command{
			{ID: 1, Deadline: late.UnixMilli(), Body: []byte("open")},
			{ID: 2, Deadline: soon.UnixMilli(), Body: []byte("close")},
		}}
		p, err := d.Marshal(testKey, testSite)
		if err != nil {
			t.Fatal(err)
		}
		forged, err := d.Marshal(batch.Key{}, testSite)
		if err != nil {
			t.Fatal(err)
		}
		topic := batch.DownTopic("", testSite)
		for _, p := range [][]byte{p, forged, p} {
			r.far.publish(topic, p)
			time.Sleep(time.Minute)
		}
		s := r.Status()
		if s.Down.Commands != 2 || !s.Down.Earliest.Equal(soon) || s.Ignored.BadMAC != 1 {
			t.Errorf("status %+v, %+v", s.Down, s.Ignored)
		}
		if diff := cmp.Diff([]*batch.Down{d}, given); diff != "" {
			t.Error(diff)
		}
	}, point.History)
}

func TestBirthTellsOfTheNextContact(t *testing.T) {
	rigged(t, func(t *testing.T, r *rig) {
		w, err := window.NewEvery(6*time.Hour, 10*time.Minute, 0)
		if err != nil {
			t.Fatal(err)
		}
		r.opt.Window, r.opt.Config = w, [8]byte{1, 2, 3}
		r.lanes[point.History].add(1, 100)
		r.start()
		time.Sleep(time.Hour)
		synctest.Wait()
		if len(r.far.births) != 1 {
			t.Fatalf("%d births, want 1", len(r.far.births))
		}
		b := r.far.births[0]
		got, err := batch.ParseState(b.Payload)
		want := batch.State{Online: true, Config: [8]byte{1, 2, 3}, Next: 6 * time.Hour}
		if err != nil || got != want || !b.Retain || b.Topic != batch.StateTopic("", testSite) {
			t.Errorf("birth %+v, %+v, %v; want %+v", b, got, err, want)
		}
	}, point.History)
}

func TestBatchIsCutToWhatTheBrokerTakes(t *testing.T) {
	rigged(t, func(t *testing.T, r *rig) {
		r.far.most = 100_000
		r.opt.MaxBatch = 512 << 10
		r.lanes[point.History].add(100, 10_000)
		r.start()
		time.Sleep(10 * time.Minute)
		r.wantDelivered(0)
		for _, b := range r.far.arrivals() {
			if b.bytes > 100_000 {
				t.Errorf("a batch of %d bytes", b.bytes)
			}
			for _, rec := range b.Records {
				if rec.Lost != bufferstore.Kept {
					t.Errorf("number %d was given up: %v", rec.First, rec.Lost)
				}
			}
		}
		if n := len(r.far.arrivals()); n > 13 {
			t.Errorf("%d batches for 1 MB of at most 100 kB: the limit isn't remembered", n)
		}
	}, point.History)
}

func TestRecordIsNotGivenUpForASmallBroker(t *testing.T) {
	rigged(t, func(t *testing.T, r *rig) {
		r.far.most = 5000
		r.lanes[point.Custody].add(3, 20_000)
		r.lanes[point.History].add(100, 100)
		r.start()
		time.Sleep(10 * time.Minute)
		for _, b := range r.far.arrivals() {
			if b.Lane == point.Custody {
				t.Errorf("numbers %d to %d came", b.First, b.Last)
			}
		}
		s := r.Status()
		if s.Lanes[0].Err == "" || s.Lanes[1].Acked != 100 {
			t.Errorf("status %+v; want lane custody held and lane history delivered", s.Lanes)
		}
	}, point.Custody, point.History)
}

func TestLongRecordGoesWholeThroughANarrowWindow(t *testing.T) {
	rigged(t, func(t *testing.T, r *rig) {
		w, err := window.NewEvery(time.Minute, 20*time.Second, 0)
		if err != nil {
			t.Fatal(err)
		}
		r.opt.Window = w
		r.far.rate = 8000
		r.lanes[point.Message].add(20, 30_000)
		r.start()
		time.Sleep(20 * time.Minute)
		for _, b := range r.far.arrivals() {
			for _, rec := range b.Records {
				if rec.Lost != bufferstore.Kept {
					t.Errorf("number %d was given up: %v", rec.First, rec.Lost)
				}
			}
		}
		r.wantDelivered(r.far.twice())
		if r.far.twice() > 4 {
			t.Errorf("%d of 20 records were sent more than once", r.far.twice())
		}
	}, point.Message)
}

func TestLaneThatCantBeReadHoldsUpNoOther(t *testing.T) {
	rigged(t, func(t *testing.T, r *rig) {
		r.lanes[point.Custody].add(5, 100)
		r.lanes[point.History].add(5, 100)
		r.lanes[point.Custody].fails = errors.New("input/output error")
		r.start()
		time.Sleep(5 * time.Minute)
		s := r.Status()
		if s.Lanes[0].Err != "lane custody from 1: input/output error" || s.Lanes[1].Acked != 5 {
			t.Errorf("status %+v", s.Lanes)
		}
		r.lanes[point.Custody].mu.Lock()
		r.lanes[point.Custody].fails = nil
		r.lanes[point.Custody].mu.Unlock()
		time.Sleep(5 * time.Minute)
		if s := r.Status(); s.Lanes[0].Err != "" {
			t.Errorf("status %+v", s.Lanes)
		}
		r.wantDelivered(0)
	}, point.Custody, point.History)
}

func TestSteppedClockIsNoticedWithinAMinute(t *testing.T) {
	rigged(t, func(t *testing.T, r *rig) {
		w, err := window.NewEvery(24*time.Hour, time.Hour, 0)
		if err != nil {
			t.Fatal(err)
		}
		var step atomic.Int64
		r.opt.Window = w
		r.opt.Now = func() point.Stamp {
			s := now()
			s.Wall += step.Load()
			return s
		}
		time.Sleep(5*time.Hour + 17*time.Second)
		r.lanes[point.History].add(10, 100)
		r.start()
		time.Sleep(time.Hour)
		if len(r.far.dialled()) != 0 {
			t.Fatal("connected outside the window")
		}
		step.Store(-(5*time.Hour + 30*time.Minute).Milliseconds())
		time.Sleep(61 * time.Second)
		if len(r.far.dialled()) != 1 {
			t.Errorf("%d connections a minute after the clock was set into the window", len(r.far.dialled()))
		}
		step.Store(0)
		time.Sleep(61 * time.Second)
		if s := r.Status(); s.Phase != link.Closed {
			t.Errorf("phase %v a minute after the clock was set out of the window", s.Phase)
		}
	}, point.History)
}

func TestBudgetKeepsItsLastTenthForAlarms(t *testing.T) {
	rigged(t, func(t *testing.T, r *rig) {
		plan := tariff.Plan{Budget: 100_000, Hard: true}
		r.opt.Ledger = openLedger(t, &memory{}, plan, now)
		near, peer := connect(t, r.opt.Ledger)
		defer peer.Close()
		r.lanes[point.Alarm].add(1, 100)
		r.lanes[point.History].add(10, 100)
		r.start()
		time.Sleep(time.Minute)
		r.wantDelivered(0)
		send(t, near, 90_000)
		r.lanes[point.History].add(10, 100)
		r.lanes[point.Alarm].add(1, 100)
		r.Wake()
		time.Sleep(5 * time.Minute)
		s := r.Status()
		if s.Lanes[0].Acked != 2 || s.Lanes[1].Sent != 10 {
			t.Errorf("lanes %+v; want the alarm alone delivered", s.Lanes)
		}
		send(t, near, 10_000)
		r.lanes[point.Alarm].add(1, 100)
		r.Wake()
		time.Sleep(5 * time.Minute)
		if s = r.Status(); s.Lanes[0].Sent != 2 || s.Phase != link.Spent {
			t.Errorf("phase %v, lanes %+v; want nothing sent when the budget is spent", s.Phase, s.Lanes)
		}
	}, point.Alarm, point.History)
}

func TestRestartSkipsWhatTheHubHasShown(t *testing.T) {
	rigged(t, func(t *testing.T, r *rig) {
		stop := r.start()
		r.scan(point.History, 300, 100, time.Second)
		time.Sleep(2 * time.Minute)
		stop()
		b := r.lanes[point.History]
		b.sent, b.acked = 120, 60 // the marks of an earlier moment: a power cut
		b.reopen(2)
		b.add(50, 100)
		r.start()
		time.Sleep(2 * time.Minute)
		r.wantDelivered(0)
	}, point.History)
}

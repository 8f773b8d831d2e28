package bufferstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func mustOpen(t *testing.T, dir string, o Options, e engine) *Store {
	t.Helper()
	s, err := open(dir, o, e)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func mustSync(t *testing.T, s *Store) {
	t.Helper()
	if err := s.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func mustClose(t *testing.T, s *Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func lanes(names ...string) Options {
	var o Options
	for _, n := range names {
		o.Lanes = append(o.Lanes, LaneOptions{Name: n})
	}
	return o
}

// contents lists a lane as "1 a" for a record and "2-3 refused" for a gap.
func contents(t *testing.T, l *Lane, from Seq) (all []string) {
	t.Helper()
	for r, err := range l.Records(from) {
		switch {
		case err != nil:
			t.Fatal(err)
		case r.Lost != Kept:
			all = append(all, fmt.Sprintf("%d-%d %s", r.First, r.Last, r.Lost))
		default:
			all = append(all, fmt.Sprintf("%d %.20s", r.First, r.Data))
		}
	}
	return all
}

func wantContents(t *testing.T, l *Lane, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, contents(t, l, 1)); diff != "" {
		t.Errorf("lane %s (-want +got):\n%s", l.name, diff)
	}
}

func TestNothingIsReadBeforeItIsDurable(t *testing.T) {
	s := mustOpen(t, t.TempDir(), lanes("a"), segmentEngine)
	defer mustClose(t, s)
	l := s.Lane("a")
	if got := l.Append([]byte("x"), []byte("y")); got != 2 {
		t.Errorf("append returned %d", got)
	}
	wantContents(t, l)
	mustSync(t, s)
	wantContents(t, l, "1 x", "2 y")
	if got := contents(t, l, 2); len(got) != 1 {
		t.Errorf("from 2: %v", got)
	}
}

func TestWhatWasNotSyncedIsGoneAndItsNumbersComeAgainInAnotherEpoch(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir, lanes("a"), segmentEngine)
	s.Lane("a").Append([]byte("x"))
	mustSync(t, s)
	s.Lane("a").Append([]byte("lost"))
	first := s.Epoch()
	mustClose(t, s)

	s = mustOpen(t, dir, lanes("a"), segmentEngine)
	defer mustClose(t, s)
	l := s.Lane("a")
	l.Append([]byte("y"))
	mustSync(t, s)
	wantContents(t, l, "1 x", "2 y")
	want := []Span{{Epoch: first, First: 1, Last: 1}, {Epoch: s.Epoch(), Parent: first, First: 2, Last: 2}}
	if diff := cmp.Diff(want, l.Spans()); diff != "" {
		t.Error(diff)
	}
}

func TestAppendNeverWaitsForTheDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := new(card)
		s := mustOpen(t, t.TempDir(), lanes("a"), segmentEngine)
		disk.attach(s)
		l := s.Lane("a")
		l.Append([]byte("1"))
		disk.stall = make(chan struct{})
		done := make(chan error)
		go func() { done <- s.Sync(t.Context()) }()
		synctest.Wait()
		if got := l.Append([]byte("2")); got != 2 || l.Durable() != 0 {
			t.Errorf("appended %d, durable %d", got, l.Durable())
		}
		wantContents(t, l)
		close(disk.stall)
		if err := <-done; err != nil || l.Durable() != 1 {
			t.Errorf("sync: %v, durable %d", err, l.Durable())
		}
		mustClose(t, s)
	})
}

func TestConcurrentSyncsShareOneFlush(t *testing.T) {
	disk := new(card)
	s := mustOpen(t, t.TempDir(), lanes("a"), segmentEngine)
	disk.attach(s)
	l := s.Lane("a")
	opened := disk.tried
	disk.stall = make(chan struct{})
	l.Append([]byte("first"))
	running := s.join()
	disk.stall <- struct{}{} // it writes
	l.Append([]byte("second"))
	next := s.join()
	for range 10 {
		seq := l.Append([]byte("more"))
		if f := s.join(); f != next || f == running {
			t.Errorf("a sync of %d neither waits for nor shares the next flush", seq)
		}
	}
	close(disk.stall)
	mustSync(t, s)
	if got := disk.tried - opened; got != 2 || l.Durable() != 12 {
		t.Errorf("%d writes for %d records, want 2 for 12", got, l.Durable())
	}
	mustSync(t, s)
	if got := disk.tried - opened; got != 2 {
		t.Error("a sync wrote with nothing to write")
	}
	mustClose(t, s)
}

func TestSyncEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := new(card)
		s := mustOpen(t, t.TempDir(), lanes("a"), segmentEngine)
		disk.attach(s)
		s.Lane("a").Append([]byte("x"))
		disk.stall = make(chan struct{})
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		if err := s.Sync(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("sync: %v", err)
		}
		close(disk.stall)
		mustSync(t, s)
		wantContents(t, s.Lane("a"), "1 x")
		mustClose(t, s)
		if err := s.Sync(t.Context()); !errors.Is(err, errClosed) {
			t.Errorf("sync of a closed store: %v", err)
		}
	})
}

func TestRecordTooLargeTakesANumber(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir, lanes("a"), segmentEngine)
	big := bytes.Repeat([]byte("x"), MaxRecord)
	s.Lane("a").Append(big, make([]byte, MaxRecord+1), make([]byte, 3<<20), big, []byte("z"))
	mustSync(t, s)
	mustClose(t, s)
	s = mustOpen(t, dir, lanes("a"), segmentEngine)
	defer mustClose(t, s)
	x := strings.Repeat("x", 20)
	wantContents(t, s.Lane("a"), "1 "+x, "2-3 too large", "4 "+x, "5 z")
}

func TestBacklogIsWrittenInSeveralTransactions(t *testing.T) {
	s := mustOpen(t, t.TempDir(), lanes("a", "b"), segmentEngine)
	defer mustClose(t, s)
	for n := range 2000 {
		for _, l := range s.lanes {
			l.Append(bytes.Repeat([]byte{byte(n)}, 1000))
		}
	}
	mustSync(t, s)
	for _, l := range s.lanes {
		n := 0
		for r, err := range l.Records(1) {
			if err != nil || r.Lost != Kept || len(r.Data) != 1000 || r.Data[0] != byte(n) {
				t.Fatalf("at %d: %d-%d %s, %v", n, r.First, r.Last, r.Lost, err)
			}
			n++
		}
		if n != 2000 {
			t.Errorf("%d records", n)
		}
	}
}

func TestQuietStoreGrowsOld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir, disk := t.TempDir(), new(card)
		s := mustOpen(t, dir, lanes("a"), segmentEngine)
		disk.attach(s)
		for range 25 {
			time.Sleep(time.Minute)
			s.maintain()
		}
		mustClose(t, s)
		s = mustOpen(t, dir, lanes("a"), segmentEngine)
		disk.attach(s)
		defer mustClose(t, s)
		if age := s.Stats().Age; age < 20*time.Minute {
			t.Errorf("age %s", age)
		}
	})
}

func TestPendingRecordsAreBounded(t *testing.T) {
	o := Options{MaxPending: 1000, Lanes: []LaneOptions{
		{Name: "keep", Policy: Keep}, {Name: "drop", Policy: DropOldest},
	}}
	s := mustOpen(t, t.TempDir(), o, segmentEngine)
	defer mustClose(t, s)
	keep, drop := s.Lane("keep"), s.Lane("drop")
	rec := func(n int) []byte { return []byte(fmt.Sprintf("%0100d", n)) }
	for n := range 20 {
		drop.Append(rec(n))
	}
	for n := range 4 {
		keep.Append(rec(n))
	}
	if p := s.Stats().Pending; p > o.MaxPending {
		t.Errorf("%d bytes pending", p)
	}
	for n := range 20 {
		keep.Append(rec(n))
	}
	mustSync(t, s)
	zero := strings.Repeat("0", 20)
	wantContents(t, drop, "1-20 refused")
	wantContents(t, keep, "1 "+zero, "2 "+zero, "3 "+zero, "4 "+zero, "5 "+zero, "6-24 refused")
}

func TestOldestPendingGoFirst(t *testing.T) {
	o := Options{MaxPending: 1000, Lanes: []LaneOptions{{Name: "drop", Policy: DropOldest}}}
	s := mustOpen(t, t.TempDir(), o, segmentEngine)
	defer mustClose(t, s)
	l := s.Lane("drop")
	for n := range 100 {
		l.Append([]byte(fmt.Sprintf("%d%099d", n, 0)))
	}
	mustSync(t, s)
	got := contents(t, l, 1)
	if got[0] != "1-95 refused" || len(got) != 6 || !strings.HasPrefix(got[5], "100 99") {
		t.Errorf("got %q", got)
	}
}

// copyDir copies a store as a card is cloned.
func copyDir(t *testing.T, from string) string {
	t.Helper()
	to := t.TempDir()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	return to
}

func TestCloneAndRestoredImageShowAsForks(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir, lanes("a"), segmentEngine)
	s.Lane("a").Append([]byte("1"), []byte("2"))
	mustSync(t, s)
	parent := s.Epoch()
	mustClose(t, s)

	seen := map[Epoch]bool{}
	image := copyDir(t, dir)
	for i, d := range []string{dir, copyDir(t, dir), image, image} {
		s := mustOpen(t, d, lanes("a"), segmentEngine)
		sp := s.Lane("a").Spans()
		if seen[s.Epoch()] || len(sp) != 2 || sp[1].Epoch != s.Epoch() || sp[1].Parent != parent || sp[1].First != 3 {
			t.Errorf("opening %d: epoch %s, spans %+v", i, s.Epoch(), sp)
		}
		seen[s.Epoch()] = true
		s.Lane("a").Append([]byte(fmt.Sprint("own", i)))
		if i != 2 { // the third appends nothing that stays
			mustSync(t, s)
			wantContents(t, s.Lane("a"), "1 1", "2 2", fmt.Sprint("3 own", i))
		}
		mustClose(t, s)
	}
}

func TestSpansAreKeptForWhatMayBeAsked(t *testing.T) {
	t.Parallel()
	dir, disk := t.TempDir(), new(card)
	for n := range 100 {
		s := mustOpen(t, dir, lanes("a"), segmentEngine)
		disk.attach(s)
		l := s.Lane("a")
		l.Append([]byte("x"))
		mustSync(t, s)
		if n == 90 {
			l.Cursor("hub").Ack(20) // and may ask for more
			l.Drop(80, Thinned)
		}
		if n == 98 {
			l.Cursor("hub").Ack(80)
		}
		mustSync(t, s)
		want := min(n+1, max(n+1-20, maxSpans+1))
		if n == 99 {
			want = maxSpans + 1
		}
		if n <= 90 {
			want = n + 1
		}
		if sp := l.Spans(); len(sp) != want || sp[len(sp)-1].Last != Seq(n+1) {
			t.Fatalf("opening %d: %d spans, want %d", n, len(sp), want)
		}
		if n == 99 {
			first := l.Spans()[0].First
			if got := l.Cursor("new").Acked(); got != first-1 {
				t.Errorf("a new cursor begins at %d, the oldest span at %d", got, first)
			}
			for r := range l.Records(1) {
				if (r.Epoch == Epoch{}) != (r.Last < first) {
					t.Errorf("%+v with the oldest span at %d", r, first)
				}
			}
		}
		mustClose(t, s)
	}
}

func TestQuotaTakesDeliveredThenDroppableThenRefuses(t *testing.T) {
	o := Options{Quota: 40 << 10, Lanes: []LaneOptions{
		{Name: "custody", Policy: Keep, Retain: time.Hour}, {Name: "history", Policy: DropOldest, Retain: time.Hour},
	}}
	synctest.Test(t, func(t *testing.T) {
		s := mustOpen(t, t.TempDir(), o, segmentEngine) // 20 KiB for records
		defer mustClose(t, s)
		custody, history := s.Lane("custody"), s.Lane("history")
		kib := func(l *Lane, n int) {
			for range n {
				l.Append(bytes.Repeat([]byte("x"), 900)) // 1 KiB with all
				mustSync(t, s)
				time.Sleep(time.Second)
			}
		}
		wantFirst := func(l *Lane, want string) {
			t.Helper()
			if got := contents(t, l, 1)[0]; !strings.HasPrefix(got, want) {
				t.Errorf("%s begins with %s, want %s", l.name, got, want)
			}
		}
		kib(custody, 5)
		kib(history, 10)
		custody.Cursor("hub").Ack(3)
		wantFirst(custody, "1 xxx")
		kib(custody, 7) // over: delivered ones go, however long they'd be retained
		wantFirst(custody, "1-1 expired")
		wantFirst(history, "1 xxx")
		kib(custody, 4)
		wantFirst(custody, "1-3 expired")
		wantFirst(history, "1-2 evicted") // over: history goes
		kib(custody, 20)
		wantFirst(history, "1-10 evicted")
		got := contents(t, custody, 1)
		if last := got[len(got)-1]; !strings.HasSuffix(last, "-36 refused") || len(got) < 20 {
			t.Errorf("custody: %v", got)
		}
		st := s.Stats()
		if st.Lanes[0].Bytes > 20<<10 || st.Lanes[0].First != 4 || st.Lanes[1].Lost != 10 {
			t.Errorf("stats: %+v", st)
		}
	})
}

func TestDeliveredRecordsStayForTheirRetention(t *testing.T) {
	o := Options{Lanes: []LaneOptions{{Name: "a", Retain: 10 * time.Minute}, {Name: "b"}}}
	synctest.Test(t, func(t *testing.T) {
		dir, disk := t.TempDir(), new(card)
		s := mustOpen(t, dir, o, segmentEngine)
		disk.attach(s)
		for _, l := range s.lanes {
			l.Append([]byte("1"), []byte("2"))
			mustSync(t, s)
			l.Cursor("hub").Ack(2)
			mustSync(t, s)
		}
		time.Sleep(8 * time.Minute)
		s.maintain()
		mustSync(t, s)
		wantContents(t, s.Lane("a"), "1 1", "2 2")
		wantContents(t, s.Lane("b"), "1-2 expired")
		mustClose(t, s)

		time.Sleep(24 * time.Hour) // switched off: not running time
		s = mustOpen(t, dir, o, segmentEngine)
		disk.attach(s)
		defer mustClose(t, s)
		s.maintain()
		wantContents(t, s.Lane("a"), "1 1", "2 2")
		time.Sleep(2 * time.Minute)
		s.maintain()
		wantContents(t, s.Lane("a"), "1-2 expired")
	})
}

func TestDeadSideConsumerHoldsNothingForLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := mustOpen(t, t.TempDir(), lanes("a"), segmentEngine)
		defer mustClose(t, s)
		l := s.Lane("a")
		l.Cursor("side").Limit(time.Hour, 0)
		for range 3 {
			l.Append([]byte("x"))
			mustSync(t, s)
			time.Sleep(40 * time.Minute)
		}
		s.maintain()
		wantContents(t, l, "1-2 evicted", "3 x")

		l.Cursor("hub") // required: holds
		l.Cursor("side").Limit(0, 1)
		s.maintain()
		wantContents(t, l, "1-2 evicted", "3 x")
		l.Cursor("hub").Remove()
		mustSync(t, s)
		s.maintain()
		wantContents(t, l, "1-3 evicted")
	})
}

func TestCursorsSurviveWithTheSync(t *testing.T) {
	dir, disk := t.TempDir(), new(card)
	s := mustOpen(t, dir, lanes("a"), segmentEngine)
	disk.attach(s)
	s.Lane("a").Append([]byte("1"), []byte("2"), []byte("3"))
	mustSync(t, s)
	c := s.Lane("a").Cursor("hub")
	c.SetSent(9)
	c.Ack(2)
	c.Ack(1)
	if c.Sent() != 3 || c.Acked() != 2 {
		t.Errorf("sent %d, acked %d", c.Sent(), c.Acked())
	}
	c.SetSent(1)
	mustSync(t, s)
	c.Ack(3)
	s.Lane("a").Cursor("gone").Remove()
	mustClose(t, s)

	s = mustOpen(t, dir, lanes("a"), segmentEngine)

	disk.attach(s)
	defer mustClose(t, s)
	want := []CursorStats{{Name: "hub", Sent: 2, Acked: 2}}
	if diff := cmp.Diff(want, s.Stats().Lanes[0].Cursors); diff != "" {
		t.Error(diff)
	}
}

func TestDropTakesNothingThatIsAppendedLater(t *testing.T) {
	s := mustOpen(t, t.TempDir(), lanes("a"), segmentEngine)
	defer mustClose(t, s)
	l := s.Lane("a")
	l.Append([]byte("1"), []byte("2"))
	mustSync(t, s)
	l.Append([]byte("3"))
	l.Drop(100, Thinned)
	l.Append([]byte("4"))
	wantContents(t, l, "1 1", "2 2")
	mustSync(t, s)
	wantContents(t, l, "1-3 thinned", "4 4")
	l.Drop(3, Evicted)
	mustSync(t, s)
	wantContents(t, l, "1-3 thinned", "4 4")
}

func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir, lanes("a"), segmentEngine)
	if _, err := Open(dir, lanes("a")); err == nil || !strings.Contains(err.Error(), "in use by another process") {
		t.Errorf("second opening: %v", err)
	}
	mustClose(t, s)
	for _, o := range []Options{lanes(""), lanes("a", "a"), lanes(strings.Repeat("n", 65)), lanes("a/b")} {
		if _, err := Open(dir, o); err == nil {
			t.Errorf("opened with %+v", o)
		}
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(file, lanes("a")); err == nil {
		t.Error("opened a file")
	}
	if s.Lane("b") != nil {
		t.Error("an unknown lane isn't nil")
	}
}

func TestAllAtOnce(t *testing.T) {
	s := mustOpen(t, t.TempDir(), lanes("a", "b"), segmentEngine)
	const each, writers = 300, 4
	var writing, reading sync.WaitGroup
	ctx, cancel := context.WithCancel(t.Context())
	for _, l := range s.lanes {
		for w := range writers {
			writing.Go(func() {
				for n := range each {
					l.Append([]byte(fmt.Sprint(w, n)))
					if n%50 == 0 {
						if err := s.Sync(ctx); err != nil {
							t.Error(err)
						}
					}
				}
			})
		}
		reading.Go(func() {
			c := l.Cursor("hub")
			for ctx.Err() == nil {
				for r, err := range l.Records(c.Sent() + 1) {
					if err != nil || r.Lost != Kept || r.First != c.Sent()+1 {
						t.Errorf("at %d: %+v, %v", c.Sent(), r, err)
						return
					}
					c.SetSent(r.Last)
				}
				c.Ack(c.Sent())
				s.maintain()
				_ = s.Stats()
			}
		})
	}
	writing.Wait()
	mustSync(t, s)
	cancel()
	reading.Wait()
	for _, l := range s.lanes {
		if l.Durable() != each*writers {
			t.Errorf("durable %d", l.Durable())
		}
	}
	mustClose(t, s)
}

func TestFailedSyncGoesToAnotherFileOfTheHead(t *testing.T) {
	dir, disk := t.TempDir(), new(card)
	s := mustOpen(t, dir, lanes("a"), segmentEngine)
	disk.attach(s)
	l := s.Lane("a")
	l.Append([]byte("1"))
	mustSync(t, s)
	l.Append([]byte("2"))
	disk.fails = 1
	mustSync(t, s)
	wantContents(t, l, "1 1", "2 2")
	if f := s.head.last(); f.name != "head-1" || s.needed() != f.generation {
		t.Errorf("%s of generation %d is filled, %d is needed", f.name, f.generation, s.needed())
	}

	disk.fails = 2
	l.Append([]byte("3"))
	if err := s.Sync(t.Context()); !errors.Is(err, errCard) || !errors.Is(s.Stats().SyncError, errCard) || l.Durable() != 2 {
		t.Errorf("sync: %v, durable %d", err, l.Durable())
	}
	l.Append([]byte("4"))
	wantContents(t, l, "1 1", "2 2") // still readable
	mustSync(t, s)
	wantContents(t, l, "1 1", "2 2", "3 3", "4 4")
	if err := s.Stats().SyncError; err != nil {
		t.Error(err)
	}
	mustClose(t, s)
	s = mustOpen(t, dir, lanes("a"), segmentEngine)
	defer mustClose(t, s)
	wantContents(t, s.Lane("a"), "1 1", "2 2", "3 3", "4 4")
}

// small has head files that a test fills soon.
func small(names ...string) Options {
	o := lanes(names...)
	o.HeadBytes = 64 << 10
	return o
}

func TestFullHeadIsSealedAndReclaimed(t *testing.T) {
	eachEngine(t, func(t *testing.T, e engine) {
		synctest.Test(t, func(t *testing.T) {
			dir, o := t.TempDir(), small("a", "quiet")
			o.Codec = squeeze{}
			s := mustOpen(t, dir, o, e)
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error)
			go func() { done <- s.Run(ctx) }()
			l := s.Lane("a")
			s.Lane("quiet").Append([]byte("q"))
			var want []string
			for n := range 200 {
				l.Append(bytes.Repeat([]byte("ab"), 500))
				want = append(want, fmt.Sprintf("%d %.20s", n+1, strings.Repeat("ab", 10)))
				mustSync(t, s)
				time.Sleep(time.Second)
			}
			st := l.current()
			if len(st.segments) < 10 || len(st.head) > 40 {
				t.Errorf("%d segments, %d in the head", len(st.segments), len(st.head))
			}
			wantContents(t, l, want...)
			wantContents(t, s.Lane("quiet"), "1 q")
			if n := len(s.Lane("quiet").current().segments); n != 0 {
				t.Errorf("one record has %d segments", n)
			}
			l.Cursor("hub").Ack(200)
			mustSync(t, s)
			time.Sleep(2 * tick)
			left, err := listSegments(s.segments())
			if st := l.current(); err != nil || len(left["a"]) != 0 || st.bytes != 0 {
				t.Errorf("left: %v, %v, state %+v", left, err, st)
			}
			wantContents(t, l, "1-200 expired")
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
			mustClose(t, s)
			s = mustOpen(t, dir, o, e)
			defer mustClose(t, s)
			wantContents(t, s.Lane("a"), "1-200 expired")
			wantContents(t, s.Lane("quiet"), "1 q")
		})
	})
}

func TestSyncSealsWhereNobodyElseDoes(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir, small("a"), segmentEngine)
	var want []string
	for n := range 100 {
		s.Lane("a").Append(bytes.Repeat([]byte{'a' + byte(n%26)}, 3000))
		want = append(want, fmt.Sprintf("%d %s", n+1, strings.Repeat(string(rune('a'+n%26)), 20)))
		mustSync(t, s)
	}
	wantContents(t, s.Lane("a"), want...)
	mustClose(t, s)
	s = mustOpen(t, dir, small("a"), segmentEngine)
	defer mustClose(t, s)
	wantContents(t, s.Lane("a"), want...)
}

func TestIterationIsASnapshot(t *testing.T) {
	s := mustOpen(t, t.TempDir(), small("a"), segmentEngine)
	defer mustClose(t, s)
	l := s.Lane("a")
	fill := func() { // two head files
		l.Append(bytes.Repeat([]byte("x"), 50<<10))
		mustSync(t, s)
	}
	for range 10 {
		fill()
	}
	var got []string
	for r, err := range l.Records(1) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, fmt.Sprintf("%d %s", r.First, r.Lost))
		switch r.First {
		case 2, 9: // what is still to be read goes into a segment
			fill()
			fill()
			fill()
		case 6:
			l.Drop(8, Thinned)
			mustSync(t, s)
		}
	}
	want := "1 kept,2 kept,3 kept,4 kept,5 kept,6 kept,7 thinned,9 kept,10 kept"
	if strings.Join(got, ",") != want {
		t.Errorf("got %v", got)
	}
}

func TestNewerVersionIsSetAside(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir, lanes("a"), segmentEngine)
	s.Lane("a").Append([]byte("x"))
	mustSync(t, s)
	mustClose(t, s)
	name := filepath.Join(dir, "head-0")
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	newer := newTag(1)
	newer[3]++
	if err := os.WriteFile(name, appendFrame(nil, newer, event{'?', nil}, nil), 0o600); err != nil {
		t.Fatal(err)
	}

	var log bytes.Buffer
	o := lanes("a")
	o.Logger = slog.New(slog.NewTextHandler(&log, nil))
	s = mustOpen(t, dir, o, segmentEngine)
	wantContents(t, s.Lane("a"), "1-1 damaged")
	q := s.Stats().Quarantined
	if len(q) != 1 || !strings.Contains(log.String(), "newer version") {
		t.Errorf("set aside: %v, logged: %s", q, log.String())
	}
	mustClose(t, s)

	// The newer program finds all it had.
	aside := filepath.Join(dir, quarantineDir, q[0])
	if err := os.WriteFile(filepath.Join(aside, "head-0"), b, 0o600); err != nil {
		t.Fatal(err)
	}
	s = mustOpen(t, aside, lanes("a"), segmentEngine)
	defer mustClose(t, s)
	wantContents(t, s.Lane("a"), "1 x")
}

func TestThinnedIsWhatNobodyHasYet(t *testing.T) {
	o := Options{Quota: 2 << 20, HeadBytes: 64 << 10, Lanes: []LaneOptions{
		{Name: "custody", Retain: time.Hour}, {Name: "history", Policy: Thin}, {Name: "other", Policy: DropOldest},
	}}
	s := mustOpen(t, t.TempDir(), o, segmentEngine)
	defer mustClose(t, s)
	fill := func(l *Lane, kib int) {
		for n := range kib {
			l.Append(bytes.Repeat([]byte("x"), 960))
			if n%10 == 9 {
				mustSync(t, s)
			}
		}
	}
	history, custody := s.Lane("history"), s.Lane("custody")
	fill(custody, 300)
	fill(history, 600)
	if upTo := history.Crowded(); upTo != 0 {
		t.Errorf("crowded up to %d with 0.9 MiB of 1.7", upTo)
	}
	for history.Crowded() == 0 {
		fill(history, 10)
	}
	if upTo, st := history.Crowded(), history.current(); upTo < 90 || upTo > 200 || st.first != 1 {
		t.Errorf("crowded up to %d of %d to %d", upTo, st.first, st.end)
	}
	if s.Lane("other").Crowded() != 0 {
		t.Error("a lane that isn't thinned is crowded")
	}
	custody.Cursor("hub").Ack(300)
	mustSync(t, s)
	if upTo := history.Crowded(); upTo != 0 {
		t.Errorf("crowded up to %d though custody is delivered", upTo)
	}
}

func TestWhatIsAckedGoesOnceThatIsDurable(t *testing.T) {
	s := mustOpen(t, t.TempDir(), lanes("a"), segmentEngine)
	defer mustClose(t, s)
	l := s.Lane("a")
	l.Append([]byte("1"))
	mustSync(t, s)
	l.Cursor("hub").Ack(1)
	s.maintain() // makes the ack durable; in one commit with the cut, half of it could say that 1 is gone, and not why
	wantContents(t, l, "1 1")
	s.maintain()
	wantContents(t, l, "1-1 expired")
}

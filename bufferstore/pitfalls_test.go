package bufferstore

import (
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// noise returns bytes that don't pack.
func noise(seed Seq, size int) []byte {
	b := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), byte(seed >> 16)}).Read(b) // never fails
	return b
}

// give lets a lane be as it is after a long time.
func (l *Lane) give(st state) { l.state, l.last = &st, st.end }

// manyGaps puts gaps before all that is kept, one in two numbers.
func manyGaps(st state, count int) state {
	for range count {
		st.gaps = append(st.gaps, gap{st.end + 1, st.end + 1, Refused})
		st.end += 2
	}
	st.first = st.end + 1
	return st
}

// The commit that begins a file of the head fails, and the next one is small enough
// for the file before: that one must not get frames of a younger generation.
func TestCommitAfterATurnThatFailedGoesIntoNoOlderFile(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir, small("a"), segmentEngine)
	disk := new(card)
	disk.attach(s)
	l := s.Lane("a")
	c := l.Cursor("x")
	l.Append([]byte("first"))
	mustSync(t, s)
	for s.head.fits(16 << 10) {
		l.Append(noise(l.last, 3000))
		mustSync(t, s)
	}
	for range 4 {
		l.Append(noise(l.last, 3900))
	}
	disk.fails = 1
	if err := s.Sync(t.Context()); !errors.Is(err, errCard) {
		t.Fatalf("sync: %v", err)
	}
	c.Ack(1)
	noErr(t, s.locked(s.retain))
	if f := s.head.last(); f.generation != s.head.latest {
		t.Errorf("%s of generation %d was given frames of generation %d", f.name, f.generation, s.head.latest)
	}
	mustSync(t, s)
	want := contents(t, l, 1)
	mustClose(t, s)
	removeMarks(t, dir)
	s = mustOpen(t, dir, small("a"), segmentEngine)
	defer mustClose(t, s)
	wantContents(t, s.Lane("a"), want...)
	if got := s.Lane("a").Cursor("x").Acked(); got != 1 {
		t.Errorf("acked %d", got)
	}
}

// A commit of two pages, of which a cut lets only the second one through: there is
// no record size for which a cut is left there, but not what it was for.
func TestTornCommitSeparatesNoCutFromItsReason(t *testing.T) {
	for size := 4000; size < 4072; size += 12 {
		dir := t.TempDir()
		s := mustOpen(t, dir, small("a"), segmentEngine)
		l := s.Lane("a")
		l.Append([]byte("1"), []byte("2"), []byte("3"))
		mustSync(t, s)
		torn := s.head.last().used
		l.Append(noise(l.last, size))
		l.Drop(3, Thinned)
		mustSync(t, s)
		mustClose(t, s)
		removeMarks(t, dir)
		rewrite(func(b []byte) []byte {
			clear(b[torn : torn+pageBytes])
			return b
		})(t, filepath.Join(dir, headNames[0]))
		s = mustOpen(t, dir, small("a"), segmentEngine)
		if got := contents(t, s.Lane("a"), 1); got[0] != "1-3 thinned" && got[0] != "1 1" {
			t.Errorf("behind a record of %d bytes: %s", size, got[0])
		}
		mustClose(t, s)
	}
}

func TestCursorWithALongNameIsKeptLikeOthers(t *testing.T) {
	dir, long := t.TempDir(), strings.Repeat("x", 256)
	s := mustOpen(t, dir, small("a"), segmentEngine)
	new(card).attach(s)
	l := s.Lane("a")
	l.Append(make([]byte, MaxRecord+1), []byte("b"), []byte("c"))
	mustSync(t, s)
	l.Cursor("good").Ack(2)
	l.Cursor(long).Ack(3)
	for s.head.latest < 3 { // until a checkpoint alone tells of them
		l.Append(noise(l.last, 3000))
		mustSync(t, s)
		s.maintain()
	}
	mustClose(t, s)
	removeMarks(t, dir)
	s = mustOpen(t, dir, small("a"), segmentEngine)
	defer mustClose(t, s)
	l = s.Lane("a")
	if good, other := l.Cursor("good").Acked(), l.Cursor(long).Acked(); good != 2 || other != 3 {
		t.Errorf("acked %d and %d", good, other)
	}
	if got := contents(t, l, 1)[0]; got != "1-1 too large" {
		t.Error(got)
	}
}

func TestDropForNoReasonEvicts(t *testing.T) {
	s := mustOpen(t, t.TempDir(), lanes("a"), segmentEngine)
	defer mustClose(t, s)
	l := s.Lane("a")
	l.Append([]byte("1"), []byte("2"))
	mustSync(t, s)
	l.Drop(1, Kept)
	mustSync(t, s)
	want := []gap{{1, 1, Evicted}}
	if got := l.current().gaps; !slices.Equal(got, want) { // an iteration over a gap that is none would never end
		t.Fatalf("gaps %v", got)
	}
	wantContents(t, l, "1-1 evicted", "2 2")
}

// A commit that adds more records than one may cut still cuts.
func TestManySmallRecordsPushOutOldOnes(t *testing.T) {
	o := lanes("a")
	o.Lanes[0].Policy, o.HeadBytes, o.Quota = DropOldest, 512<<10, 2<<20
	s := mustOpen(t, t.TempDir(), o, segmentEngine)
	defer mustClose(t, s)
	new(card).attach(s)
	l := s.Lane("a")
	for range 8 {
		for range 3 * maxCuts {
			l.Append(noise(l.last, 16))
		}
		mustSync(t, s)
		s.maintain()
	}
	for r, err := range l.Records(1) {
		noErr(t, err)
		if r.Lost == Refused {
			t.Fatalf("%d to %d of %d are refused", r.First, r.Last, l.Durable())
		}
	}
	if l.current().first == 1 {
		t.Error("nothing had to go")
	}
}

// A seal on a full disk gives records up, or carries them over. That the head is
// full as well, and a cursor has moved, must not look like another failure.
func TestFullHeadDoesNotHideThatTheDiskIsFull(t *testing.T) {
	o := small("a")
	o.Lanes[0].Policy = DropOldest
	s := mustOpen(t, t.TempDir(), o, segmentEngine)
	defer mustClose(t, s)
	new(card).attach(s)
	l := s.Lane("a")
	c := l.Cursor("x")
	for s.head.latest < 2 || s.head.fits(pageBytes+s.head.size/8) {
		l.Append(noise(l.last, 3000))
		mustSync(t, s)
	}
	c.Ack(3)
	if err := s.makeSpace(1 << 60); !errors.As(err, new(*FullError)) {
		t.Errorf("making space: %v", err)
	}
}

func TestSegmentThatCantBeRemovedHoldsUpNoOther(t *testing.T) {
	s := mustOpen(t, t.TempDir(), small("a"), segmentEngine)
	defer mustClose(t, s)
	mustWrite(t, s.segments(), segmentEngine, "a", 7, madeChunks("a", 1, 10))
	impossible := segmentID{"\x00", 1}
	s.garbage = []segmentID{{"a", 7}, impossible}
	if err := s.sweep(); err == nil {
		t.Error("all was removed")
	}
	if left := names(t, s.segments()); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
	if !slices.Equal(s.garbage, []segmentID{impossible}) {
		t.Errorf("to be removed: %v", s.garbage)
	}
}

func TestSegmentIsRemovedIfItsRecordsWereGivenUpMeanwhile(t *testing.T) {
	s := mustOpen(t, t.TempDir(), small("a"), segmentEngine)
	defer mustClose(t, s)
	l := s.Lane("a")
	l.Append([]byte("1"), []byte("2"))
	mustSync(t, s)
	g, err := s.build(l, l.current().head, 1)
	noErr(t, err)
	s.built[l] = &g
	l.Drop(g.last, Thinned)
	mustSync(t, s)
	s.maintain()
	if left := names(t, s.segments()); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// An opening can't make the folder where the disk is full, or read-only.
func TestSegmentsFolderIsMadeOnceItIsNeeded(t *testing.T) {
	s := mustOpen(t, t.TempDir(), small("a"), segmentEngine)
	defer mustClose(t, s)
	new(card).attach(s)
	noErr(t, os.Remove(s.segments()))
	l := s.Lane("a")
	for s.head.latest < 4 {
		l.Append(noise(l.last, 3000))
		mustSync(t, s)
	}
	if len(names(t, s.segments())) == 0 {
		t.Error("no segment is written")
	}
}

func TestTinyRecordsFitIntoAChunk(t *testing.T) {
	s := mustOpen(t, t.TempDir(), small("a"), segmentEngine)
	defer mustClose(t, s)
	recs := make([]kept, chunkBytes)
	for i := range recs {
		recs[i] = kept{seq: Seq(i + 1), data: []byte{1}}
	}
	if _, err := s.build(s.Lane("a"), recs, 1); err != nil {
		t.Error(err)
	}
}

func TestMemoryOfAHeadThatPacksWellIsBounded(t *testing.T) {
	o := lanes("a")
	o.HeadBytes = 256 << 10
	s := mustOpen(t, t.TempDir(), o, segmentEngine)
	defer mustClose(t, s)
	new(card).attach(s)
	l := s.Lane("a")
	same := noise(0, 1000)
	commit := 50 * cost(same)
	for range 60 {
		for range 50 {
			l.Append(same)
		}
		mustSync(t, s)
		if n, most := costs(l.current().head), 3*(2*o.HeadBytes+commit); n > most { // a spare file helps out
			t.Fatalf("%d bytes of records are in memory, want at most %d", n, most)
		}
	}
}

func TestStoreStaysWithinItsQuotaBallastAndAll(t *testing.T) {
	o := small("a")
	o.Lanes[0].Policy, o.Quota = DropOldest, 1<<20
	s := mustOpen(t, t.TempDir(), o, segmentEngine)
	defer mustClose(t, s)
	new(card).attach(s)
	l := s.Lane("a")
	for range 100 {
		for range 4 {
			l.Append(noise(l.last, 4000))
		}
		mustSync(t, s)
		s.maintain()
		if st := s.Stats(); st.Disk > st.Quota {
			t.Fatalf("%d bytes on disk, the quota is %d", st.Disk, st.Quota)
		}
	}
}

func TestOldGapsThatAllCursorsHavePassedAreForgotten(t *testing.T) {
	s := mustOpen(t, t.TempDir(), small("a"), segmentEngine)
	defer mustClose(t, s)
	l := s.Lane("a")
	l.give(manyGaps(*l.state, maxGaps+100))
	c := l.Cursor("x")
	c.Ack(100) // fifty of them
	mustSync(t, s)
	for _, want := range []int{maxGaps + 51, maxGaps} {
		l.Append(make([]byte, MaxRecord+1), []byte("x"))
		mustSync(t, s)
		c.Ack(l.Durable())
		mustSync(t, s)
		if got := len(l.current().gaps); got != want {
			t.Errorf("%d gaps in memory, want %d", got, want)
		}
	}
}

// A head file must have room for more than the checkpoint that it begins with.
func TestCheckpointAsLongAsAHeadFileDoesNotFillOneAtEachSync(t *testing.T) {
	s := mustOpen(t, t.TempDir(), small("a"), segmentEngine)
	defer mustClose(t, s)
	new(card).attach(s)
	l := s.Lane("a")
	st := *l.state
	for n := Seq(1); n <= 1480; n++ {
		st.segments = append(st.segments, segment{number: uint64(n), first: n, last: n, chunks: 1})
	}
	st.end = 1480
	l.give(st)
	for range 10 {
		l.Append([]byte("x"))
		mustSync(t, s)
		s.maintain()
	}
	if s.head.latest > 3 {
		t.Errorf("10 Syncs of a byte have begun %d files of %d bytes", s.head.latest, s.head.last().size)
	}
}

func TestCheckpointOfAnyLengthIsRead(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir, lanes("a"), segmentEngine)
	l := s.Lane("a")
	l.give(manyGaps(*l.state, 500_000)) // 8.5 MB
	l.Append([]byte("x"))
	mustSync(t, s)
	want := l.current().gaps
	mustClose(t, s)
	s = mustOpen(t, dir, lanes("a"), segmentEngine)
	defer mustClose(t, s)
	if got := s.Lane("a").current().gaps; !slices.Equal(got, want) {
		t.Errorf("%d gaps are left of %d", len(got), len(want))
	}
}

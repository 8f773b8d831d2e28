package bufferstore

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// A file of the head without a frame is what a cut leaves while it is made, or
// what damage leaves of it.
func TestHeadFileWithoutFramesIsNotTheOneBeingFilled(t *testing.T) {
	for _, sizes := range [][]int64{{0}, {4096}, {60 << 10}, {64 << 10}, {0, 0}, {64 << 10, 64 << 10}, {60 << 10, 0}} {
		t.Run(fmt.Sprint(sizes), func(t *testing.T) {
			dir := t.TempDir()
			for i, size := range sizes {
				if err := os.WriteFile(filepath.Join(dir, headNames[i]), make([]byte, size), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			var want []string
			for n := range 12 {
				s := mustOpen(t, dir, small("a"), segmentEngine)
				for range 3 {
					s.Lane("a").Append([]byte(strings.Repeat("x", 5000)))
					want = append(want, fmt.Sprintf("%d %s", len(want)+1, strings.Repeat("x", 20)))
					mustSync(t, s)
				}
				if g := s.needed(); g == 0 {
					t.Errorf("opening %d: a record is in generation 0", n)
				}
				wantContents(t, s.Lane("a"), want...)
				mustClose(t, s)
			}
		})
	}
}

// The head still has some of the records that a segment has held. Those that come
// back stay, and so do those that don't.
func TestLostSegmentCostsTheSameAtEveryReading(t *testing.T) {
	for i := range 3 {
		dir := t.TempDir()
		s := mustOpen(t, dir, small("a"), segmentEngine)
		new(card).attach(s)
		add := func(n int) {
			for range n {
				s.Lane("a").Append([]byte(strings.Repeat("x", 15<<10)))
				mustSync(t, s)
				s.maintain()
			}
		}
		add(11)
		lost := s.Lane("a").current().segments[i]
		mustClose(t, s)
		noErr(t, removeSegment(s.segments(), "a", lost.number))
		var want []string
		for range 3 {
			s = mustOpen(t, dir, small("a"), segmentEngine)
			new(card).attach(s)
			got := contents(t, s.Lane("a"), 1)
			if want == nil {
				want = got
			}
			if diff := cmp.Diff(want, got[:len(want)]); diff != "" {
				t.Error(diff)
			}
			add(10)
			if diff := cmp.Diff(want, contents(t, s.Lane("a"), 1)[:len(want)]); diff != "" {
				t.Error(diff)
			}
			mustClose(t, s)
		}
	}
}

// A record that was written once more is lost there, but not where it was before:
// the older file of the head is needed for it, until it is sealed behind newer ones.
func TestRecordThatFallsBackToAnOlderFileIsSealed(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir, small("a", "quiet"), segmentEngine)
	new(card).attach(s)
	quiet := s.Lane("quiet")
	quiet.Append([]byte("1"), []byte("2"), []byte("3"))
	for s.head.latest < 2 || len(s.ripe()[quiet]) > 0 {
		s.Lane("a").Append([]byte(strings.Repeat("x", 10000)))
		mustSync(t, s)
		s.maintain()
	}
	last := s.head.last().name
	mustClose(t, s)
	rewrite(func(b []byte) []byte {
		for fr := range frames(b) {
			if fr.kind == kindRecord && fr.tag.generation() == 2 && strings.HasSuffix(string(fr.body), "2") {
				b[fr.end-1] ^= 1
			}
		}
		return b
	})(t, filepath.Join(dir, last))

	s = mustOpen(t, dir, small("a", "quiet"), segmentEngine)
	new(card).attach(s)
	quiet = s.Lane("quiet")
	if k := quiet.current().head; len(k) != 3 || k[0].generation != 2 || k[1].generation != 1 || k[2].generation != 2 {
		t.Fatalf("the head has %+v", k)
	}
	for range 30 {
		s.Lane("a").Append([]byte(strings.Repeat("x", 10000)))
		mustSync(t, s)
	}
	wantContents(t, quiet, "1 1", "2 2", "3 3")
	mustClose(t, s)
}

// A record may hold anything, also what a frame is made of. Here records are half
// overwritten by those of the next filling of a file, so that what is in them is looked through.
func TestFrameInARecordIsNone(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir, small("a"), segmentEngine)
	new(card).attach(s)
	l := s.Lane("a")
	cut := appendFrame(nil, newTag(1000), event{kindCut, append(appendU64(appendText(nil, "a"), 1<<40, 1), byte(Evicted))}, nil)
	cut = append(cut, appendFrame(nil, newTag(1000), event{kindAge, appendU64(nil, 1<<60)}, nil)...)
	for n := range 150 {
		l.Append(append(bytes.Repeat([]byte("SK"), n*877%7000), cut...))
		mustSync(t, s)
		s.maintain()
	}
	mustClose(t, s)
	s = mustOpen(t, dir, small("a"), segmentEngine)
	if n := s.Lane("a").Durable(); n != 150 || s.head.latest >= 1000 || s.Stats().Age > time.Hour {
		t.Fatalf("%d records, generation %d, age %v", n, s.head.latest, s.Stats().Age)
	}
	for i, h := range holdings(t, s.Lane("a")) {
		if data := string(append(bytes.Repeat([]byte("SK"), i*877%7000), cut...)); h.data != data {
			t.Fatalf("%d is %v", i+1, h)
		}
	}
	mustClose(t, s)
}

func noErr(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

package bufferstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// seen lists a lane of a view as contents does.
func seen(t *testing.T, v *View, lane string) (all []string) {
	t.Helper()
	for r, err := range v.Records(lane, 1) {
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

func mustNil(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func mustView(t *testing.T, dir string, o Options) *View {
	t.Helper()
	v, err := OpenView(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// ten is a store whose lane a has segments of 1 to 3, 4 to 6 and 7 to 9, a record
// in the head, and a cursor.
func ten(t *testing.T, o Options) string {
	t.Helper()
	dir := t.TempDir()
	s := mustOpen(t, dir, o, segmentEngine)
	defer mustClose(t, s)
	l := s.Lane("a")
	rng := rand.NewChaCha8([32]byte{})
	for n := range 10 {
		rec := bytes.Repeat([]byte{'0' + byte(n+1)%10}, 17<<10)
		rng.Read(rec[20:])
		l.Append(rec)
		l.Cursor("hub").Ack(2)
		mustSync(t, s)
		mustNil(t, s.seal(false))
	}
	if st := l.current(); len(st.segments) != 3 || len(st.head) != 1 {
		t.Fatalf("%+v, %d in the head", st.segments, len(st.head))
	}
	return dir
}

// tree lists all that is below dir, with what a file holds and when it was changed.
func tree(t *testing.T, dir string) (all []string) {
	t.Helper()
	mustNil(t, filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		var b []byte
		if !d.IsDir() {
			b, err = os.ReadFile(name)
		}
		all = append(all, fmt.Sprintf("%s %s %x", name, info.ModTime(), b))
		return err
	}))
	return all
}

func TestViewShowsAllAndChangesNothing(t *testing.T) {
	dir := ten(t, small("a"))
	s := mustOpen(t, dir, small("a"), segmentEngine)
	defer mustClose(t, s)
	before := tree(t, dir)
	v := mustView(t, dir, small())
	want := contents(t, s.Lane("a"), 1)
	if diff := cmp.Diff(want, seen(t, v, "a")); len(want) != 10 || diff != "" {
		t.Error(diff)
	}
	for _, err := range v.Verify() {
		mustNil(t, err)
	}
	l := v.Lanes()[0]
	if l.Records != 10 || l.Segments != 3 || l.Missing != 0 || len(l.Declared) != 0 || l.Cursors[0].Acked != 2 {
		t.Errorf("%+v", l)
	}
	if d := v.Disk(); d.Head != 128<<10 || d.Segments != s.used()-d.Head || d.Segments == 0 || len(d.Quarantine) != 0 {
		t.Errorf("%+v", d)
	}
	if diff := cmp.Diff(before, tree(t, dir)); diff != "" {
		t.Error(diff)
	}
}

func TestViewOfARunningStoreSeesNoDamage(t *testing.T) {
	dir, o := t.TempDir(), small("a")
	s := mustOpen(t, dir, o, segmentEngine)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- s.Run(ctx) }()
	go func() {
		l := s.Lane("a")
		for ctx.Err() == nil {
			l.Append(bytes.Repeat([]byte("x"), 9000))
			_ = s.Sync(ctx)
			l.Cursor("hub").Ack(max(l.Durable(), 20) - 20)
			s.wake()
		}
		done <- nil
	}()
	last, start := Seq(0), time.Now()
	for age := time.Duration(0); age < time.Second || last < 60 && age < time.Minute; age = time.Since(start) {
		v, err := OpenView(dir, o)
		if err != nil {
			continue // it changes too fast
		}
		for r, err := range v.Records("a", last) {
			if err != nil || r.Lost != Kept && r.Lost != Expired {
				t.Errorf("%+v %v", r, err)
			}
			last = r.Last
		}
	}
	cancel()
	mustNil(t, errors.Join(<-done, <-done))
	mustClose(t, s)
	if last < 60 {
		t.Errorf("seen up to %d", last)
	}
}

func TestWhatIsGivenUpWhileItIsLookedIntoReadsAsExpired(t *testing.T) {
	dir := ten(t, small("a"))
	v := mustView(t, dir, small())
	mustNil(t, removeSegment(filepath.Join(dir, segmentsDir), "a", 1))
	want := []string{"1-3 expired", "4 " + strings.Repeat("4", 20)}
	if got := seen(t, v, "a"); !slices.Equal(got[:2], want) {
		t.Error(got)
	}
	for p, err := range v.Verify() {
		if err != nil || p.Damaged || p.Lost != 0 {
			t.Errorf("%+v %v", p, err)
		}
	}
}

func TestVerifyTellsWhatIsDamagedAndWhatIsLeft(t *testing.T) {
	first, second, third := segmentName("a", 1), segmentName("a", 2), segmentName("a", 3)
	all := []Part{
		{Lane: "a", Segment: first, First: 1, Last: 3, Records: 3},
		{Lane: "a", Segment: second, First: 4, Last: 6, Records: 3},
		{Lane: "a", Segment: third, First: 7, Last: 9, Records: 3},
		{Lane: "a", First: 10, Last: 10, Records: 1},
	}
	change := func(i int, p Part) []Part {
		parts := slices.Clone(all)
		parts[i] = p
		return parts
	}
	for name, tt := range map[string]struct {
		hurt     func(t *testing.T, dir string)
		want     []Part
		headless bool
		missing  uint64
	}{
		"nothing": {func(*testing.T, string) {}, all, false, 0},
		"record": {func(t *testing.T, dir string) {
			spoil(t, filepath.Join(dir, segmentsDir, second), strings.Repeat("5", 20))
		}, change(1, Part{Lane: "a", Segment: second, First: 4, Last: 6, Damaged: true, Lost: 3}), false, 0},
		"sealed": {func(t *testing.T, dir string) {
			mustNil(t, os.Remove(filepath.Join(dir, segmentsDir, first, sealedName)))
		}, change(0, Part{Lane: "a", Segment: first, First: 1, Last: 3, Damaged: true, Records: 3}), false, 0},
		"segment lost": {func(t *testing.T, dir string) {
			mustNil(t, os.RemoveAll(filepath.Join(dir, segmentsDir, first)))
		}, change(0, Part{Lane: "a", First: 1, Last: 3, Lost: 3}), false, 3},
		"head": {func(t *testing.T, dir string) {
			blank(t, dir)
		}, all[:3], true, 0},
		"head and sealed": {func(t *testing.T, dir string) {
			blank(t, dir)
			mustNil(t, os.Remove(filepath.Join(dir, segmentsDir, second, sealedName)))
		}, change(1, Part{Lane: "a", Segment: second, First: 4, Last: 6, Damaged: true, Records: 3})[:3], true, 0},
		"head and all of a segment": {func(t *testing.T, dir string) {
			blank(t, dir)
			mustNil(t, os.RemoveAll(filepath.Join(dir, segmentsDir, third)))
			mustNil(t, os.Mkdir(filepath.Join(dir, segmentsDir, third), 0o700))
		}, append(slices.Clone(all[:2]), Part{Lane: "a", Segment: third, Damaged: true}), true, 0},
	} {
		t.Run(name, func(t *testing.T) {
			dir := ten(t, small("a"))
			tt.hurt(t, dir)
			before := tree(t, dir)
			v := mustView(t, dir, small())
			if v.Headless() != tt.headless || v.Lanes()[0].Missing != tt.missing {
				t.Errorf("headless %v, lanes %+v", v.Headless(), v.Lanes())
			}
			var got []Part
			for p, err := range v.Verify() {
				mustNil(t, err)
				p.Bytes = 0
				got = append(got, p)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(before, tree(t, dir)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// spoil changes a text wherever it stands in the files of dir.
func spoil(t *testing.T, dir, text string) {
	t.Helper()
	for _, name := range names(t, dir) {
		rewrite(func(b []byte) []byte {
			return bytes.ReplaceAll(b, []byte(text), bytes.Repeat([]byte{'?'}, len(text)))
		})(t, filepath.Join(dir, name))
	}
}

// blank makes the head zeros and takes the marks away.
func blank(t *testing.T, dir string) {
	t.Helper()
	for _, name := range []string{"head-0", "head-1"} {
		rewrite(func(b []byte) []byte { return make([]byte, len(b)) })(t, filepath.Join(dir, name))
	}
	removeMarks(t, dir)
}

func removeMarks(t *testing.T, dir string) {
	t.Helper()
	for _, name := range []string{"marks-0", "marks-1"} {
		if err := os.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
	}
}

// What an earlier opening has declared is no damage any more.
func TestDeclaredGapsAreNoDamage(t *testing.T) {
	dir := ten(t, small("a"))
	mustNil(t, os.RemoveAll(filepath.Join(dir, segmentsDir, segmentName("a", 1))))
	s := mustOpen(t, dir, small("a"), segmentEngine)
	s.Lane("a").Append([]byte("8"))
	mustSync(t, s)
	mustClose(t, s)
	v := mustView(t, dir, small())
	if l := v.Lanes()[0]; l.Missing != 0 || l.Declared[Damaged] != 3 || l.Records != 8 {
		t.Errorf("%+v", l)
	}
	for p, err := range v.Verify() {
		if err != nil || p.Lost != 0 {
			t.Errorf("%+v %v", p, err)
		}
	}
}

func TestViewOfAnEncryptedStoreNeedsTheKey(t *testing.T) {
	o := small("a")
	o.Key = bytes.Repeat([]byte{7}, 32)
	dir := ten(t, o)
	if got := seen(t, mustView(t, dir, o), "a"); len(got) != 10 {
		t.Error(got)
	}
	for _, key := range [][]byte{nil, bytes.Repeat([]byte{8}, 32)} {
		if _, err := OpenView(dir, Options{Key: key}); !errors.Is(err, ErrKey) {
			t.Errorf("key %x: %v", key, err)
		}
	}
	blank(t, dir) // then the segments alone ask for it
	var got error
	for _, err := range mustView(t, dir, Options{}).Records("a", 1) {
		got = err
	}
	if !errors.Is(got, ErrKey) {
		t.Error(got)
	}
}

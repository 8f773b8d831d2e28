package bufferstore

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// engines are those that this machine has.
func engines() map[string]engine {
	return map[string]engine{
		strings.TrimPrefix(fmt.Sprintf("%T", segmentEngine), "bufferstore."): segmentEngine,
		"plainEngine": plainEngine{},
	}
}

func eachEngine(t *testing.T, f func(t *testing.T, e engine)) {
	t.Helper()
	for name, e := range engines() {
		t.Run(name, func(t *testing.T) { f(t, e) })
	}
}

// madeChunks are count chunks of lane with noise in one record of size bytes each.
func madeChunks(lane string, count, size int) (all []sealedChunk) {
	rng := rand.New(rand.NewPCG(uint64(count), uint64(size)))
	next := Seq(1)
	for i := range count {
		rec := make([]byte, size)
		for j := range rec {
			rec[j] = byte(rng.Uint32())
		}
		c := chunk{Epoch{1, byte(i / 3)}, next, next + Seq(rng.IntN(9)), time.Duration(i) * time.Second}
		all = append(all, sealedChunk{c, encodeChunk(nil, lane, c, false, appendRaw(nil, rec))})
		next = c.last + 1 + Seq(rng.IntN(2))
	}
	return all
}

func values(all []sealedChunk) iter.Seq2[sealedChunk, error] {
	return func(yield func(sealedChunk, error) bool) {
		for _, c := range all {
			if !yield(c, nil) {
				return
			}
		}
	}
}

// newRoot is the directory of segments of a store.
func newRoot(t testing.TB) string {
	t.Helper()
	root := filepath.Join(t.TempDir(), "segments")
	if err := os.Mkdir(root, 0o700); err != nil {
		t.Fatal(err)
	}
	return root
}

func mustWrite(t testing.TB, root string, e engine, lane string, number uint64, all []sealedChunk) segment {
	t.Helper()
	g, err := writeSegment(root, e, lane, number, values(all))
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// readAll returns the chunks of a segment, until the first error.
func readAll(o *openedSegment) (all []sealedChunk, err error) {
	for i := range o.chunks {
		c, err := o.chunk(i)
		if err != nil {
			return all, err
		}
		all = append(all, c)
	}
	return all, nil
}

func openAll(t testing.TB, root string, e engine, lane string, number uint64) []sealedChunk {
	t.Helper()
	o, err := openSegment(root, e, lane, number)
	if err != nil {
		t.Fatal(err)
	}
	all, err := readAll(o)
	if err := errors.Join(err, o.close()); err != nil {
		t.Fatal(err)
	}
	return all
}

func diffChunks(want, got []sealedChunk) string {
	return cmp.Diff(want, got, cmp.AllowUnexported(sealedChunk{}, chunk{}), cmp.Comparer(bytes.Equal))
}

func names(t testing.TB, dir string) (all []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}

func TestSegmentGivesBackWhatWentIn(t *testing.T) {
	for _, size := range []struct{ count, bytes int }{{1, 0}, {1, 1 << 20}, {500, 700}, {40, 100 << 10}} {
		eachEngine(t, func(t *testing.T, e engine) {
			root, want := newRoot(t), madeChunks("a-b_1", size.count, size.bytes)
			g := mustWrite(t, root, e, "a-b_1", 7, want)
			if diff := diffChunks(want, openAll(t, root, e, "a-b_1", 7)); diff != "" {
				t.Errorf("%d chunks of %d bytes: %s", size.count, size.bytes, diff)
			}
			last := want[len(want)-1]
			if g.number != 7 || g.chunks != size.count || g.first != 1 || g.last != last.last || g.age != last.age {
				t.Errorf("sums up as %+v", g)
			}
			if payload := int64(size.count * size.bytes); g.bytes < payload || g.bytes > payload+payload/10+64<<10 {
				t.Errorf("%d bytes for %d", g.bytes, payload)
			}
			again, extents, err := describe(root, "a-b_1", 7)
			if err != nil || again != g || len(extents) != size.count {
				t.Errorf("described as %+v with %d chunks, %v; want %+v", again, len(extents), err, g)
			}
		})
	}
}

func TestFindReturnsTheChunkThatHoldsANumberOrTheNext(t *testing.T) {
	s := sealed{chunks: []extent{{first: 3, last: 5}, {first: 9, last: 9}}}
	for seq, want := range map[Seq]int{1: 0, 3: 0, 5: 0, 6: 1, 9: 1, 10: 2} {
		if got := s.find(seq); got != want {
			t.Errorf("find %d: %d, want %d", seq, got, want)
		}
	}
}

func TestSegmentOfOneEngineOpensWithTheOther(t *testing.T) {
	root, want := newRoot(t), madeChunks("a", 5, 1000)
	mustWrite(t, root, plainEngine{}, "a", 1, want)
	if diff := diffChunks(want, openAll(t, root, segmentEngine, "a", 1)); diff != "" {
		t.Error(diff)
	}
	mustWrite(t, root, segmentEngine, "a", 2, want)
	if o, err := openSegment(root, plainEngine{}, "a", 2); err == nil {
		_ = o.close()
	} else if g, err := repairSegment(root, plainEngine{}, "a", 2); err != nil || g.chunks != 5 {
		t.Errorf("repaired as %+v, %v", g, err)
	}
	if diff := diffChunks(want, openAll(t, root, plainEngine{}, "a", 2)); diff != "" {
		t.Error(diff)
	}
}

func TestListingFindsSegmentsByNameAndRemovesLeftovers(t *testing.T) {
	root := newRoot(t)
	for _, name := range []string{
		"a-0000000000000002", "a-0000000000000001", "a-b-00000000000000ff", "new-0000000000000001",
		"a-0000000000000003.new", "a-0000000000000003.gone", "a-0000000000000003.fresh.new",
		"a-0000000000000002.fresh", "a-0000000000000004.fresh",
		"a-0000000000000A03", "a-3", "-0000000000000001", "lost+found", "a.b-0000000000000001",
	} {
		if err := os.Mkdir(filepath.Join(root, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := tidySegments(root); err != nil {
		t.Fatal(err)
	}
	got, err := listSegments(root)
	want := map[string][]uint64{"a": {1, 2, 4}, "a-b": {255}, "new": {1}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Error(diff, err)
	}
	left := []string{
		"-0000000000000001", "a-0000000000000001", "a-0000000000000002", "a-0000000000000004", "a-0000000000000A03",
		"a-3", "a-b-00000000000000ff", "a.b-0000000000000001", "lost+found", "new-0000000000000001",
	}
	if diff := cmp.Diff(left, names(t, root)); diff != "" {
		t.Error(diff)
	}
}

func TestRemovalLeavesNothing(t *testing.T) {
	eachEngine(t, func(t *testing.T, e engine) {
		root := newRoot(t)
		mustWrite(t, root, e, "a", 1, madeChunks("a", 3, 100))
		for range 2 { // the second time there is nothing to remove
			if err := removeSegment(root, "a", 1); err != nil {
				t.Fatal(err)
			}
		}
		if left := names(t, root); len(left) != 0 {
			t.Errorf("%q is left", left)
		}
	})
}

func TestFailedWritingLeavesNothing(t *testing.T) {
	eachEngine(t, func(t *testing.T, e engine) {
		all := madeChunks("a", 3, 100)
		wrong := slices.Clone(all)
		wrong[1].value = madeChunks("b", 2, 100)[1].value
		swapped := []sealedChunk{all[1], all[0]}
		stop := errors.New("stop")
		for what, w := range map[string]struct {
			in   iter.Seq2[sealedChunk, error]
			want error
		}{
			"none":        {values(nil), errEmpty},
			"other lane":  {values(wrong), errDamaged},
			"out of line": {values(swapped), nil},
			"no more": {func(yield func(sealedChunk, error) bool) {
				_ = yield(all[0], nil) && yield(sealedChunk{}, stop)
			}, stop},
		} {
			root := newRoot(t)
			_, err := writeSegment(root, e, "a", 1, w.in)
			if err == nil || w.want != nil && !errors.Is(err, w.want) {
				t.Errorf("%s: %v", what, err)
			}
			if left := names(t, root); len(left) != 0 {
				t.Errorf("%s: %q is left", what, left)
			}
		}
	})
}

func TestWantOfDescriptorsIsNoDamage(t *testing.T) {
	if err := damage(&os.PathError{Op: "open", Path: "x", Err: syscall.EMFILE}); errors.Is(err, errDamaged) {
		t.Error(err)
	}
	if err := damage(&os.PathError{Op: "read", Path: "x", Err: syscall.EIO}); !errors.Is(err, errDamaged) || !errors.Is(err, syscall.EIO) {
		t.Error(err)
	}
}

// BenchmarkSegment builds, opens and reads 1.2 MB of 20 chunks.
func BenchmarkSegment(b *testing.B) {
	const count, size = 20, 60 << 10
	all := madeChunks("a", count, size)
	for name, e := range engines() {
		b.Run(name+"/write", func(b *testing.B) {
			root, number := newRoot(b), uint64(0)
			before := written(b)
			for b.Loop() {
				number++
				mustWrite(b, root, e, "a", number, all)
				if err := removeSegment(root, "a", number-1); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric((written(b)-before)/float64(number)/(count*size), "written/payload")
			b.ReportMetric(proc(b, "status", "RssAnon")/1024, "RssAnon-MB")
		})
		b.Run(name+"/open", func(b *testing.B) {
			root := newRoot(b)
			mustWrite(b, root, e, "a", 1, all)
			b.SetBytes(count * size)
			for b.Loop() {
				o, err := openSegment(root, e, "a", 1)
				if err != nil {
					b.Fatal(err)
				}
				if err := o.close(); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(name+"/read", func(b *testing.B) {
			root := newRoot(b)
			mustWrite(b, root, e, "a", 1, all)
			o, err := openSegment(root, e, "a", 1)
			if err != nil {
				b.Fatal(err)
			}
			defer o.close()
			b.SetBytes(count * size)
			for b.Loop() {
				if _, err := readAll(o); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// written is what the process has caused to be written to disk, in bytes.
func written(b *testing.B) float64 {
	return proc(b, "io", "\nwrite_bytes") - proc(b, "io", "cancelled_write_bytes")
}

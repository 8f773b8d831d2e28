package bufferstore

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

var flips = flag.Int("flips", 4, "bits to flip in each file of a segment")

// wound is a way to damage a file.
type wound struct {
	name string
	do   func(t *testing.T, name string)
}

func rewrite(change func(b []byte) []byte) func(*testing.T, string) {
	return func(t *testing.T, name string) {
		b, err := os.ReadFile(name)
		if err == nil {
			err = os.WriteFile(name, change(b), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// wounds are truncations, changed pages at quarters, and flipped bits at seeded places.
func wounds(seed uint64, flips int) []wound {
	all := []wound{
		{"deleted", func(t *testing.T, name string) {
			if err := os.Remove(name); err != nil {
				t.Fatal(err)
			}
		}},
		{"emptied", rewrite(func([]byte) []byte { return nil })},
		{"half", rewrite(func(b []byte) []byte { return b[:len(b)/2] })},
		{"minus 1", rewrite(func(b []byte) []byte { return b[:len(b)-1] })},
		{"plus 1", rewrite(func(b []byte) []byte { return append(b, 0) })},
	}
	for i := range 4 {
		all = append(all, wound{fmt.Sprintf("page at %d/4 changed", i), rewrite(func(b []byte) []byte {
			at := len(b) * i / 4
			page := b[at:min(at+pageBytes, len(b))]
			clear(page)
			page[0] = 1 // a page of zeros may have been one
			return b
		})})
	}
	rng := rand.New(rand.NewPCG(seed, 1))
	for range flips {
		bit := rng.Uint64()
		all = append(all, wound{fmt.Sprintf("bit %d flipped", bit), rewrite(func(b []byte) []byte {
			b[bit%uint64(len(b))] ^= 1 << (bit >> 61)
			return b
		})})
	}
	return all
}

// whole returns the chunks whose values lie unhurt in a file of dir.
func whole(t *testing.T, dir string, all []sealedChunk) (left []sealedChunk) {
	var heap [][]byte
	for _, name := range names(t, dir) {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		heap = append(heap, b)
	}
	for _, c := range all {
		if slices.ContainsFunc(heap, func(b []byte) bool {
			at := bytes.Index(b, c.value[:chunkHeader])
			return at >= 0 && bytes.HasPrefix(b[at:], c.value)
		}) {
			left = append(left, c)
		}
	}
	return left
}

func TestDamageCostsTheChunksItHits(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, e engine) {
		t.Parallel()
		all := madeChunks("a", 11, 100<<10) // two tables of Badger's
		root := newRoot(t)
		mustWrite(t, root, e, "a", 1, all)
		intact := filepath.Join(root, segmentName("a", 1))
		for _, file := range names(t, intact) {
			for _, w := range wounds(uint64(len(file)), *flips) {
				root := newRoot(t)
				dir := filepath.Join(root, segmentName("a", 1))
				if err := os.CopyFS(dir, os.DirFS(intact)); err != nil {
					t.Fatal(err)
				}
				w.do(t, filepath.Join(dir, file))
				checkDamaged(t, file+" "+w.name, root, e, all)
				if err := os.RemoveAll(filepath.Dir(root)); err != nil {
					t.Fatal(err)
				}
			}
		}
	})
}

func checkDamaged(t *testing.T, what, root string, e engine, all []sealedChunk) {
	t.Helper()
	if _, err := openSegment(root, e, "a", 1); !errors.Is(err, errDamaged) {
		t.Errorf("%s: opened, %v", what, err)
	}
	want := whole(t, filepath.Join(root, segmentName("a", 1)), all)
	g, err := repairSegment(root, e, "a", 1)
	if err != nil || g.chunks != len(want) {
		t.Errorf("%s: repaired as %+v, %v; want %d chunks", what, g, err, len(want))
		return
	}
	if aside := names(t, filepath.Join(filepath.Dir(root), quarantineDir)); len(aside) != 1 {
		t.Errorf("%s: in quarantine: %q", what, aside)
	}
	if len(want) == 0 {
		if left := names(t, root); len(left) != 0 {
			t.Errorf("%s: %q left", what, left)
		}
		return
	}
	if diff := diffChunks(want, openAll(t, root, e, "a", 1)); diff != "" {
		t.Errorf("%s: %s", what, diff)
	}
}

func TestDamageBehindTheCheckNeverYieldsAWrongChunk(t *testing.T) {
	eachEngine(t, func(t *testing.T, e engine) {
		root, all := newRoot(t), madeChunks("a", 12, 20<<10)
		mustWrite(t, root, e, "a", 1, all)
		o, err := openSegment(root, e, "a", 1)
		if err != nil {
			t.Fatal(err)
		}
		defer o.close()
		rng := rand.New(rand.NewPCG(1, 2))
		for _, file := range o.files {
			f, err := os.OpenFile(filepath.Join(root, segmentName("a", 1), file.name), os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			for range 40 {
				if _, err := f.WriteAt([]byte{byte(rng.Uint32())}, rng.Int64N(file.length)); err != nil {
					t.Fatal(err)
				}
			}
			if err := f.Close(); err != nil {
				t.Fatal(err)
			}
		}
		damaged := 0
		for i := range o.chunks {
			switch c, err := o.chunk(i); {
			case errors.Is(err, errDamaged):
				damaged++
			case err != nil:
				t.Error(err)
			case !bytes.Equal(c.value, all[i].value):
				t.Errorf("chunk %d is another one", i)
			}
		}
		if _, inFile := e.(plainEngine); damaged > 0 != inFile { // the other one has read them
			t.Errorf("%d chunks are damaged", damaged)
		}
	})
}

// Under a memory map this would be a fault that ends the process, as a bad sector is.
func TestFileCutShortUnderAReaderIsDamage(t *testing.T) {
	eachEngine(t, func(t *testing.T, e engine) {
		root := newRoot(t)
		mustWrite(t, root, e, "a", 1, madeChunks("a", 5, 50<<10))
		o, err := openSegment(root, e, "a", 1)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range o.files {
			if err := os.Truncate(filepath.Join(root, segmentName("a", 1), f.name), 0); err != nil {
				t.Fatal(err)
			}
		}
		for i := range o.chunks {
			_, inFile := e.(plainEngine) // the other one has read them
			if _, err := o.chunk(i); errors.Is(err, errDamaged) != inFile || err != nil && !inFile {
				t.Errorf("chunk %d: %v", i, err)
			}
		}
		if err := o.close(); err != nil {
			t.Error(err)
		}
	})
}

func TestRepairOfAnIntactSegmentLeavesIt(t *testing.T) {
	root, all := newRoot(t), madeChunks("a", 3, 100)
	want := mustWrite(t, root, segmentEngine, "a", 1, all)
	if got, err := repairSegment(root, segmentEngine, "a", 1); err != nil || got != want {
		t.Errorf("%+v, %v, want %+v", got, err, want)
	}
	if _, err := os.Stat(filepath.Join(filepath.Dir(root), quarantineDir)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("quarantine: %v", err)
	}
}

func TestQuarantineKeepsEveryDamagedSegment(t *testing.T) {
	root, all := newRoot(t), madeChunks("a", 3, 100)
	mustWrite(t, root, plainEngine{}, "a", 1, all)
	for range 3 {
		if err := os.Remove(filepath.Join(root, segmentName("a", 1), sealedName)); err != nil {
			t.Fatal(err)
		}
		if _, err := repairSegment(root, plainEngine{}, "a", 1); err != nil {
			t.Fatal(err)
		}
	}
	if aside := names(t, filepath.Join(filepath.Dir(root), quarantineDir)); len(aside) != 3 {
		t.Errorf("in quarantine: %q", aside)
	}
}

// Each state is one that a cut leaves between the steps of repairSegment.
func TestCutRepairLosesNoChunk(t *testing.T) {
	eachEngine(t, func(t *testing.T, e engine) {
		all := madeChunks("a", 6, 10<<10)
		name := segmentName("a", 1)
		steps := []func(t *testing.T, root string){
			func(t *testing.T, root string) { // the fresh one is half written
				if err := os.CopyFS(filepath.Join(root, name+freshSuffix+newSuffix), os.DirFS(filepath.Join(root, name))); err != nil {
					t.Fatal(err)
				}
			},
			func(t *testing.T, root string) { // the fresh one is whole
				if _, err := writeAs(root, name+freshSuffix, e, "a", 1, intact(filepath.Join(root, name), "a", 1)); err != nil {
					t.Fatal(err)
				}
			},
			func(t *testing.T, root string) { // the damaged one is away
				if err := setAside(root, name); err != nil {
					t.Fatal(err)
				}
			},
			func(t *testing.T, root string) { // the fresh one has its name
				if err := settleFresh(root, name); err != nil {
					t.Fatal(err)
				}
			},
		}
		for cut := range len(steps) + 1 {
			root := newRoot(t)
			mustWrite(t, root, e, "a", 1, all)
			if err := os.Remove(filepath.Join(root, name, sealedName)); err != nil {
				t.Fatal(err)
			}
			for _, step := range steps[:cut] {
				step(t, root)
			}
			if err := tidySegments(root); err != nil {
				t.Fatal(err)
			}
			if list, err := listSegments(root); err != nil || len(list["a"]) != 1 || len(names(t, root)) != 1 {
				t.Fatalf("cut %d: %v, %v, %q", cut, list, err, names(t, root))
			}
			if g, err := repairSegment(root, e, "a", 1); err != nil || g.chunks != len(all) {
				t.Errorf("cut %d: repaired as %+v, %v", cut, g, err)
			}
			if diff := diffChunks(all, openAll(t, root, e, "a", 1)); diff != "" {
				t.Errorf("cut %d: %s", cut, diff)
			}
		}
	})
}

package bufferstore

import (
	"bytes"
	"errors"
	"io"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func gather(t *testing.T, in iter.Seq2[sealedChunk, error]) (all []sealedChunk) {
	t.Helper()
	for c, err := range in {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, c)
	}
	return all
}

func TestSalvageFindsChunksInAnyHeap(t *testing.T) {
	dir, all := t.TempDir(), madeChunks("a", 9, 40<<10)
	other := madeChunks("b", 2, 10)
	heap := []byte("SKYCSKYC not yet SKY")
	for i, c := range slices.Backward(all) { // the other way round, some of them twice
		heap = append(heap, c.value...)
		if i%3 == 0 {
			heap = append(append(append(heap, "SKY"...), c.value...), other[0].value...)
		}
		heap = append(heap, c.value[:i*100]...) // and torn
	}
	if err := os.MkdirAll(filepath.Join(dir, "deep", "er"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "deep", "er", "heap"), heap, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(dir, filepath.Join(dir, "loop")); err != nil {
		t.Fatal(err)
	}
	if diff := diffChunks(all, gather(t, salvage(dir, "a"))); diff != "" {
		t.Error(diff)
	}
	if diff := diffChunks(other[:1], gather(t, salvage(dir, "b"))); diff != "" {
		t.Error(diff)
	}
	if got := gather(t, salvage(filepath.Join(dir, "absent"), "a")); len(got) != 0 {
		t.Errorf("%d chunks of nothing", len(got))
	}
}

// badSectors can't be read where a page is bad.
type badSectors struct {
	b   []byte
	bad map[int64]bool // by page
}

func (d badSectors) ReadAt(p []byte, at int64) (int, error) {
	n := copy(p, d.b[at:])
	for page := at / pageBytes; page*pageBytes < at+int64(n); page++ {
		if d.bad[page] {
			clear(p)
			return int(max(page*pageBytes-at, 0)), errors.New("input/output error")
		}
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func TestSalvageReadsAroundBadSectors(t *testing.T) {
	all := madeChunks("a", 30, 9000)
	var disk badSectors
	var ends []int64
	for _, c := range all {
		disk.b = append(disk.b, c.value...)
		ends = append(ends, int64(len(disk.b)))
	}
	disk.bad = map[int64]bool{0: true, 7: true, 8: true, 31: true}
	var want []sealedChunk
	for i, c := range all {
		from, hit := ends[i]-int64(len(c.value)), false
		for page := range disk.bad {
			hit = hit || page*pageBytes < ends[i] && (page+1)*pageBytes > from
		}
		if !hit {
			want = append(want, c)
		}
	}
	var got []sealedChunk
	scan(disk, int64(len(disk.b)), "a", func(p place) {
		got = append(got, sealedChunk{p.chunk, bytes.Clone(disk.b[p.offset:][:p.length])})
	})
	if diff := diffChunks(want, got); diff != "" || len(got) == len(all) {
		t.Error(diff)
	}
}

func FuzzSalvage(f *testing.F) {
	one := madeChunks("a", 2, 30)
	f.Add([]byte("SKYC"), []byte("SKYCxx"))
	f.Add(one[0].value[:60], one[1].value)
	f.Fuzz(func(t *testing.T, before, behind []byte) {
		c := one[0]
		heap := slices.Concat(before, c.value, behind)
		found, end := false, int64(0)
		scan(bytes.NewReader(heap), int64(len(heap)), "a", func(p place) {
			if p.offset < end {
				t.Fatalf("chunk at %d, within the one that ends at %d", p.offset, end)
			}
			end = p.offset + int64(p.length)
			if got, err := checkChunk("a", heap[p.offset:end]); err != nil || got != p.chunk {
				t.Fatalf("%v, %v, want %v", got, err, p.chunk)
			}
			found = found || p.chunk == c.chunk
		})
		if !found && !bytes.Contains(before, []byte(chunkMagic)) {
			t.Error("chunk not found")
		}
	})
}

func TestSalvageFindsAChunkThatBeginsBetweenTwoReads(t *testing.T) {
	c := madeChunks("a", 1, 10)[0]
	for pad := scanBytes - 5; pad < scanBytes+5; pad++ {
		heap := append(make([]byte, pad), c.value...)
		found := 0
		scan(bytes.NewReader(heap), int64(len(heap)), "a", func(place) { found++ })
		if found != 1 {
			t.Errorf("at %d: found %d", pad, found)
		}
	}
}

func TestRepairWithoutTheListTakesNoOverlap(t *testing.T) {
	root := newRoot(t)
	dir := filepath.Join(root, segmentName("a", 1))
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	all := madeChunks("a", 4, 100)
	inner := chunk{Epoch{9}, all[1].first, all[1].last + 1, 0}
	for name, c := range map[string]sealedChunk{
		"1": all[0], "2": all[1], "4": all[3],
		"stale": {inner, encodeChunk(nil, "a", inner, false, nil)},
	} {
		if err := os.WriteFile(filepath.Join(dir, name), c.value, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	g, err := repairSegment(root, segmentEngine, "a", 1)
	if err != nil || g.chunks != 3 || g.last != all[3].last {
		t.Errorf("repaired as %+v, %v", g, err)
	}
	o, err := openSegment(root, segmentEngine, "a", 1)
	if err != nil {
		t.Fatal(err)
	}
	for i := range o.chunks[1:] {
		if o.chunks[i+1].first <= o.chunks[i].last {
			t.Errorf("overlap: %v", o.chunks)
		}
	}
	if err := o.close(); err != nil {
		t.Error(err)
	}
}

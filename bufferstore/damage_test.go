package bufferstore

import (
	"bytes"
	"errors"
	"fmt"
	"hash/fnv"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// testRecord is a record that says whose it is.
func testRecord(lane string, epoch Epoch, n Seq) []byte {
	b := fmt.Appendf(nil, "%s %s %d ", lane, epoch, n)
	b = append(b, bytes.Repeat([]byte{byte(n)}, int(n%97))...)
	h := fnv.New64a()
	h.Write(b)
	return h.Sum(b)
}

// fill appends n records to each lane and syncs after each few.
func fill(t testing.TB, s *Store, n int) {
	t.Helper()
	for i := range n {
		for _, l := range s.lanes {
			l.Append(testRecord(l.name, s.Epoch(), l.last+1))
		}
		if i%5 == 4 || i == n-1 {
			if err := s.Sync(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// lost reads a lane of test records whole and returns the numbers that are damaged.
func lost(t testing.TB, l *Lane) (all []Seq) {
	t.Helper()
	next := Seq(1)
	for r, err := range l.Records(1) {
		if err != nil || r.First != next {
			t.Fatalf("%s: at %d: %+v, %v", l.name, next, r, err)
		}
		if r.Lost == Kept && !bytes.Equal(r.Data, testRecord(l.name, r.Epoch, r.First)) {
			t.Fatalf("%s: wrong record at %d: %q", l.name, r.First, r.Data)
		}
		if r.Lost != Kept && r.Lost != Damaged && r.Lost != TooLarge && r.Lost != Expired {
			t.Fatalf("%s: %+v", l.name, r)
		}
		for next = r.First; next <= r.Last; next++ {
			if r.Lost == Damaged {
				all = append(all, next)
			}
		}
	}
	if next != l.Durable()+1 {
		t.Fatalf("%s: ended at %d of %d", l.name, next-1, l.Durable())
	}
	return all
}

// damageable is the content of a store of three epochs, with sealed and small
// chunks and a gap.
func damageable(t *testing.T) map[string][]byte {
	dir, disk := quickDir(t), new(memory)
	for range 3 {
		s := mustOpen(t, dir, damagedOptions, disk.open)
		fill(t, s, 40)
		time.Sleep(sealAge)
		s.maintain()
		s.Lane("a").Append(make([]byte, MaxRecord+1))
		fill(t, s, 12)
		s.Lane("a").Cursor("hub").Ack(7)
		mustSync(t, s)
		mustClose(t, s)
	}
	for _, keys := range disk.files {
		return keys
	}
	return nil
}

var damagedOptions = Options{Codec: squeeze{}, Lanes: []LaneOptions{{Name: "a"}, {Name: "b"}}}

// holding returns a disk that holds a store with these keys, and its directory.
func holding(t *testing.T, keys map[string][]byte) (dir string, disk *memory) {
	dir = quickDir(t)
	path := filepath.Join(dir, "store-x")
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	return dir, &memory{files: map[string]map[string][]byte{path: maps.Clone(keys)}}
}

func TestDamageCostsWhatItHits(t *testing.T) {
	t.Parallel()
	// The most numbers that a damaged key of a kind may cost; -1: the store is set aside.
	most := map[byte]int{
		keyVersion: -1, keyLane: -1, keySpan: -1,
		keyAge: 0, keyCursor: 0, keyGap: 1, keySegment: 0, keyHead: 5, keySealed: 52,
	}
	synctest.Test(t, func(t *testing.T) {
		keys := damageable(t)
		hit := map[byte]bool{}
		for k, was := range keys {
			hit[k[0]] = true
			for _, at := range []int{-1, 0, len(was) / 2, len(was) - 1} {
				damaged := maps.Clone(keys)
				if delete(damaged, k); at >= 0 {
					damaged[k] = bytes.Clone(was)
					damaged[k][at] ^= 0x10
				}
				dir, disk := holding(t, damaged)
				s := mustOpen(t, dir, damagedOptions, disk.open)
				n := len(lost(t, s.Lane("a"))) + len(lost(t, s.Lane("b")))
				if aside := len(s.Stats().Quarantined) > 0; aside != (most[k[0]] < 0) {
					t.Errorf("key %q, byte %d: set aside: %v", k, at, aside)
				}
				if most := most[k[0]]; most >= 0 && n > most || most > 0 && n == 0 {
					t.Errorf("key %q, byte %d: lost %d, want at most %d", k, at, n, most)
				}
				if k[0] == keyAge && s.Stats().Age < sealAge {
					t.Errorf("key %q, byte %d: age %s", k, at, s.Stats().Age)
				}
				fill(t, s, 1)
				mustClose(t, s)
			}
		}
		for kind := range most {
			if !hit[kind] {
				t.Errorf("no key of kind %c", kind)
			}
		}
	})
}

func TestValueUnderAnotherKeyIsDamage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		keys := damageable(t)
		for k := range keys {
			for other := range keys {
				if k[0] != other[0] || k == other {
					continue
				}
				swapped := maps.Clone(keys)
				swapped[k] = keys[other]
				dir, disk := holding(t, swapped)
				s := mustOpen(t, dir, damagedOptions, disk.open)
				n := len(lost(t, s.Lane("a"))) + len(lost(t, s.Lane("b")))
				if aside := len(s.Stats().Quarantined) > 0; !aside && n == 0 && k[0] != keyCursor && k[0] != keySegment {
					t.Errorf("%q under %q goes unseen", other, k)
				}
				mustClose(t, s)
			}
		}
	})
}

func TestChunkOfAnotherEpochIsDamage(t *testing.T) {
	dir, disk := quickDir(t), new(memory)
	s := mustOpen(t, dir, lanes("a"), disk.open)
	fill(t, s, 15)
	key := string(seqKey(keyHead, "a", 6))
	c, form, body, err := decodeChunk("a", disk.files[s.path][key])
	if err != nil {
		t.Fatal(err)
	}
	c.epoch = Epoch{1}
	disk.files[s.path][key] = encodeChunk("a", c, form, body)
	if diff := cmp.Diff([]Seq{6, 7, 8, 9, 10}, lost(t, s.Lane("a"))); diff != "" {
		t.Error(diff)
	}
	mustClose(t, s)
}

func TestSmallChunkThatComesBackIsIgnored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir, disk := quickDir(t), new(memory)
		s := mustOpen(t, dir, lanes("a"), disk.open)
		fill(t, s, 10)
		key := string(seqKey(keyHead, "a", 6))
		small := disk.files[s.path][key]
		time.Sleep(sealAge)
		s.maintain()
		mustClose(t, s)
		disk.files[s.path][key] = small
		s = mustOpen(t, dir, lanes("a"), disk.open)
		if st := s.Lane("a").current(); len(lost(t, s.Lane("a"))) > 0 || len(st.head) > 0 || len(small) == 0 {
			t.Errorf("state %+v", st)
		}
		mustClose(t, s)
	})
}

// liar is a codec that gives other records back than it was given.
type liar struct{ squeeze }

func (liar) Open(_ []byte, yield func(Record) bool) error {
	yield(Record{Data: []byte("another")})
	return nil
}

func TestCodecIsNotTrusted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := lanes("a")
		o.Codec = liar{}
		s := mustOpen(t, quickDir(t), o, new(memory).open)
		x := strings.Repeat("x", 100)
		s.Lane("a").Append([]byte(x))
		mustSync(t, s)
		time.Sleep(sealAge)
		s.maintain()
		if len(s.Lane("a").current().segments) != 1 {
			t.Error("not sealed")
		}
		wantContents(t, s.Lane("a"), "1 "+x[:20])
		mustClose(t, s)
	})
}

func TestDamagedSmallChunkIsDeclaredWhenItIsSealed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir, disk := quickDir(t), new(memory)
		s := mustOpen(t, dir, lanes("a"), disk.open)
		fill(t, s, 15)
		disk.files[s.path][string(seqKey(keyHead, "a", 6))][50] ^= 1
		time.Sleep(sealAge)
		s.maintain()
		if got := lost(t, s.Lane("a")); len(got) != 5 || got[0] != 6 || len(s.Lane("a").current().gaps) != 1 {
			t.Errorf("lost %v, state %+v", got, s.Lane("a").current())
		}
		mustClose(t, s)
	})
}

func TestStoreThatEndsEachOpeningIsSetAsideInTheEnd(t *testing.T) {
	for before, want := range map[string]int{"": 0, "garbage": 0, "9": 0, "10": 1} {
		dir, disk := quickDir(t), new(memory)
		mustClose(t, mustOpen(t, dir, lanes("a"), disk.open))
		if err := os.WriteFile(filepath.Join(dir, "opening"), []byte(before), 0o600); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			s := mustOpen(t, dir, lanes("a"), disk.open)
			if got := len(s.Stats().Quarantined); got != want {
				t.Errorf("after %q openings %d stores are set aside, want %d", before, got, want)
			}
			mustClose(t, s)
		}
	}
}

func TestStoreThatIsSetAsideIsDeclaredLostAndItsNumbersGoOn(t *testing.T) {
	dir, disk := quickDir(t), new(memory)
	var want []Span
	for n := range Seq(3) {
		s := mustOpen(t, dir, lanes("a"), disk.open)
		fill(t, s, 10)
		s.Lane("a").Cursor("hub").Ack(10*n + 7)
		mustSync(t, s)
		want = s.Lane("a").Spans()
		delete(disk.files[s.path], "v") // in the end it stays so
		if n < 2 {
			disk.files[s.path]["v"] = put([]byte("v"), []byte{formatVersion}).value
		}
		mustClose(t, s)
	}
	for range 2 {
		s := mustOpen(t, dir, lanes("a"), disk.open)
		l := s.Lane("a")
		if got := lost(t, l); len(got) != 30 || len(s.Stats().Quarantined) != 1 || l.Cursor("hub").Acked() != 27 {
			t.Errorf("lost %d, stats %+v", len(got), s.Stats())
		}
		want := append(want[:3:3], Span{Epoch: s.Epoch(), Parent: want[2].Epoch, First: 31, Last: 30})
		if diff := cmp.Diff(want, l.Spans()); diff != "" {
			t.Error(diff)
		}
		mustClose(t, s)
	}
}

func TestRecordsThatTheEngineForgotAreDeclaredLost(t *testing.T) {
	dir, disk := quickDir(t), new(memory)
	s := mustOpen(t, dir, lanes("a"), disk.open)
	fill(t, s, 10)
	mustClose(t, s)
	s = mustOpen(t, dir, lanes("a"), disk.open) // appends nothing
	before := maps.Clone(disk.files[s.path])
	mustClose(t, s)
	s = mustOpen(t, dir, lanes("a"), disk.open)
	fill(t, s, 5)
	s.Lane("a").Cursor("hub").Ack(12)
	mustSync(t, s)
	want := s.Lane("a").Spans()
	mustClose(t, s)
	disk.files[s.path] = before

	s = mustOpen(t, dir, lanes("a"), disk.open)
	l := s.Lane("a")
	if diff := cmp.Diff([]Seq{11, 12, 13, 14, 15}, lost(t, l)); diff != "" || l.Cursor("hub").Acked() != 12 {
		t.Errorf("acked %d, lost %s", l.Cursor("hub").Acked(), diff)
	}
	want = append(want, Span{Epoch: s.Epoch(), Parent: want[1].Epoch, First: 16, Last: 15})
	if diff := cmp.Diff(want, l.Spans()); diff != "" {
		t.Error(diff)
	}
	mustClose(t, s)
}

func TestPackedChunksAreNotLostForLackOfACodec(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir, disk := quickDir(t), new(memory)
		s := mustOpen(t, dir, damagedOptions, disk.open)
		for range 20 {
			s.Lane("a").Append(bytes.Repeat([]byte("x"), 50))
		}
		mustSync(t, s)
		time.Sleep(sealAge)
		s.maintain()
		mustClose(t, s)
		s = mustOpen(t, dir, lanes("a"), disk.open)
		for _, err := range s.Lane("a").Records(1) {
			if !errors.Is(err, errNoCodec) {
				t.Errorf("error %v", err)
			}
		}
		mustClose(t, s)
	})
}

func TestWhatAKillLeavesOfNewFilesIsSwept(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir, lanes("a"), openBadger)
	fill(t, s, 10)
	path := s.path
	mustClose(t, s)
	for _, name := range []string{"00009.mem", "000009.vlog", "000099.sst"} {
		if err := os.WriteFile(filepath.Join(path, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s = mustOpen(t, dir, lanes("a"), openBadger)
	defer mustClose(t, s)
	if got := lost(t, s.Lane("a")); len(got) > 0 || s.Lane("a").Durable() != 10 || len(s.Stats().Quarantined) > 0 {
		t.Errorf("lost %v of %d, set aside %v", got, s.Lane("a").Durable(), s.Stats().Quarantined)
	}
}

package model

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// through codes a record with w, reads it back with r and returns its size.
func through(t testing.TB, w, r *Bytes, rec []byte) int {
	t.Helper()
	var c Coder
	c.Encode(nil)
	w.Code(&c, rec, 0)
	b := c.Finish()
	c.Decode(b)
	got, ok := r.Code(&c, nil, len(rec))
	if !ok || c.Bad() || !bytes.Equal(got, rec) {
		t.Fatalf("%d bytes come back as %d (ok %v, bad %v):\n% x\n% x", len(rec), len(got), ok, c.Bad(), rec, got)
	}
	return len(b)
}

// noise makes records of random bytes, of which some are likelier than others
// in every second one.
func noise(r *rand.Rand, n int) (recs [][]byte) {
	for i := range n {
		b := make([]byte, r.IntN(200))
		for k := range b {
			b[k] = byte(r.Uint32()) >> (i % 2 * r.IntN(8))
		}
		recs = append(recs, b)
	}
	return recs
}

// all makes records of all kinds, one after the other.
func all(seed uint64, n int) (recs [][]byte) {
	r := rand.New(rand.NewPCG(seed, 1))
	kinds := [][][]byte{noise(r, n), {{}, {6}, {6, 0, 0, 0}, {3, 0, 0, 1, 1}}}
	for _, s := range streams {
		kinds = append(kinds, s.make(r, n))
	}
	for range n {
		k := r.IntN(len(kinds))
		recs = append(recs, kinds[k][r.IntN(len(kinds[k]))])
	}
	return recs
}

func TestRecordsComeBack(t *testing.T) {
	for seed := range uint64(3) {
		w, r := NewBytes(), NewBytes()
		for _, rec := range all(seed, 300) {
			through(t, w, r, rec)
		}
	}
}

func TestManyRecordsComeBackFromOneStream(t *testing.T) {
	recs := all(7, 300)
	var c Coder
	c.Encode([]byte("before"))
	w := NewBytes()
	for _, rec := range recs {
		w.Code(&c, rec, 0)
	}
	b := c.Finish()
	c.Decode(b[len("before"):])
	r := NewBytes()
	for i, rec := range recs {
		if got, ok := r.Code(&c, nil, len(rec)); !ok || !bytes.Equal(got, rec) {
			t.Fatalf("record %d: % x, want % x", i, got, rec)
		}
	}
	if c.Bad() {
		t.Error("a whole stream is called bad")
	}
}

func TestLargeRecordComesBack(t *testing.T) {
	b := bytes.Join(all(1, 3000), nil)[:1<<18]
	through(t, NewBytes(), NewBytes(), b)
}

func TestNothingGetsLonger(t *testing.T) {
	for _, s := range streams {
		recs := s.make(rand.New(rand.NewPCG(3, 3)), 20)
		for _, rec := range recs {
			if n := code(NewBytes(), [][]byte{rec}); n > len(rec)+len(rec)*3/100 {
				t.Errorf("%s: a first record of %d bytes comes to %d", s.name, len(rec), n)
			}
		}
	}
	r := rand.New(rand.NewPCG(4, 4))
	random := make([]byte, 10_000)
	for i := range random {
		random[i] = byte(r.Uint32())
	}
	m := NewBytes()
	if n := code(m, [][]byte{random}); n > 10_200 {
		t.Errorf("10000 random bytes come to %d", n)
	}
	if n := code(m, [][]byte{random[:5000]}); n > 20 {
		t.Errorf("5000 bytes that were just there come to %d", n)
	}
}

func TestBytesTakesMemoryWithTheFirstRecord(t *testing.T) {
	m := NewBytes()
	if n := m.Size(); n > 100 {
		t.Errorf("%d bytes before", n)
	}
	code(m, [][]byte{{1}})
	if n := m.Size(); n < ringSize || n > 128<<10 {
		t.Errorf("%d bytes behind", n)
	}
}

func TestCloneLearnsAlone(t *testing.T) {
	for _, known := range []int{0, 50} {
		recs := all(1, 100)
		m, same := NewBytes(), NewBytes()
		code(m, recs[:known])
		code(same, recs[:known])
		clone := m.Clone()
		code(clone, jsonMessages(rand.New(rand.NewPCG(1, 1)), 10))
		if got, want := code(m, recs[known:]), code(same, recs[known:]); got != want {
			t.Errorf("behind %d records: %d bytes, want %d", known, got, want)
		}
		if !bytes.Equal(m.Append(nil), same.Append(nil)) {
			t.Errorf("behind %d records a model learnt what its clone did", known)
		}
	}
}

func TestSnapshotGoesOn(t *testing.T) {
	w := NewBytes()
	for i, rec := range all(2, 100) {
		snapshot := w.Append([]byte("before"))
		r, rest, err := ParseBytes(append(snapshot[len("before"):], "behind"...))
		if err != nil || string(rest) != "behind" {
			t.Fatalf("record %d: %v, %d bytes left", i, err, len(rest))
		}
		through(t, w, r, rec)
		if !bytes.Equal(w.Append(nil), r.Append(nil)) {
			t.Fatalf("record %d: the two ends differ", i)
		}
	}
}

func TestSnapshotOfLittleIsSmall(t *testing.T) {
	m := NewBytes()
	code(m, [][]byte{[]byte("configuration taken over")})
	if n := len(m.Append(nil)); n > 8000 {
		t.Errorf("%d bytes", n)
	}
}

func TestCutSnapshotIsRefused(t *testing.T) {
	m := NewBytes()
	code(m, all(3, 10))
	b := m.Append(nil)
	for n := 0; n < len(b); n += 1 + n/50 {
		if _, _, err := ParseBytes(b[:n]); err == nil {
			t.Errorf("%d of %d bytes are taken for a snapshot", n, len(b))
		}
	}
}

func TestReaderKeepsToTheLimit(t *testing.T) {
	rec := bytes.Repeat([]byte("note "), 20)
	var c Coder
	c.Encode(nil)
	NewBytes().Code(&c, rec, 0)
	b := c.Finish()
	for limit, want := range map[int]bool{-1: false, 0: false, 99: false, 100: true, 1000: true} {
		c.Decode(b)
		if _, ok := NewBytes().Code(&c, nil, limit); ok != want {
			t.Errorf("limit %d: %v, want %v", limit, ok, want)
		}
	}
}

func TestStampIsCutAtTheEndOfTheRecord(t *testing.T) {
	w := NewBytes()
	rec := appendStamp([]byte{2}, 5_000_000, 1_763_000_000_000)
	code(w, [][]byte{rec})
	r := w.Clone()
	var c Coder
	c.Encode(nil)
	w.size.Code(&c, 6)
	cut := record{learnt: w.learnt, c: &c}
	for _, v := range rec[:4] {
		cut.byte(v)
	}
	cut.stamp(rec, len(rec))
	c.Decode(c.Finish())
	if got, ok := r.Code(&c, nil, 100); !ok || !bytes.Equal(got, rec[:6]) {
		t.Errorf("% x, want % x", got, rec[:6])
	}
}

func TestLongFormsOfStampsComeBack(t *testing.T) {
	w, r := NewBytes(), NewBytes()
	rec := appendStamp([]byte{2}, 300, 1_763_000_000_000)
	last := len(rec) - 1
	through(t, w, r, rec)
	through(t, w, r, append([]byte{2, 0, 6, 17, 172, 130, 0}, rec[6:]...))
	through(t, w, r, append(rec[:last:last], rec[last]|128, 0))
	through(t, w, r, append(rec[:6:6], 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1))
}

func TestSnapshotBeyondTheModelIsRefused(t *testing.T) {
	for _, counts := range [][]uint64{{1 << 18}, {0, 1 << 18}, {1 << 16, 1 << 17}, {1<<64 - 1, 1}, {1, 1<<64 - 1}} {
		b := []byte{1}
		for _, n := range counts {
			b = binary.AppendUvarint(b, n)
		}
		if _, _, err := ParseBytes(append(b, make([]byte, 1<<18)...)); err == nil {
			t.Errorf("%d bytes are taken", counts)
		}
	}
}

func TestReaderStopsAtTheEndOfTheStream(t *testing.T) {
	random := make([]byte, 1000)
	for i := range random {
		random[i] = byte(rand.Uint32())
	}
	var c Coder
	c.Encode(nil)
	NewBytes().Code(&c, random, 0)
	c.Decode(c.Finish()[:500])
	if got, ok := NewBytes().Code(&c, nil, 1000); ok {
		t.Errorf("%d bytes are read from half a stream", len(got))
	}
}

// TestBytesGolden holds the code of records still. It is the same on every machine.
func TestBytesGolden(t *testing.T) {
	const want = "10d8708f2fe4a3ab5fd5367ef8b7ec89e342d91a5bcbe77995c2847c99c5aa13"
	h := sha256.New()
	m := NewBytes()
	for _, rec := range golden(1000) {
		var c Coder
		c.Encode(nil)
		m.Code(&c, rec, 0)
		h.Write(c.Finish())
	}
	h.Write(m.Append(nil))
	if got := hex.EncodeToString(h.Sum(nil)); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// golden makes records by integers alone.
func golden(n int) (recs [][]byte) {
	x := uint64(1)
	random := func(n uint64) uint64 {
		x = x*6364136223846793005 + 1442695040888963407
		return x >> 33 % n
	}
	boot := uint64(1_000_000)
	for range n {
		boot += random(100_000)
		wall := 1_763_000_000_000 + boot + random(100)/99
		var b []byte
		switch random(4) {
		case 0:
			b = appendStamp([]byte{2}, boot, int64(wall))
			b = append(b, byte(random(4)), 1, 2, byte(random(256)), 0, 0, byte(random(256)))
		case 1:
			b = appendStamp([]byte{3}, boot, int64(wall))
			b = fmt.Appendf(b, `site/pump%d{"ts":%d,"temperature":%d.%d,"state":"on"}`, random(3), wall-random(50), 20+random(3), random(10))
		case 2:
			b = appendStamp([]byte{6}, boot, int64(wall))
			b = append(b, time.UnixMilli(int64(wall)).UTC().Format(" clock stepped at 2006-01-02T15:04:05Z")...)
		default:
			b = make([]byte, random(60))
			for k := range b {
				b[k] = byte(random(256) >> random(8))
			}
		}
		recs = append(recs, b)
	}
	return recs
}

// FuzzBytesReader reads garbage with a model that knows some records.
func FuzzBytesReader(f *testing.F) {
	m := NewBytes()
	for _, rec := range golden(30) {
		var c Coder
		c.Encode(nil)
		m.Code(&c, rec, 0)
		f.Add(c.Finish())
	}
	f.Fuzz(func(t *testing.T, stream []byte) {
		const limit = 300
		m, w, r := m.Clone(), m.Clone(), m.Clone()
		var c Coder
		c.Decode(stream)
		for range 4 {
			got, ok := m.Code(&c, nil, limit)
			if !ok {
				return
			}
			if len(got) > limit {
				t.Fatalf("%d bytes, beyond the limit", len(got))
			}
			through(t, w, r, got)
		}
	})
}

// FuzzParseBytes goes on from a snapshot of garbage.
func FuzzParseBytes(f *testing.F) {
	m := NewBytes()
	for _, rec := range golden(3) {
		f.Add(m.Append(nil))
		code(m, [][]byte{rec})
	}
	f.Add([]byte{1, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		w, _, err := ParseBytes(b)
		if err != nil {
			return
		}
		r, rest, err := ParseBytes(w.Append(nil))
		if err != nil || len(rest) > 0 {
			t.Fatalf("its own snapshot is refused: %v, %d bytes left", err, len(rest))
		}
		for _, rec := range golden(3) {
			through(t, w, r, rec)
		}
	})
}

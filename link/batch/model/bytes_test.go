package model

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// through codes a record with w and reads it back with r.
func through(t testing.TB, w, r *Bytes, rec []byte) (size int) {
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

func TestRecordsComeBack(t *testing.T) {
	for seed := range uint64(5) {
		r := rand.New(rand.NewPCG(seed, 1))
		w, rd := NewBytes(), NewBytes()
		for range 200 {
			b := make([]byte, r.IntN(100))
			for i := range b {
				b[i] = byte(r.Uint32()) >> r.IntN(8)
			}
			through(t, w, rd, b)
		}
	}
}

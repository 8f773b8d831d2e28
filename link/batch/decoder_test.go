package batch_test

import (
	"bytes"
	"errors"
	"runtime"
	"slices"
	"testing"

	"skyhaul/bufferstore"
	"skyhaul/edge/point"
	"skyhaul/link/batch"
)

func TestDamagedBatchNeverYieldsARecord(t *testing.T) {
	s := newSite(20)
	w := s.groupOf(point.Float32, point.Float64, point.Int16, point.Uint64)
	w.kinds = []int{decimal, few, noise, strange}
	h := history
	h.Opening = &batch.Opening{First: 1}
	p := encode(t, batch.NewEncoder(s.lookup), h, s.records(40))
	d := batch.NewDecoder(s.lookup)
	want, err := d.Decode(p)
	if err != nil {
		t.Fatal(err)
	}
	check := func(what string, at int, p []byte) {
		t.Helper()
		b, err := d.Decode(p)
		if err != nil {
			if _, asks := errors.AsType[batch.SchemaError](err); !asks && !errors.Is(err, batch.ErrCorrupt) && !errors.Is(err, batch.ErrVersion) && !errors.Is(err, batch.ErrState) {
				t.Errorf("%s %d: %v", what, at, err)
			}
			return
		}
		same(t, b.Records, want.Records) // a bit that no one reads
		if b.Header.Epoch != want.Epoch || b.Lane != want.Lane || b.Acked != want.Acked || *b.Opening != *want.Opening {
			t.Errorf("%s %d: header %+v", what, at, b.Header)
		}
	}
	for bit := range 8 * len(p) {
		q := bytes.Clone(p)
		q[bit/8] ^= 1 << (bit % 8)
		check("bit", bit, q)
	}
	for n := range p {
		check("length", n, p[:n])
	}
	check("length", len(p)+1, append(bytes.Clone(p), 0))
}

func TestNewerVersionIsNotCorrupt(t *testing.T) {
	p := encode(t, batch.NewEncoder(none), history, []bufferstore.Record{{Epoch: epoch, First: 1, Last: 1, Data: []byte{6}}})
	for _, damage := range []struct {
		at int
		to byte
	}{{0, 0x20}, {0, 0x19}, {1, p[1] | 0x20}} {
		q := bytes.Clone(p)
		q[damage.at] = damage.to
		if _, err := batch.NewDecoder(none).Decode(q); !errors.Is(err, batch.ErrVersion) {
			t.Errorf("byte %d = %#x: %v, want ErrVersion", damage.at, damage.to, err)
		}
	}
}

func TestThereIsNoSequenceNumberZero(t *testing.T) {
	p := encode(t, batch.NewEncoder(none), history, []bufferstore.Record{{Epoch: epoch, Data: []byte{6}}})
	if _, err := batch.NewDecoder(none).Decode(p); !errors.Is(err, batch.ErrCorrupt) {
		t.Errorf("%v, want ErrCorrupt", err)
	}
}

func TestBatchOutlivesItsPayload(t *testing.T) {
	s := newSite(21)
	s.group(3)
	recs := []bufferstore.Record{
		{Epoch: epoch, First: 1, Last: 1, Data: []byte("note")}, {Epoch: epoch, First: 2, Last: 2, Data: s.scan(s.groups[0])},
	}
	p := encode(t, batch.NewEncoder(s.lookup), history, recs)
	b, err := batch.NewDecoder(none).Decode(p)
	if err != nil {
		t.Fatal(err)
	}
	clear(p)
	same(t, b.Records, recs)
}

// took returns what decoding p allocates.
func took(p []byte, s *site) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	batch.NewDecoder(s.lookup).Decode(p)
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// A payload of some bytes may claim to unpack to anything.
func TestShortPayloadTakesNoMoreThanTheLimit(t *testing.T) {
	s := newSite(22)
	w := s.groupOf(slices.Repeat([]point.Type{point.Bool}, point.MaxColumns)...)
	w.scan.Quality[7] = point.MakeQuality(point.Uncertain, point.Frozen)
	zeros, scans := make([]bufferstore.Record, 15), make([]bufferstore.Record, 130)
	for i := range zeros {
		zeros[i] = bufferstore.Record{Epoch: epoch, First: bufferstore.Seq(i + 1), Last: bufferstore.Seq(i + 1), Data: make([]byte, 1<<18)}
	}
	for i := range scans {
		scans[i] = bufferstore.Record{Epoch: epoch, First: bufferstore.Seq(i + 1), Last: bufferstore.Seq(i + 1), Data: w.scan.Append(nil, w.schema)}
	}
	e := batch.NewEncoder(s.lookup)
	encode(t, e, history, scans)
	e.Acked(130)
	for _, p := range [][]byte{encode(t, e, history, zeros), encode(t, e, history, scans)} {
		if len(p) > 100 {
			t.Fatalf("%d bytes for zeros", len(p))
		}
		for i := 10; i < min(len(p)-2, 40); i++ {
			q := append(append(bytes.Clone(p[:i]), 0xff, 0x7f), p[i+2:]...) // 16,383 of whatever it is
			if n := took(q, s); n > 64<<20 {
				t.Errorf("bytes %d of %d: took %d MiB", i, len(p), n>>20)
			}
		}
	}
}

package batch_test

import (
	"bytes"
	"errors"
	"runtime"
	"testing"

	"skyhaul/bufferstore"
	"skyhaul/link/batch"
)

func TestDamagedBatchNeverYieldsARecord(t *testing.T) {
	s := newSite(20)
	s.group(4)
	h := history
	h.Opening = &batch.Opening{First: 1}
	p := encode(t, batch.NewEncoder(s.lookup), h, s.records(25))
	d := batch.NewDecoder(s.lookup)
	want, err := d.Decode(p)
	if err != nil {
		t.Fatal(err)
	}
	check := func(what string, at int, p []byte) {
		t.Helper()
		b, err := d.Decode(p)
		if err != nil {
			if _, asks := errors.AsType[batch.SchemaError](err); !asks && !errors.Is(err, batch.ErrCorrupt) && !errors.Is(err, batch.ErrVersion) {
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
	}{{0, 0x20}, {0, 0x11}, {1, p[1] | 0x20}} {
		q := bytes.Clone(p)
		q[damage.at] = damage.to
		if _, err := batch.NewDecoder(none).Decode(q); !errors.Is(err, batch.ErrVersion) {
			t.Errorf("byte %d = %#x: %v, want ErrVersion", damage.at, damage.to, err)
		}
	}
}

func TestBatchOutlivesItsPayload(t *testing.T) {
	s := newSite(21)
	s.group(3)
	recs := s.records(200)
	p := encode(t, batch.NewEncoder(s.lookup), history, recs)
	b, err := batch.NewDecoder(none).Decode(p)
	if err != nil {
		t.Fatal(err)
	}
	clear(p)
	same(t, b.Records, recs)
}

// A payload of some bytes may claim to unpack to anything.
func TestShortPayloadTakesNoMoreThanTheLimit(t *testing.T) {
	recs := make([]bufferstore.Record, 15)
	for i := range recs {
		n := bufferstore.Seq(i + 1)
		recs[i] = bufferstore.Record{Epoch: epoch, First: n, Last: n, Data: make([]byte, 1<<18)}
	}
	p := encode(t, batch.NewEncoder(none), history, recs)
	if len(p) > 100 {
		t.Fatalf("%d bytes for zeros", len(p))
	}
	for i := 10; i < len(p); i += 2 {
		for _, to := range []byte{0xff, 0x7f} {
			q := bytes.Clone(p)
			q[i] = to
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			d := batch.NewDecoder(none)
			d.Decode(q)
			runtime.ReadMemStats(&after)
			if took := after.TotalAlloc - before.TotalAlloc; took > 64<<20 {
				t.Errorf("byte %d = %#x: took %d MiB", i, to, took>>20)
			}
		}
	}
}

package batch_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"skyhaul/bufferstore"
	"skyhaul/edge/point"
	"skyhaul/link/batch"
)

var update = flag.Bool("update", false, "write the golden files anew")

// goldens are batches whose bytes are frozen: what one program wrote, every
// later one must read.
func goldens() map[string]func() (batch.Header, []bufferstore.Record, *site) {
	full := batch.Header{Lane: point.History, Epoch: epoch, Acked: 41, Opening: &batch.Opening{Parent: bufferstore.Epoch{1, 2, 3}, First: 40}}
	return map[string]func() (batch.Header, []bufferstore.Record, *site){
		"note": func() (batch.Header, []bufferstore.Record, *site) {
			n := point.Note{Stamp: point.Stamp{Boot: 1, Boottime: time.Second, Wall: 1763820000000}, Topic: "start", Text: "skyhaul"}
			return batch.Header{Lane: point.Message, Epoch: epoch}, []bufferstore.Record{{Epoch: epoch, First: 1, Last: 1, Data: n.Append(nil)}}, newSite(1)
		},
		"scan": func() (batch.Header, []bufferstore.Record, *site) {
			s := newSite(1)
			w := s.group(4)
			return full, []bufferstore.Record{{Epoch: epoch, First: 42, Last: 42, Data: s.scan(w)}}, s
		},
		"mixed": func() (batch.Header, []bufferstore.Record, *site) {
			s := newSite(2)
			s.group(9)
			s.group(3)
			s.next = 42
			return full, s.records(150), s
		},
		"pages": func() (batch.Header, []bufferstore.Record, *site) {
			s := newSite(3)
			w := s.group(2)
			w.kinds[0], w.kinds[1] = drift, few
			h := full
			h.Opening = nil
			recs := make([]bufferstore.Record, 1100)
			for i := range recs {
				n := bufferstore.Seq(42 + i)
				recs[i] = bufferstore.Record{Epoch: epoch, First: n, Last: n, Data: s.scan(w)}
			}
			return h, recs, s
		},
	}
}

// content writes down what a batch holds.
func content(b *batch.Batch) string {
	var s strings.Builder
	fmt.Fprintf(&s, "lane %s epoch %s first %d last %d acked %d\n", b.Lane, b.Epoch, b.First, b.Last, b.Acked)
	if o := b.Opening; o != nil {
		fmt.Fprintf(&s, "opening parent %s first %d\n", o.Parent, o.First)
	}
	for _, c := range b.Schemas {
		fmt.Fprintf(&s, "schema %x\n", c.Append(nil))
	}
	for _, r := range b.Records {
		if r.Lost != bufferstore.Kept {
			fmt.Fprintf(&s, "%d to %d: %s\n", r.First, r.Last, r.Lost)
		} else {
			fmt.Fprintf(&s, "%d: %x\n", r.First, r.Data)
		}
	}
	return s.String()
}

// kept returns a golden payload, or writes got where there is none. It must
// be read for ever, but what the program writes today may be shorter.
func kept(t *testing.T, name string, got []byte) []byte {
	t.Helper()
	path := filepath.Join("testdata", "golden", name)
	if _, err := os.Stat(path); *update && err != nil {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	p, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) > len(p) {
		t.Errorf("%s: %d bytes, and once there were %d", name, len(got), len(p))
	}
	return p
}

// golden compares got with a file, or writes it.
func golden(t *testing.T, name string, got []byte) (want []byte) {
	t.Helper()
	path := filepath.Join("testdata", "golden", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s: %d bytes differ from the golden %d; -update if that is meant", name, len(got), len(want))
	}
	return want
}

func TestGoldenBatches(t *testing.T) {
	for name, makes := range goldens() {
		h, recs, s := makes()
		p := kept(t, name+".batch", encode(t, batch.NewEncoder(s.lookup), h, recs))
		b, err := batch.NewDecoder(none).Decode(p)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		golden(t, name+".txt", []byte(content(b)))
		same(t, b.Records, recs)
	}
}

// schemas.chunk is of the time when chunks carried their schemas.
func TestGoldenChunk(t *testing.T) {
	_, recs, s := goldens()["mixed"]()
	for i := range recs[100:] {
		recs[100+i].Epoch[0]++
	}
	chunk, err := batch.NewChunkCodec(s.lookup).Seal(nil, recs)
	if err != nil {
		t.Fatal(err)
	}
	same(t, open(t, batch.NewChunkCodec(none), kept(t, "mixed.chunk", chunk)), recs)
	earlier, err := os.ReadFile(filepath.Join("testdata", "golden", "schemas.chunk"))
	if err != nil {
		t.Fatal(err)
	}
	same(t, open(t, batch.NewChunkCodec(none), earlier), recs)
}

func TestGoldenDocuments(t *testing.T) {
	ack, err := fullAck().Marshal(key, "well-7")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "full.ack", ack)
	down, err := (&batch.Down{At: 1763820000123, Commands: []batch.Command{{ID: 9, Deadline: 1763820060123, Body: []byte("body")}}}).Marshal(key, "well-7")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "one.down", down)
	golden(t, "online.state", batch.State{Online: true, Config: [8]byte{1, 2, 3, 4, 5, 6, 7, 8}, Next: 6 * time.Hour}.Marshal())
}

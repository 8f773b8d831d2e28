package batch_test

import (
	"testing"

	"skyhaul/bufferstore"
	"skyhaul/edge/point"
	"skyhaul/link/batch"
)

func TestSchemaThatOnlyAnOddScanNamedIsStillToBeCarried(t *testing.T) {
	s := newSite(21)
	w := s.group(4)
	odd := append(s.scan(w), 0) // opaque, for it is longer than its schema says
	e := batch.NewEncoder(s.lookup)
	if got := carries(t, e, s, []bufferstore.Record{{Epoch: epoch, First: 1, Last: 1, Data: odd}}); got != "0 true" {
		t.Errorf("the odd scan carries %s", got)
	}
	e.Acked(1)
	if got := carries(t, e, s, []bufferstore.Record{{Epoch: epoch, First: 2, Last: 2, Data: s.scan(w)}}); got != "1 false" {
		t.Errorf("the first scan of the schema carries %s", got)
	}
}

func TestSchemaFoundLaterIsUsed(t *testing.T) {
	s := newSite(22)
	w := s.group(4)
	found := false
	e := batch.NewEncoder(func(id point.SchemaID) (*point.Schema, bool) {
		sc, ok := s.lookup(id)
		return sc, ok && found
	})
	for n, want := range []string{"0 true", "1 true"} {
		seq := bufferstore.Seq(n + 1)
		if got := carries(t, e, s, []bufferstore.Record{{Epoch: epoch, First: seq, Last: seq, Data: s.scan(w)}}); got != want {
			t.Errorf("found: %t; carries %s, want %s", found, got, want)
		}
		found = true
	}
}

func TestSchemaIsLookedUpOnce(t *testing.T) {
	s := newSite(23)
	w := s.group(4)
	asked := 0
	e := batch.NewEncoder(func(id point.SchemaID) (*point.Schema, bool) {
		asked++
		return s.lookup(id)
	})
	for seq := range bufferstore.Seq(3) {
		encode(t, e, history, []bufferstore.Record{{Epoch: epoch, First: seq + 1, Last: seq + 1, Data: s.scan(w)}})
	}
	if asked != 1 {
		t.Errorf("asked %d times", asked)
	}
}

// More schemas than a body has groups: those beyond travel as they are, in the
// next batch as in this one.
func TestMoreSchemasThanGroupsComeBack(t *testing.T) {
	s := newSite(24)
	var recs []bufferstore.Record
	for n := range bufferstore.Seq(1030) {
		recs = append(recs, bufferstore.Record{Epoch: epoch, First: n + 1, Last: n + 1, Data: s.scan(s.group(1))})
	}
	e := batch.NewEncoder(s.lookup)
	for range 2 {
		b, err := batch.NewDecoder(none).Decode(encode(t, e, history, recs))
		if err != nil {
			t.Fatal(err)
		}
		same(t, b.Records, recs)
		if len(b.Schemas) != 1024 {
			t.Errorf("%d schemas", len(b.Schemas))
		}
	}
}

package sqlite_test

import (
	"bytes"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"skyhaul/edge/point"
	"skyhaul/link/batch"
	"skyhaul/link/hub"
	"skyhaul/link/hub/sqlite"
)

func TestTheFleetShowsWhatASiteSaysAndWhatIsHereOfIt(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hub.db")
	s := open(t, path)
	if err := s.Contact(t.Context(), "south-1", batch.State{Online: true, Config: [8]byte{0xab}, Next: time.Hour}); err != nil {
		t.Fatal(err)
	}
	store(t, s, passes(1, 0, 1, 1, 4))
	store(t, s, passes(1, 0, 1, 3, 6))
	if err := s.Contact(t.Context(), "north-7", batch.State{}); err != nil {
		t.Fatal(err)
	}
	want := []hub.Site{
		{ID: "north-7", Batches: 2, Records: 6, Readings: 18, Repeated: 2, Config: "0000000000000000"},
		{ID: "south-1", Online: true, Config: "ab00000000000000"},
	}
	got, err := s.Sites(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got, cmpopts.IgnoreFields(hub.Site{}, "Heard", "LastBatch", "Contact", "Next")); d != "" {
		t.Error(d)
	}
	if got[0].LastBatch.IsZero() || !got[1].LastBatch.IsZero() || !got[0].Next.IsZero() || got[1].Next.Sub(got[1].Contact) != time.Hour {
		t.Errorf("times of the sites: %+v", got)
	}
	m, err := s.Marks(t.Context(), "south-1")
	if err != nil || m.At != 0 {
		t.Errorf("a site that only said hello has marks of %d (%v), want none", m.At, err)
	}
}

func TestTheNewestRejectedPayloadsAreKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hub.db")
	s := open(t, path)
	for n := range 260 {
		r := hub.Rejected{Site: "north-7", Topic: "up/history", Cause: fmt.Sprint("corrupt ", n)}
		if n == 259 {
			r.Payload = bytes.Repeat([]byte{1}, 100_000)
		}
		if err := s.Reject(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	checkTable(t, path, "SELECT count(*), min(cause) FROM rejected", []string{"256", "corrupt 10"})
	checkTable(
		t, path, "SELECT cause, bytes, length(payload) FROM rejected ORDER BY id LIMIT 1 OFFSET 254",
		[]string{"corrupt 258", "0", "0"},
	)
	checkTable(t, path, "SELECT cause, bytes, length(payload) FROM rejected ORDER BY id DESC LIMIT 1", []string{"corrupt 259", "100000", "65536"})
}

func TestCommandsAreOpenUntilTheirDeadline(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "hub.db"))
	store(t, s, passes(1, 0, 1, 1, 1))
	soon := time.Now().Add(time.Hour)
	if _, err := s.Queue(t.Context(), "nobody", nil, soon); err == nil {
		t.Error("a command for an unknown site was queued")
	}
	if _, err := s.Queue(t.Context(), "north-7", nil, time.Now().Add(-time.Second)); err == nil {
		t.Error("a command past its deadline was queued")
	}
	if _, err := s.Queue(t.Context(), "north-7", make([]byte, 1025), soon); err == nil {
		t.Error("a command that is too long was queued")
	}
	var want []batch.Command
	var at int64
	for n := range 16 {
		c, err := s.Queue(t.Context(), "north-7", []byte{byte(n)}, soon)
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, c)
		d, err := s.Down(t.Context(), "north-7")
		if err != nil {
			t.Fatal(err)
		}
		if d.At <= at {
			t.Errorf("the time of the document went from %d to %d", at, d.At)
		}
		at = d.At
		if d := cmp.Diff(want, d.Commands); d != "" {
			t.Error(d)
		}
	}
	if _, err := s.Queue(t.Context(), "north-7", nil, soon); err == nil {
		t.Error("a 17th command was queued")
	}
}

func TestAFreshStartIsAskedForUntilItComes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hub.db")
	s := open(t, path)
	store(t, s, passes(1, 0, 1, 1, 4))
	for _, e := range []byte{1, 2} {
		if err := s.AskFresh(t.Context(), "north-7", point.History, epoch(e)); err != nil {
			t.Fatal(err)
		}
	}
	s.Close()
	s = open(t, path)
	m, err := s.Marks(t.Context(), "north-7")
	if err != nil {
		t.Fatal(err)
	}
	want := []batch.LaneAck{
		{Lane: point.History, Epoch: epoch(2), Fresh: true},
		{Lane: point.History, Epoch: epoch(1), Floor: 4, Whole: true, Fresh: true},
	}
	if d := cmp.Diff(want, m.Ack().Lanes, cmpopts.EquateEmpty()); d != "" {
		t.Error(d)
	}
	b := passes(1, 0, 1, 5, 5)
	b.Opening = nil // on its way when the ack came
	if m = store(t, s, b); !m.Epochs[0].Fresh {
		t.Error("a batch without opening is taken for a fresh start")
	}
	store(t, s, passes(2, 1, 6, 6, 6))
	m = store(t, s, passes(1, 0, 1, 5, 5))
	want = []batch.LaneAck{{Lane: point.History, Epoch: epoch(2), Floor: 6, Whole: true}}
	if d := cmp.Diff(want, m.Ack().Lanes, cmpopts.EquateEmpty()); d != "" {
		t.Error(d)
	}
}

func TestASchemaIsFoundAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hub.db")
	s := open(t, path)
	store(t, s, passes(1, 0, 1, 1, 1))
	s.Close()
	s = open(t, path)
	got, ok, err := s.Schema(t.Context(), "north-7", pressures.ID())
	if err != nil || !ok {
		t.Fatalf("found %v: %v", ok, err)
	}
	if d := cmp.Diff(pressures, got); d != "" {
		t.Error(d)
	}
	for _, site := range []string{"north-7", "south-1"} {
		if _, ok, err := s.Schema(t.Context(), site, point.SchemaID{1}); ok || err != nil {
			t.Errorf("site %s: a schema that never came: %v, %v", site, ok, err)
		}
	}
	if _, ok, err := s.Schema(t.Context(), "south-1", pressures.ID()); ok || err != nil {
		t.Errorf("another site's schema: %v, %v", ok, err)
	}
}

func TestAViewSeesWhatASinkWrites(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hub.db")
	s := open(t, path)
	v, err := sqlite.OpenView(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	b := passes(1, 0, 1, 1, 4)
	b.Last = 9
	b.Records = append(b.Records, gap(5, 9, 3))
	want := store(t, s, b)
	got, err := v.Marks(t.Context(), "north-7")
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got, cmpopts.EquateEmpty()); d != "" {
		t.Error(d)
	}
	gaps, err := v.Gaps(t.Context(), "north-7")
	if err != nil || len(gaps) != 1 || gaps[0].First != 5 || gaps[0].Last != 9 || gaps[0].Reason != "damaged" {
		t.Errorf("gaps %+v: %v", gaps, err)
	}
	n := 0
	for r, err := range v.Readings(t.Context(), sqlite.Query{Site: "north-7", From: time.UnixMilli(1_700_000_002_000), To: time.UnixMilli(1_700_000_004_000)}) {
		if err != nil {
			t.Fatal(err)
		}
		if n++; r.Column.ID == 7 && r.Raw != uint64(r.Seq)*31 {
			t.Errorf("reading %d has %d", r.Seq, r.Raw)
		}
	}
	if n != 6 {
		t.Errorf("%d readings of two scans, want 6", n)
	}
}

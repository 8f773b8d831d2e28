package sqlite_test

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"skyhaul/bufferstore"
	"skyhaul/edge/point"
	"skyhaul/link/batch"
	"skyhaul/link/hub"
	"skyhaul/link/hub/sqlite"
)

// site makes batches that lean on each other.
type site struct {
	*batch.Encoder
	schema *point.Schema
	scan   func(bufferstore.Seq) []byte
	next   bufferstore.Seq
	acked  bufferstore.Seq
}

func newSite(s *point.Schema) *site {
	e := batch.NewEncoder(func(id point.SchemaID) (*point.Schema, bool) { return s, id == s.ID() })
	e.Carry(true)
	return &site{Encoder: e, schema: s, scan: func(n bufferstore.Seq) []byte { return scan(s, uint64(n)) }, next: 1}
}

// walk has the points drift at random.
func (s *site) walk() {
	rng, at := rand.New(rand.NewPCG(1, 1)), make([]float64, len(s.schema.Columns))
	s.scan = func(n bufferstore.Seq) []byte { return drift(rng, s.schema, at, n) }
}

// batch encodes the next n scans.
func (s *site) batch(t testing.TB, n int) []byte {
	t.Helper()
	h := batch.Header{Lane: point.History, Epoch: epoch(1), Acked: s.acked, Opening: &batch.Opening{First: 1}}
	p, last, err := s.Encode(nil, h, func(yield func(bufferstore.Record, error) bool) {
		for range n {
			if !yield(bufferstore.Record{Epoch: epoch(1), First: s.next, Last: s.next, Data: s.scan(s.next)}, nil) {
				return
			}
			s.next++
		}
	}, 1<<20)
	if err != nil || last != s.next-1 {
		t.Fatalf("encoded up to %d: %v", last, err)
	}
	return p
}

func (s *site) batches(t testing.TB, batches, n int) (all [][]byte) {
	t.Helper()
	for range batches {
		all = append(all, s.batch(t, n))
	}
	return all
}

// session hands payloads to a receiver.
type session struct {
	payloads [][]byte
	done     context.CancelFunc
}

func (s *session) Run(ctx context.Context, receive func(string, []byte) error) error {
	for _, p := range s.payloads {
		if err := receive(batch.UpTopic("", "north-7", point.History), p); err != nil {
			return err
		}
	}
	s.done()
	<-ctx.Done()
	return nil
}

func (s *session) SendRetained(context.Context, string, []byte, func(error)) error { return nil }

// receive has a new receiver take payloads, and returns what it has seen.
func receive(t testing.TB, s *sqlite.Sink, name string, payloads ...[]byte) hub.Status {
	t.Helper()
	return receiveWith(t, s, hub.Options{Name: name}, payloads...)
}

func receiveWith(t testing.TB, s *sqlite.Sink, o hub.Options, payloads ...[]byte) hub.Status {
	t.Helper()
	ctx, done := context.WithCancel(t.Context())
	o.Sink, o.Fleet, o.Master = s, s, []byte("32 bytes that nobody else has got")
	o.Connect = func([]string) hub.Session { return &session{payloads: payloads, done: done} }
	r := hub.New(o)
	if err := r.Run(ctx); err != nil {
		t.Fatal(err)
	}
	return r.Status()
}

// ack is what the site is told, but for the permission.
func ack(t testing.TB, s *sqlite.Sink) []batch.LaneAck {
	t.Helper()
	m, err := s.Marks(t.Context(), "north-7")
	if err != nil {
		t.Fatal(err)
	}
	return m.Ack().Lanes
}

func checkAck(t testing.TB, s *sqlite.Sink, want ...batch.LaneAck) {
	t.Helper()
	for i := range want {
		want[i].Lane = point.History
	}
	if d := cmp.Diff(want, ack(t, s), cmpopts.EquateEmpty()); d != "" {
		t.Error(d)
	}
}

func TestAChainGoesOnInAnotherProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hub.db")
	w := newSite(pressures)
	var want [][]string
	for range 5 {
		s, err := sqlite.Open(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		if st := receive(t, s, "one", w.batches(t, 40, 3)...); st.Batches != 40 || st.Unchained > 0 {
			t.Errorf("status %+v", st)
		}
		s.Close()
	}
	for n := 1; n <= 600; n++ {
		want = append(want, []string{fmt.Sprint(n), fmt.Sprint(n * 31 & 0xffff)})
	}
	checkTable(t, path, "SELECT seq, raw FROM readings WHERE point_id = 7 ORDER BY seq", want...)
	checkTable(t, path, "SELECT count(snapshot) FROM link", []string{"3"})
}

func TestTwoHubsShareTheChains(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hub.db")
	sinks := []*sqlite.Sink{open(t, path), open(t, path)}
	all := newSite(pressures).batches(t, 40, 3)
	for i, p := range all {
		if st := receive(t, sinks[i%2], fmt.Sprint("hub ", i%2), p); st.Batches != 1 || st.Unchained > 0 {
			t.Fatalf("batch %d: status %+v", i, st)
		}
	}
	receive(t, sinks[0], "hub 0", all[10], all[39])
	checkTable(t, path, "SELECT count(*), count(DISTINCT name) FROM link", []string{"40", "40"})
	checkTable(t, path, "SELECT batches, records, repeated, unchained FROM site", []string{"42", "120", "6", "0"})
}

func TestAHubRestoredFromABackupAsksForAFreshStart(t *testing.T) {
	dir := t.TempDir()
	path, backup := filepath.Join(dir, "hub.db"), filepath.Join(dir, "backup.db")
	w := newSite(pressures)
	for range 2 {
		s, err := sqlite.Open(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		receive(t, s, "one", w.batches(t, 5, 10)...)
		s.Close()
		if _, err := os.Stat(backup); err != nil {
			copyFile(t, path, backup)
		}
	}
	w.acked = w.next - 1
	w.Acked(w.acked)
	copyFile(t, backup, path)

	s := open(t, path)
	st := receive(t, s, "one", w.batch(t, 10))
	if st.Unchained != 1 || st.Batches != 0 {
		t.Errorf("status %+v", st)
	}
	checkAck(t, s, batch.LaneAck{Fresh: true}, batch.LaneAck{Epoch: epoch(1), Floor: 50, Whole: true, Fresh: true})
	w.Reset()
	w.next -= 10
	receive(t, s, "one", w.batch(t, 10))
	s.Close()
	s = open(t, path)
	checkAck(t, s, batch.LaneAck{
		Epoch: epoch(1), Floor: 50, Whole: true, Stored: []batch.Range{{First: 101, Last: 110}}, Wanted: []batch.Range{{First: 51, Last: 100}},
	})
	w.next = 51
	receive(t, s, "one", w.batches(t, 6, 10)...)
	checkAck(t, s, batch.LaneAck{Epoch: epoch(1), Floor: 110, Whole: true})
	checkTable(t, path, "SELECT unchained FROM site", []string{"1"})
}

func TestOldLinksAreForgotten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hub.db")
	s, w := open(t, path), newSite(pressures)
	const n, kept = 1500, 1024
	all := w.batches(t, n, 1)
	receive(t, s, "one", all...)
	if st := receive(t, s, "one", all[n-kept], all[n-kept/2]); st.Batches != 2 || st.Unchained > 0 {
		t.Errorf("one of the last %d links: status %+v", kept, st)
	}
	v, err := sqlite.OpenView(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	k, err := v.Chains(t.Context(), "north-7")
	if err != nil || k.Links < kept || k.Links > kept+4*64 || k.Bytes < kept*10 {
		t.Errorf("%+v kept: %v", k, err)
	}
	if st := receive(t, s, "one", all[200]); st.Unchained != 1 {
		t.Errorf("a link that is forgotten: status %+v", st)
	}
	checkAck(t, s, batch.LaneAck{Fresh: true}, batch.LaneAck{Epoch: epoch(1), Floor: n, Whole: true, Fresh: true})
}

func TestTheWayToEveryLinkIsKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hub.db")
	s, w := open(t, path), newSite(pressures)
	first := w.batch(t, 1)
	w.Acked(1)
	old := w.batches(t, 60, 1)
	receive(t, s, "one", append([][]byte{first}, old...)...)
	for range 3 { // back to the first link, each time for so long that others are forgotten
		w.Rewind()
		receive(t, s, "one", w.batches(t, 600, 1)...)
	}
	for i := range int64(3) {
		tag := table(t, path, "SELECT tag FROM link ORDER BY id DESC LIMIT 1 OFFSET ?", 400*i)[0][0]
		var n uint16
		fmt.Sscan(tag, &n)
		paths, err := s.Paths(t.Context(), "north-7", point.History, n)
		if err != nil || len(paths) == 0 {
			t.Errorf("link %d from the end: %d paths: %v", 400*i, len(paths), err)
		}
	}
	checkTable(t, path, "SELECT count(*) FROM link WHERE id <= 61 AND id > 1", []string{"0"})
}

func TestShortChainsAreForgottenToo(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hub.db")
	s, w := open(t, path), newSite(pressures)
	for range 900 { // no ack ever comes, and each session ends with batches on their way
		receive(t, s, "one", w.batches(t, 3, 1)...)
		w.Rewind()
	}
	k := number(t, path, "SELECT count(*) FROM link")
	if k < 1024 || k > 2048 {
		t.Errorf("%.0f links, want 1024 to 2048", k)
	}
	checkTable(t, path, "SELECT count(*), (SELECT unchained FROM site) FROM link WHERE base = -1", []string{"0", "0"})
}

func TestLongPayloadsAreForgottenEarlier(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hub.db")
	s := open(t, path)
	const long = 1 << 20
	b := passes(1, 0, 1, 1, 1)
	base := uint32(0)
	for n := range byte(12) {
		p := bytes.Repeat([]byte{n + 1}, long)
		l := hub.Link{Base: base, Payload: p, Snapshot: []byte{n}}
		if _, err := s.StoreLink(t.Context(), "north-7", b, l); err != nil {
			t.Fatal(err)
		}
		base = batch.Name(p)
	}
	checkTable(t, path, "SELECT count(*), min(id), sum(length(payload)) FROM link", []string{"3", "10", fmt.Sprint(3 * long)})
}

func TestASnapshotIsTakenOfLongPayloadsToo(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hub.db")
	rng, w := rand.NewChaCha8([32]byte{1}), newSite(pressures)
	w.scan = func(bufferstore.Seq) []byte {
		rec := make([]byte, 15_000)
		rng.Read(rec)
		return rec
	}
	receive(t, open(t, path), "one", w.batches(t, 5, 1)...)
	checkTable(t, path, "SELECT id FROM link WHERE snapshot IS NOT NULL", []string{"5"})
}

func TestAPathThatLeadsNowhereIsNone(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "hub.db"))
	b := passes(1, 0, 1, 1, 1)
	for _, l := range []hub.Link{{Base: 77, Payload: []byte("first")}, {Base: batch.Name([]byte("first")), Payload: []byte("second")}} {
		if _, err := s.StoreLink(t.Context(), "north-7", b, l); err != nil {
			t.Fatal(err)
		}
	}
	for _, p := range []string{"first", "second"} {
		paths, err := s.Paths(t.Context(), "north-7", point.History, uint16(batch.Name([]byte(p))))
		if err != nil || len(paths) > 0 {
			t.Errorf("%s: %v, %v", p, paths, err)
		}
	}
}

func TestALinkIsKeptOnceHoweverOftenItComes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hub.db")
	s, b := open(t, path), passes(1, 0, 1, 1, 3)
	for range 3 {
		if _, err := s.StoreLink(t.Context(), "north-7", b, hub.Link{Payload: []byte("payload")}); err != nil {
			t.Fatal(err)
		}
	}
	checkTable(t, path, "SELECT base, records FROM link", []string{"0", "3"})
}

func TestAFailedBatchLeavesNoLink(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hub.db")
	s := open(t, path)
	b := passes(1, 0, 1, 1, 3)
	b.Opening = nil // the epoch can't be placed
	if _, err := s.StoreLink(t.Context(), "north-7", b, hub.Link{Payload: []byte("payload")}); err == nil {
		t.Fatal("stored")
	}
	checkTable(t, path, "SELECT (SELECT count(*) FROM link), (SELECT count(*) FROM scan)", []string{"0", "0"})
}

func TestAHubIsAloneUntilAnotherIsSeen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hub.db")
	s := open(t, path)
	alone := func(name string, want bool) {
		t.Helper()
		if got, err := s.Alone(t.Context(), name); err != nil || got != want {
			t.Errorf("%s alone: %v, want %v (%v)", name, got, want, err)
		}
	}
	alone("one", true)
	alone("one", true)
	alone("two", false)
	alone("one", false)
	for _, shift := range []time.Duration{-6 * time.Minute, time.Hour} { // it went, or its clock is wrong
		change(t, path, "UPDATE hub SET seen_ms = ? WHERE name = 'two'", time.Now().Add(shift).UnixMilli())
		alone("one", true)
		alone("two", false)
	}
}

func change(t testing.TB, path, query string, args ...any) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), query, args...); err != nil {
		t.Fatal(err)
	}
}

func TestAnUpgradedDatabaseKeepsChains(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hub.db")
	ddl, err := os.ReadFile("testdata/version1.sql")
	if err != nil {
		t.Fatal(err)
	}
	change(t, path, string(ddl)+"INSERT INTO quality VALUES (0, 'good', ''); INSERT INTO time_quality VALUES (0, 'synced')")
	s, w := open(t, path), newSite(pressures)
	for range 2 {
		if st := receive(t, s, "one", w.batches(t, 70, 2)...); st.Unchained > 0 || st.Batches != 70 {
			t.Errorf("status %+v", st)
		}
	}
	indexes := "SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL ORDER BY name"
	fresh := filepath.Join(t.TempDir(), "fresh.db")
	open(t, fresh)
	checkTable(t, path, indexes, table(t, fresh, indexes)...)
}

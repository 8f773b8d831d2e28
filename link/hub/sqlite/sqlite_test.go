package sqlite_test

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	_ "modernc.org/sqlite"

	"skyhaul/bufferstore"
	"skyhaul/edge/point"
	"skyhaul/link/batch"
	"skyhaul/link/hub"
	"skyhaul/link/hub/sqlite"
)

var pressures = &point.Schema{Group: "pressures", Columns: []point.Column{
	{ID: 7, Tag: "PT-101", Description: "suction", Unit: "bar", Type: point.Uint16, Scale: point.Scale{Factor: 0.01, Offset: -1}, Decimals: 2},
	{ID: 8, Tag: "PT-102", Unit: "bar", Type: point.Float32, Scale: point.NoScale, Decimals: -1},
	{ID: 9, Tag: "XS-1", Type: point.Bool, Scale: point.NoScale},
}}

func epoch(n byte) bufferstore.Epoch { return bufferstore.Epoch{n} }

// scan makes the record of one pass; its values follow from n.
func scan(s *point.Schema, n uint64) []byte {
	sc := point.Scan{
		Schema:  s.ID(),
		Stamp:   point.Stamp{Boot: 1, Boottime: time.Duration(n) * time.Second, Wall: 1_700_000_000_000 + int64(n)*1000, BoundExp: 3},
		Values:  make([]uint64, len(s.Columns)),
		Quality: make([]point.Quality, len(s.Columns)),
	}
	for i := range s.Columns {
		switch s.Columns[i].Type {
		case point.Uint16:
			sc.Values[i] = n * 31 & 0xffff
		case point.Float32:
			sc.Values[i] = uint64(math.Float32bits(float32(n) / 3))
		case point.Float64:
			sc.Values[i] = math.Float64bits(float64(n) / 7)
		default:
			sc.Values[i] = n & 1
		}
	}
	return sc.Append(nil, s)
}

// passes is a batch of scans in lane history.
func passes(e, parent byte, opens, first, last bufferstore.Seq) *batch.Batch {
	b := &batch.Batch{
		Header:  batch.Header{Lane: point.History, Epoch: epoch(e), Opening: &batch.Opening{First: opens}},
		First:   first,
		Last:    last,
		Schemas: []*point.Schema{pressures},
	}
	if parent > 0 {
		b.Opening.Parent = epoch(parent)
	}
	for s := first; s <= last; s++ {
		b.Records = append(b.Records, bufferstore.Record{Epoch: b.Epoch, First: s, Last: s, Data: scan(pressures, uint64(s))})
	}
	return b
}

func gap(first, last bufferstore.Seq, why bufferstore.Reason) bufferstore.Record {
	return bufferstore.Record{Epoch: epoch(1), First: first, Last: last, Lost: why}
}

func open(t testing.TB, path string) *sqlite.Sink {
	t.Helper()
	s, err := sqlite.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func store(t testing.TB, s *sqlite.Sink, b *batch.Batch) hub.Marks {
	t.Helper()
	m, err := s.Store(t.Context(), "north-7", b)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// table reads all of a query's rows as text.
func table(t testing.TB, path, query string, args ...any) (rows [][]string) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	r, err := db.QueryContext(context.WithoutCancel(t.Context()), query, args...)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	cols, _ := r.Columns()
	for r.Next() {
		row, dst := make([]string, len(cols)), make([]any, len(cols))
		cell := make([]sql.NullString, len(cols))
		for i := range dst {
			dst[i] = &cell[i]
		}
		if err := r.Scan(dst...); err != nil {
			t.Fatal(err)
		}
		for i := range cell {
			row[i] = cell[i].String
			if !cell[i].Valid {
				row[i] = "null"
			}
		}
		rows = append(rows, row)
	}
	if err := r.Err(); err != nil {
		t.Fatal(err)
	}
	return rows
}

func checkTable(t testing.TB, path, query string, want ...[]string) {
	t.Helper()
	if d := cmp.Diff(want, table(t, path, query)); d != "" {
		t.Errorf("%s: %s", query, d)
	}
}

func TestABatchIsStoredOnceHoweverOftenItComes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hub.db")
	s := open(t, path)
	first := store(t, s, passes(1, 0, 1, 1, 10))
	again := store(t, s, passes(1, 0, 1, 1, 10))
	overlapping := store(t, s, passes(1, 0, 1, 6, 15))
	if first.At >= again.At || again.At >= overlapping.At {
		t.Errorf("times of the marks don't rise: %d, %d, %d", first.At, again.At, overlapping.At)
	}
	want := []hub.EpochMarks{{Lane: point.History, Epoch: epoch(1), First: 1, Floor: 15}}
	if d := cmp.Diff(want, overlapping.Epochs); d != "" {
		t.Error(d)
	}
	checkTable(t, path, "SELECT batches, records, readings, repeated FROM site", []string{"3", "15", "45", "15"})
	checkTable(t, path, "SELECT count(*), count(DISTINCT seq) FROM scan", []string{"15", "15"})
	checkTable(t, path, "SELECT count(*) FROM readings", []string{"45"})
}

func TestReadingsShowWhatTheSiteTook(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hub.db")
	s := open(t, path)
	b := passes(1, 0, 5, 5, 5)
	sc := point.Scan{
		Schema: pressures.ID(),
		Stamp:  point.Stamp{Boot: 3, Boottime: 1500 * time.Millisecond, Wall: 1_700_000_000_007, Quality: point.Holdover, BoundExp: point.UnknownBound},
		Values: []uint64{1234, uint64(math.Float32bits(float32(math.NaN()))), 0},
		Quality: []point.Quality{
			point.MakeQuality(point.Uncertain, point.Clock), point.MakeQuality(point.Bad, point.ScaleError), point.MakeQuality(point.Bad, point.Comm),
		},
	}
	b.Records[0].Data = sc.Append(nil, pressures)
	store(t, s, b)
	checkTable(
		t, path, `SELECT site, lane, "group", point_id, tag, time, value, unit, quality, reason, type, raw, time_quality, boot, boottime_ms, wall_ms, epoch, seq FROM readings ORDER BY point_id`,
		[]string{"north-7", "history", "pressures", "7", "PT-101", "2023-11-14T22:13:20.007Z", "11.34", "bar", "uncertain", "clock", "uint16", "1234", "holdover", "3", "1500", "1700000000007", "0100000000000000", "5"},
		[]string{"north-7", "history", "pressures", "8", "PT-102", "2023-11-14T22:13:20.007Z", "null", "bar", "bad", "scale error", "float32", "2143289344", "holdover", "3", "1500", "1700000000007", "0100000000000000", "5"},
		[]string{"north-7", "history", "pressures", "9", "XS-1", "2023-11-14T22:13:20.007Z", "null", "", "bad", "comm", "bool", "0", "holdover", "3", "1500", "1700000000007", "0100000000000000", "5"},
	)
	checkTable(t, path, "SELECT bound FROM scan", []string{"null"})
}

func TestWhatARuleLeftOutHasNoRow(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hub.db")
	s := open(t, path)
	ruled := &point.Schema{Group: "pressures", Columns: []point.Column{
		{ID: 7, Tag: "PT-101", Type: point.Uint16, Scale: point.NoScale, Rule: point.Rule{Method: point.Deadband, Error: 0.5, Silence: time.Minute}},
		{ID: 8, Tag: "PT-102", Type: point.Uint16, Scale: point.NoScale, Rule: point.Rule{Method: point.OnChange, Silence: time.Hour}},
	}}
	sc := point.Scan{Schema: ruled.ID(), Values: []uint64{5, 0}, Quality: []point.Quality{0, point.Unrecorded}}
	b := passes(1, 0, 1, 1, 1)
	b.Schemas = append(b.Schemas, ruled)
	b.Records[0].Data = sc.Append(nil, ruled)
	store(t, s, b)
	checkTable(t, path, "SELECT tag, value, quality FROM readings", []string{"PT-101", "5", "good"})
	checkTable(t, path, "SELECT records, readings FROM site", []string{"1", "1"})
	checkTable(
		t, path, "SELECT tag, rule, error, silence_ms FROM point_versions WHERE schema = '"+ruled.ID().String()+"'",
		[]string{"PT-101", "deadband", "0.5", "60000"}, []string{"PT-102", "change", "0", "3600000"},
	)
}

func TestRowsKeepTheScaleTheyWereTakenUnder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hub.db")
	s := open(t, path)
	store(t, s, passes(1, 0, 1, 1, 1))
	renamed := &point.Schema{Group: "pressures", Columns: []point.Column{
		{ID: 7, Tag: "PT-101A", Unit: "kPa", Type: point.Uint16, Scale: point.Scale{Factor: 2}, Decimals: 0},
		{ID: 12, Tag: "PT-102", Unit: "bar", Type: point.Uint16, Scale: point.NoScale}, // the tag used again: another point
	}}
	b := passes(1, 0, 1, 2, 2)
	b.Schemas = []*point.Schema{renamed}
	b.Records[0].Data = scan(renamed, 2)
	store(t, s, b)
	checkTable(
		t, path, "SELECT seq, point_id, tag, unit, value FROM readings WHERE tag LIKE 'PT-%' ORDER BY seq, point_id",
		[]string{"1", "7", "PT-101", "bar", "-0.69"},
		[]string{"1", "8", "PT-102", "bar", "0.3333333432674408"},
		[]string{"2", "7", "PT-101A", "kPa", "124"},
		[]string{"2", "12", "PT-102", "bar", "62"},
	)
	checkTable(
		t, path, "SELECT tag, unit, lane, seq FROM point_versions WHERE point_id = 7 ORDER BY seq",
		[]string{"PT-101", "bar", "history", "1"}, []string{"PT-101A", "kPa", "history", "2"},
	)
}

func TestEveryKindOfRecordHasItsTable(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hub.db")
	s := open(t, path)
	stamp := point.Stamp{Boot: 1, Boottime: time.Second, Wall: 1000, BoundExp: 4}
	event := point.Event{Stamp: stamp, Point: 7, Tag: "PT-101", Condition: "hihi", Active: true, Type: point.Uint16, Raw: 900, Value: 8, Limit: math.NaN()}
	note := point.Note{Stamp: stamp, Topic: "clock", Text: "stepped by 3 s"}
	unknown := *pressures
	unknown.Group = "never sent"
	b := passes(1, 0, 1, 1, 8)
	b.Records[1].Data = event.Append(nil)
	b.Records[2].Data = note.Append(nil)
	b.Records[3].Data = []byte{byte(point.KindArchive), 1, 2, 3}
	b.Records[4].Data = []byte{byte(point.KindEvent), 0xff}
	b.Records[5].Data = nil
	b.Records[6].Data = scan(&unknown, 7)
	b.Records[7].Data = b.Records[0].Data[:20]
	store(t, s, b)
	checkTable(
		t, path, "SELECT seq, tag, condition, active, type, raw, value, limit_value, wall_ms, bound FROM event",
		[]string{"2", "PT-101", "hihi", "1", "uint16", "900", "8", "null", "1000", "4"},
	)
	checkTable(t, path, "SELECT seq, topic, text, boottime_ms FROM note", []string{"3", "clock", "stepped by 3 s", "1000"})
	checkTable(
		t, path, "SELECT seq, kind, length(record) FROM opaque",
		[]string{"4", "5", "4"}, []string{"5", "2", "2"}, []string{"6", "0", "0"},
		[]string{"7", "1", fmt.Sprint(len(scan(&unknown, 7)))}, []string{"8", "1", "20"},
	)
	checkTable(t, path, "SELECT seq FROM scan", []string{"1"})
}

func TestAGapIsDeclaredOnlyForWhatIsNotThere(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hub.db")
	s := open(t, path)
	store(t, s, passes(1, 0, 1, 4, 5))
	b := passes(1, 0, 1, 1, 1)
	b.Last = 9
	b.Records = append(b.Records, gap(2, 7, bufferstore.Evicted), gap(8, 9, bufferstore.Damaged))
	store(t, s, b)
	m := store(t, s, b)
	checkTable(
		t, path, "SELECT first, last, records, reason FROM gaps ORDER BY first",
		[]string{"2", "3", "2", "evicted"}, []string{"6", "7", "2", "evicted"}, []string{"8", "9", "2", "damaged"},
	)
	checkTable(
		t, path, "SELECT site, lane, first, floor, last, stored_above, missing, gaps, lost FROM completeness",
		[]string{"north-7", "history", "1", "9", "9", "0", "0", "3", "6"},
	)
	if m.Epochs[0].Floor != 9 {
		t.Errorf("floor %d, want 9", m.Epochs[0].Floor)
	}
}

func TestCompletenessCountsWhatIsMissing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hub.db")
	s := open(t, path)
	store(t, s, passes(1, 0, 1, 1, 10))
	store(t, s, passes(1, 0, 1, 13, 14))
	store(t, s, passes(2, 1, 21, 21, 22))
	store(t, s, passes(3, 1, 16, 16, 16))
	checkTable(
		t, path, "SELECT epoch, floor, last, stored_above, missing FROM completeness ORDER BY epoch",
		[]string{"0100000000000000", "10", "20", "2", "8"},
		[]string{"0200000000000000", "22", "22", "0", "0"},
		[]string{"0300000000000000", "16", "16", "0", "0"},
	)
	checkTable(t, path, "SELECT lane, parent, epochs, which FROM forks", []string{"history", "0100000000000000", "2", "0200000000000000 0300000000000000"})
	m, err := s.Marks(t.Context(), "north-7")
	if err != nil {
		t.Fatal(err)
	}
	var missing []string
	for _, r := range m.Missing() {
		missing = append(missing, fmt.Sprintf("%s %s %d-%d", r.Lane, r.Epoch, r.First, r.Last))
	}
	want := []string{"history 0100000000000000 11-12", "history 0100000000000000 15-20"}
	if d := cmp.Diff(want, missing); d != "" {
		t.Error(d)
	}
}

func TestAStrangeDatabaseIsRefused(t *testing.T) {
	dir := t.TempDir()
	text := filepath.Join(dir, "text")
	if err := os.WriteFile(text, []byte("this is not a database, whatever its name says, and it is long enough to be looked at"), 0o600); err != nil {
		t.Fatal(err)
	}
	foreign, newer := filepath.Join(dir, "foreign"), filepath.Join(dir, "newer")
	for path, ddl := range map[string]string{foreign: "CREATE TABLE x (y)", newer: "PRAGMA user_version = 99"} {
		db, err := sql.Open("sqlite", "file:"+path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := db.ExecContext(t.Context(), ddl); err != nil {
			t.Fatal(err)
		}
		db.Close()
	}
	for _, path := range []string{text, foreign, newer, filepath.Join(dir, "no", "such", "directory")} {
		if s, err := sqlite.Open(t.Context(), path); err == nil {
			s.Close()
			t.Errorf("%s was opened", path)
		}
		if v, err := sqlite.OpenView(t.Context(), path); err == nil {
			v.Close()
			t.Errorf("%s was opened as a view", path)
		}
	}
}

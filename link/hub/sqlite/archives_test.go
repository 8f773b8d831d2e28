package sqlite_test

import (
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"skyhaul/bufferstore"
	"skyhaul/edge/point"
	"skyhaul/link/batch"
	"skyhaul/link/hub/sqlite"
)

func layout(t testing.TB, fields ...string) point.Layout {
	t.Helper()
	l, err := point.ParseLayout(fields)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// hour is the n-th record of an hourly archive; edit is added to its volume.
func hour(t testing.TB, n, edit byte) *point.Archive {
	return &point.Archive{
		Stamp: point.Stamp{Boot: 2, Boottime: 5 * time.Second, Wall: 1772420000000, BoundExp: 4},
		ID:    900, Source: "meter 1", Name: "hourly", Index: uint32(n), Zone: "Etc/GMT+7", DayStart: 9 * time.Hour,
		Time:   time.Date(2026, 3, 1, int(n), 0, 0, 0, time.UTC).UnixMilli(),
		Layout: layout(t, "hour uint16", "volume uint32:CDAB m3", "flags uint16 bits 0=open 15=alarm"),
		Raw:    []byte{0, n, 0, 100 + edit, 0, 1, 0x80, 2},
	}
}

// custody is a batch of records in lane custody from first on.
func custody(first bufferstore.Seq, recs ...[]byte) *batch.Batch {
	b := &batch.Batch{
		Header: batch.Header{Lane: point.Custody, Epoch: epoch(1), Opening: &batch.Opening{First: 1}},
		First:  first, Last: first + bufferstore.Seq(len(recs)) - 1,
	}
	for i, rec := range recs {
		s := first + bufferstore.Seq(i)
		b.Records = append(b.Records, bufferstore.Record{Epoch: b.Epoch, First: s, Last: s, Data: rec})
	}
	return b
}

func TestArchiveRecordsHaveRows(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hub.db")
	s := open(t, path)
	event := hour(t, 3, 0)
	event.ID, event.Name, event.Kind, event.Index = 901, "events", point.Events, 1
	event.TimeQuality, event.Time, event.Raw = point.MakeQuality(point.Bad, point.Clock), 0, event.Raw[:3]
	store(t, s, custody(1, hour(t, 1, 0).Append(nil), hour(t, 2, 0).Append(nil), event.Append(nil)))
	checkTable(
		t, path, `SELECT site, source, archive, kind, archive_id, idx, version, device_time, device_quality, zone, raw, repeated, read_at, time_quality,
			boot, boottime_ms, lane, epoch, seq FROM archive_records ORDER BY seq`,
		[]string{"north-7", "meter 1", "hourly", "periodic", "900", "1", "1", "2026-03-01T01:00:00.000Z", "good", "Etc/GMT+7", "0001006400018002", "0", "2026-03-02T02:53:20.000Z", "synced", "2", "5000", "custody", "0100000000000000", "1"},
		[]string{"north-7", "meter 1", "hourly", "periodic", "900", "2", "1", "2026-03-01T02:00:00.000Z", "good", "Etc/GMT+7", "0002006400018002", "0", "2026-03-02T02:53:20.000Z", "synced", "2", "5000", "custody", "0100000000000000", "2"},
		[]string{"north-7", "meter 1", "events", "events", "901", "1", "1", "null", "bad", "Etc/GMT+7", "000300", "0", "2026-03-02T02:53:20.000Z", "synced", "2", "5000", "custody", "0100000000000000", "3"},
	)
	checkTable(
		t, path, "SELECT archive, idx, field, value, unit, set_bits, type, raw FROM archive_values ORDER BY seq, field",
		[]string{"hourly", "1", "flags", "32770", "bits", "1 alarm", "uint16", "32770"},
		[]string{"hourly", "1", "hour", "1", "", "", "uint16", "1"},
		[]string{"hourly", "1", "volume", "65636", "m3", "", "uint32", "65636"},
		[]string{"hourly", "2", "flags", "32770", "bits", "1 alarm", "uint16", "32770"},
		[]string{"hourly", "2", "hour", "2", "", "", "uint16", "2"},
		[]string{"hourly", "2", "volume", "65636", "m3", "", "uint32", "65636"},
		[]string{"events", "1", "hour", "3", "", "", "uint16", "3"},
	)
	checkTable(t, path, "SELECT count(*), count(DISTINCT layout) FROM archive", []string{"2", "1"})
	checkTable(t, path, "SELECT count(*) FROM opaque", []string{"0"})
}

func TestArchiveRecordThatWasHarvestedTwiceIsThereOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hub.db")
	s := open(t, path)
	again := hour(t, 1, 0)
	again.Stamp.Boot, again.Source = 3, "renamed"
	store(t, s, custody(1, hour(t, 1, 0).Append(nil)))
	store(t, s, custody(2, again.Append(nil), hour(t, 2, 0).Append(nil)))
	store(t, s, custody(2, again.Append(nil), hour(t, 2, 0).Append(nil))) // the batch came twice: the marks know it
	checkTable(t, path, "SELECT source, idx, version, repeated, seq FROM archive_records ORDER BY seq", []string{"meter 1", "1", "1", "1", "1"}, []string{"meter 1", "2", "1", "0", "3"})
	checkTable(t, path, "SELECT records, repeated FROM site", []string{"2", "3"})
	if _, err := s.Store(t.Context(), "south-1", custody(1, hour(t, 1, 0).Append(nil))); err != nil {
		t.Fatal(err)
	}
	checkTable(t, path, "SELECT site, repeated FROM archive_records WHERE idx = 1 ORDER BY site", []string{"north-7", "1"}, []string{"south-1", "0"})
}

func TestEditedArchiveRecordIsAFurtherVersion(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hub.db")
	s := open(t, path)
	next := hour(t, 1, 0) // a ring later
	next.Time += 35 * 24 * time.Hour.Milliseconds()
	next.Raw[2] = 9
	store(t, s, custody(1, hour(t, 1, 0).Append(nil), hour(t, 1, 7).Append(nil), next.Append(nil), hour(t, 1, 9).Append(nil)))
	checkTable(
		t, path, "SELECT raw, version FROM archive_records ORDER BY seq",
		[]string{"0001006400018002", "1"}, []string{"0001006B00018002", "2"}, []string{"0001096400018002", "1"}, []string{"0001006D00018002", "3"},
	)
}

func TestADatabaseOfVersion3ReadsItsArchivesAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hub.db")
	ddl, err := os.ReadFile("testdata/version3.sql")
	if err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", "file:"+path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	rows := `
		INSERT INTO site (id, site, at, first_heard_ms) VALUES (1, 'south-1', 5, 5), (2, 'north-7', 5, 5);
		INSERT INTO epoch VALUES (1, 2, 'custody', '0100000000000000', '0000000000000000', 1, 3, 0, 0);
		INSERT INTO quality VALUES (0, 'good', '');
		INSERT INTO time_quality VALUES (0, 'synced');
		INSERT INTO opaque VALUES (1, 1, 5, ?, 77), (1, 2, 5, x'0501', 77), (1, 3, 3, x'03', 77);`
	if _, err := db.ExecContext(t.Context(), string(ddl)); err != nil {
		t.Fatal(err)
	}
	if _, err := db.ExecContext(t.Context(), rows, hour(t, 1, 0).Append(nil)); err != nil {
		t.Fatal(err)
	}
	s := open(t, path)
	store(t, s, custody(4, hour(t, 1, 0).Append(nil), hour(t, 2, 0).Append(nil)))
	checkTable(
		t, path, "SELECT site, idx, repeated, seq, received_at FROM archive_records WHERE idx = 1",
		[]string{"north-7", "1", "1", "1", "1970-01-01T00:00:00.077Z"},
	)
	checkTable(t, path, "SELECT seq, kind FROM opaque ORDER BY seq", []string{"2", "5"}, []string{"3", "3"})
	fresh := filepath.Join(t.TempDir(), "fresh.db")
	open(t, fresh)
	checkTable(t, path, structure, table(t, fresh, structure)...)
}

func TestArchivesComeBackAsTheyWere(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hub.db")
	s := open(t, path)
	event := hour(t, 3, 0)
	event.ID, event.Kind, event.TimeQuality, event.Time, event.Layout = 901, point.Events, point.MakeQuality(point.Bad, point.Clock), 0, nil
	event.Stamp.BoundExp = point.UnknownBound
	want := [][]byte{hour(t, 1, 0).Append(nil), hour(t, 1, 5).Append(nil), hour(t, 2, 0).Append(nil), event.Append(nil)}
	store(t, s, custody(1, want[2], want[0], want[3], want[1], want[1]))
	v, err := sqlite.OpenView(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	var got [][]byte
	var how []string
	for r, err := range v.Archives(t.Context(), sqlite.Query{Site: "north-7"}) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, r.Append(nil))
		how = append(how, fmt.Sprint(r.Lane, r.Epoch, r.Seq, r.Version, r.Repeated))
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{"custody 0100000000000000 2 1 0", "custody 0100000000000000 4 2 1", "custody 0100000000000000 1 1 0", "custody 0100000000000000 3 1 0"}, how); d != "" {
		t.Error(d)
	}
}

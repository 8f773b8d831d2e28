package sqlite_test

import (
	"database/sql"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"skyhaul/bufferstore"
	"skyhaul/edge/point"
	"skyhaul/link/batch"
	"skyhaul/link/hub/sqlite"
)

// minute is a batch in lane trend with the summary of the scans 1 to 59.
func minute(t *testing.T) *batch.Batch {
	t.Helper()
	m := point.NewSummary(pressures, time.Minute, point.Weighted)
	for n := range uint64(59) {
		var sc point.Scan
		if err := sc.Decode(scan(pressures, n+1), pressures); err != nil {
			t.Fatal(err)
		}
		sc.Quality[1] = point.MakeQuality(point.Bad, point.SensorFailure)
		m.Add(&sc)
	}
	b := &batch.Batch{
		Header: batch.Header{Lane: point.Trend, Epoch: epoch(1), Opening: &batch.Opening{First: 1}}, First: 1, Last: 1, Schemas: m.Schemas(),
	}
	b.Records = []bufferstore.Record{{Epoch: b.Epoch, First: 1, Last: 1, Data: m.Records()[0]}}
	return b
}

func TestSummariesAreNotTakenForReadings(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hub.db")
	s := open(t, path)
	store(t, s, passes(1, 0, 1, 100, 100))
	store(t, s, minute(t))
	checkTable(
		t, path, "SELECT tag, seq, value FROM readings WHERE point_id = 7", []string{"PT-101", "100", "30"},
	)
	checkTable(
		t, path, "SELECT lane, point_id, tag, statistic, interval_ms, round(value, 3), unit, quality, reason, boottime_ms FROM summaries WHERE point_id IN (7, 8)",
		[]string{"trend", "7", "PT-101.count.1m", "count", "60000", "59", "", "good", "", "1000"},
		[]string{"trend", "7", "PT-101.min.1m", "min", "60000", "-0.69", "bar", "good", "", "1000"},
		[]string{"trend", "7", "PT-101.mean.1m", "mean", "60000", "8.3", "bar", "good", "", "1000"},
		[]string{"trend", "7", "PT-101.max.1m", "max", "60000", "17.29", "bar", "good", "", "1000"},
		[]string{"trend", "8", "PT-102.count.1m", "count", "60000", "0", "", "good", "", "1000"},
		[]string{"trend", "8", "PT-102.min.1m", "min", "60000", "19.667", "bar", "bad", "sensor failure", "1000"},
		[]string{"trend", "8", "PT-102.mean.1m", "mean", "60000", "19.667", "bar", "bad", "sensor failure", "1000"},
		[]string{"trend", "8", "PT-102.max.1m", "max", "60000", "19.667", "bar", "bad", "sensor failure", "1000"},
	)
	checkTable(t, path, "SELECT tag FROM point_versions WHERE point_id = 7", []string{"PT-101"})
	checkTable(t, path, "SELECT records, readings FROM site", []string{"2", "3"})
}

func TestExportNamesTheStatistic(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hub.db")
	store(t, open(t, path), minute(t))
	v, err := sqlite.OpenView(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	var tags []string
	for r, err := range v.Readings(t.Context(), sqlite.Query{Site: "north-7"}) {
		if err != nil {
			t.Fatal(err)
		}
		tags = append(tags, r.Column.Tag)
		if r.Column.Tag == "XS-1.mean.1m" && (r.Column.Statistic != point.Mean || math.Abs(r.Value-30./59) > 1e-6) {
			t.Errorf("%+v", r)
		}
	}
	if len(tags) != 12 || tags[10] != "XS-1.mean.1m" {
		t.Errorf("got %q", tags)
	}
}

// structure tells what tables and views a database has.
const structure = `SELECT m.name, c.name, c.type, c."notnull", c.pk FROM sqlite_schema m, pragma_table_info(m.name) c WHERE m.type IN ('table', 'view') ORDER BY m.name, c.cid`

func TestADatabaseOfVersion1IsUpgraded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hub.db")
	ddl, err := os.ReadFile("testdata/version1.sql")
	if err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", "file:"+path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	rows := `
		INSERT INTO site (id, site, at, first_heard_ms) VALUES (1, 'north-7', 5, 5);
		INSERT INTO epoch VALUES (1, 1, 'history', '0100000000000000', '0000000000000000', 1, 1, 0, 0);
		INSERT INTO quality VALUES (0, 'good', '');
		INSERT INTO time_quality VALUES (0, 'synced');
		INSERT INTO schema VALUES (1, 1, ?, 'pressures', ?, 1, 1);
		INSERT INTO point VALUES (1, 0, 7, 'PT-101', '', 'bar', 'uint16', 1.0, 0.0, 2);
		INSERT INTO scan VALUES (1, 1, 1, 1, 1000, 1700000000000, 0, 3, 5);
		INSERT INTO reading VALUES (1, 1, 0, 40, 40.0, 0);`
	if _, err := db.ExecContext(t.Context(), string(ddl)); err != nil {
		t.Fatal(err)
	}
	if _, err := db.ExecContext(t.Context(), rows, pressures.ID().String(), pressures.Append(nil)); err != nil {
		t.Fatal(err)
	}
	s := open(t, path)
	store(t, s, passes(1, 0, 1, 2, 2))
	store(t, s, minute(t))
	checkTable(t, path, "SELECT seq, tag, value FROM readings WHERE point_id = 7", []string{"1", "PT-101", "40"}, []string{"2", "PT-101", "-0.38"})
	checkTable(t, path, "SELECT count(*) FROM summaries WHERE point_id = 7", []string{"4"})
	fresh := filepath.Join(t.TempDir(), "fresh.db")
	open(t, fresh)
	checkTable(t, path, structure, table(t, fresh, structure)...)
}

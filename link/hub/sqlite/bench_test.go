package sqlite_test

import (
	"fmt"
	"path/filepath"
	"testing"

	"skyhaul/bufferstore"
	"skyhaul/edge/point"
	"skyhaul/link/batch"
)

// BenchmarkStore stores batches of one minute of 100 points at 1 Hz.
func BenchmarkStore(b *testing.B) {
	s := open(b, filepath.Join(b.TempDir(), "hub.db"))
	sc := &point.Schema{Group: "all"}
	for i := range point.ID(100) {
		sc.Columns = append(sc.Columns, point.Column{ID: i + 1, Tag: fmt.Sprintf("PT-%d", i), Type: point.Float32, Scale: point.NoScale})
	}
	const scans = 60
	next := bufferstore.Seq(1)
	bt := &batch.Batch{Header: batch.Header{Lane: point.History, Epoch: epoch(1), Opening: &batch.Opening{First: 1}}, Schemas: []*point.Schema{sc}}
	for b.Loop() {
		bt.First, bt.Records = next, bt.Records[:0]
		for range scans {
			bt.Records = append(bt.Records, bufferstore.Record{First: next, Last: next, Data: scan(sc, uint64(next))})
			next++
		}
		bt.Last = next - 1
		store(b, s, bt)
	}
	b.ReportMetric(float64(b.N*scans*len(sc.Columns))/b.Elapsed().Seconds(), "readings/s")
}

package sqlite

import (
	"path/filepath"
	"testing"
)

func TestACommitIsFlushedToDisk(t *testing.T) {
	s, err := Open(t.Context(), filepath.Join(t.TempDir(), "hub.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var journal string
	var synchronous, full int
	full = 2
	if err := s.conn.QueryRowContext(t.Context(), "PRAGMA journal_mode").Scan(&journal); err != nil {
		t.Fatal(err)
	}
	if err := s.conn.QueryRowContext(t.Context(), "PRAGMA synchronous").Scan(&synchronous); err != nil {
		t.Fatal(err)
	}
	if journal != "wal" || synchronous != full {
		t.Errorf("journal mode %s, synchronous %d; want wal and %d: an ack means durable", journal, synchronous, full)
	}
}

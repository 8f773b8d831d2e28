//go:build !(386 || arm || mips || mipsle)

package bufferstore

import (
	"os"
	"path/filepath"
	"testing"

	"skyhaul/bufferstore/faultfs"
)

// What one opening finds on the disk and a later one doesn't. The disk is served by
// the process that uses it here, which therefore must not map its files: hence the
// plain engine.

// afterCut cuts the power of a disk that a store uses and opens what is left.
func (d *disk) afterCut(s *Store, seed int64) *Store {
	d.t.Helper()
	must(d.t, d.Cut(seed))
	_ = s.Close() // it was killed
	dir := d.t.TempDir()
	must(d.t, d.Mount(dir))
	return mustOpen(d.t, filepath.Join(dir, filepath.Base(d.dir)), s.options, plainEngine{})
}

// wantUndamaged checks that a lane has lost nothing up to end.
func wantUndamaged(t *testing.T, l *Lane, end Seq) {
	t.Helper()
	if got := l.Durable(); got < end {
		t.Errorf("durable to %d, want %d", got, end)
	}
	for r, err := range l.Records(1) {
		noErr(t, err)
		if r.Lost == Damaged {
			t.Errorf("%d to %d are damaged", r.First, r.Last)
		}
	}
}

// A kill between a write and its fdatasync leaves records that the next opening
// reads from the page cache. It makes them durable before newer ones.
func TestRecordsFoundInThePageCacheSurviveACut(t *testing.T) {
	for seed := range int64(4) {
		d := newDisk(t, faultfs.Options{})
		s := mustOpen(t, d.dir, small("a"), plainEngine{})
		s.Lane("a").Append([]byte("first"))
		mustSync(t, s)
		s.head.datasync = func(*os.File) error { return nil } // it was killed before
		for n := range Seq(12) {
			s.Lane("a").Append(noise(n, 4000))
			mustSync(t, s)
		}
		mustClose(t, s)

		s = mustOpen(t, d.dir, small("a"), plainEngine{})
		for n := range Seq(4) { // too much for the file of those
			s.Lane("a").Append(noise(n, 3900))
		}
		mustSync(t, s)
		s = d.afterCut(s, seed)
		wantUndamaged(t, s.Lane("a"), 17)
		mustClose(t, s)
	}
}

// A kill between the rename of a segment and the sync of the folder leaves a name
// that the next opening relies on. It makes that durable before the head forgets
// the records.
func TestSegmentFoundInThePageCacheSurvivesACut(t *testing.T) {
	for seed := range int64(4) {
		d := newDisk(t, faultfs.Options{Strict: true})
		s := mustOpen(t, d.dir, small("a"), plainEngine{})
		l := s.Lane("a")
		for s.head.last() == nil || s.head.fits(pageBytes) {
			l.Append(noise(l.last, 3500))
			mustSync(t, s)
		}
		g, err := s.build(l, l.current().head, 1)
		noErr(t, err)
		name := filepath.Join(s.segments(), segmentName("a", g.number))
		noErr(t, os.Rename(name, name+".new"))
		noErr(t, syncDir(s.segments()))
		noErr(t, os.Rename(name+".new", name))
		mustClose(t, s)

		s = mustOpen(t, d.dir, small("a"), plainEngine{})
		l = s.Lane("a")
		for s.head.latest < 3 {
			l.Append(noise(l.last, 3500))
			mustSync(t, s)
		}
		end := l.Durable()
		s = d.afterCut(s, seed)
		wantUndamaged(t, s.Lane("a"), end)
		mustClose(t, s)
	}
}

// A head file that can't be read at one opening may be at a later one. What it
// holds then must not mix with what was written meanwhile.
func TestHeadThatCanBeReadAgainBringsNothingBack(t *testing.T) {
	for nth := range 3 { // all fails to be read, all but the first file, the marks
		d := newDisk(t, faultfs.Options{})
		s := mustOpen(t, d.dir, small("a"), plainEngine{})
		l := s.Lane("a")
		for n := Seq(0); s.head.latest < 2 || n < 20; n++ {
			l.Append(noise(n, 3000))
			mustSync(t, s)
		}
		mustClose(t, s)
		must(t, d.Unmount())
		must(t, d.Mount(d.mount)) // nothing is in the page cache
		d.Fail(faultfs.Fault{Ops: faultfs.Read, Nth: nth + 1, Lasting: true})
		s = mustOpen(t, d.dir, small("a"), plainEngine{})
		if d.Stats().Failed == 0 {
			t.Fatal("all was read")
		}
		d.Heal()
		l = s.Lane("a")
		c := l.Cursor("x")
		for range 2 {
			l.Append([]byte("new"))
			mustSync(t, s)
			c.Ack(l.Durable())
		}
		mustSync(t, s)
		want, acked := contents(t, l, 1), c.Acked()
		mustClose(t, s)
		removeMarks(t, d.dir)
		s = mustOpen(t, d.dir, small("a"), plainEngine{})
		wantContents(t, s.Lane("a"), want...)
		if got := s.Lane("a").Cursor("x").Acked(); got != acked {
			t.Errorf("acked %d, want %d", got, acked)
		}
		mustClose(t, s)
	}
}

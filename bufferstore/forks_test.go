package bufferstore

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// bulk is what the tests below write: each record follows from its name.
var bulk = childLoads[2]

// work appends records to the named lanes, a head file or two of each, and maintains the store.
func work(t *testing.T, s *Store, names ...string) {
	t.Helper()
	for range 5 {
		for _, name := range names {
			l := s.Lane(name)
			for range 20 {
				l.Append(bulk.record(s.Epoch(), l.Append()+1))
			}
		}
		mustSync(t, s)
		s.maintain()
	}
}

// wantWhole wants every number of a lane up to end to be the record that was
// given it.
func wantWhole(t *testing.T, l *Lane, end Seq) []held {
	t.Helper()
	all := holdings(t, l)
	if Seq(len(all)) != end {
		t.Errorf("lane %s ends at %d, want %d", l.name, len(all), end)
	}
	for i, h := range all {
		if h.lost != Kept || h.data != string(bulk.record(h.epoch, Seq(i+1))) {
			t.Fatalf("lane %s: %d is %v", l.name, i+1, h)
		}
	}
	return all
}

func TestClonedStoreRunTwice(t *testing.T) {
	t.Parallel()
	dir, o := t.TempDir(), small("a", "b")
	s := mustOpen(t, dir, o, segmentEngine)
	work(t, s, "a", "b")
	parent := s.Epoch()
	mustClose(t, s)

	epochs := map[Epoch]bool{}
	for _, dir := range []string{dir, copyDir(t, dir)} {
		s := mustOpen(t, dir, o, segmentEngine)
		own := s.Epoch()
		epochs[own] = true
		work(t, s, "a", "b")
		mustClose(t, s)
		s = mustOpen(t, dir, o, segmentEngine)
		for _, l := range s.lanes {
			all := wantWhole(t, l, 200)
			sp := l.Spans()
			if len(sp) != 3 || sp[1] != (Span{Epoch: own, Parent: parent, First: 101, Last: 200}) || all[99].epoch != parent || all[100].epoch != own {
				t.Errorf("lane %s: spans %+v", l.name, sp)
			}
		}
		mustClose(t, s)
	}
	if len(epochs) != 2 {
		t.Error("the twins have one epoch")
	}
}

func TestOldImageRestored(t *testing.T) {
	t.Parallel()
	dir, o := t.TempDir(), small("a")
	s := mustOpen(t, dir, o, segmentEngine)
	work(t, s, "a")
	s.Lane("a").Cursor("hub").SetSent(50)
	mustSync(t, s)
	parent := s.Epoch()
	mustClose(t, s)
	image := copyDir(t, dir)

	spans := map[Epoch]Span{}
	for _, dir := range []string{dir, image} {
		for range 3 {
			s = mustOpen(t, dir, o, segmentEngine)
			work(t, s, "a")
			mustClose(t, s)
		}
		s = mustOpen(t, dir, o, segmentEngine)
		wantWhole(t, s.Lane("a"), 400)
		if c := s.Lane("a").Cursor("hub"); c.Sent() != 50 || c.Acked() != 0 {
			t.Errorf("the cursor has sent %d, acked %d", c.Sent(), c.Acked())
		}
		for _, sp := range s.Lane("a").Spans() {
			spans[sp.Epoch] = sp
		}
		mustClose(t, s)
	}
	forks := 0
	for _, sp := range spans {
		if sp.Parent == parent && sp.First == 101 {
			forks++
		}
	}
	if len(spans) != 1+3+1+3+1 || forks != 2 {
		t.Errorf("%d spans, %d of them fork off: %+v", len(spans), forks, spans)
	}
}

func TestConfigurationChanges(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, e engine) {
		dir, end := t.TempDir(), Seq(0)
		o := small("a", "b", "c")
		key := bytes.Repeat([]byte("k"), 32)
		for i, change := range []func(){
			func() {},
			func() { o.HeadBytes = 256 << 10 },
			func() { o.HeadBytes = 64 << 10 },
			func() { o.Quota = 64 << 20 },
			func() { o.Quota = 0 },
			func() { o.Lanes[0].Policy, o.Lanes[1].Policy = DropOldest, Thin },
			func() { o.Lanes[0].Retain, o.Lanes[2].Retain = time.Hour, time.Minute },
			func() { slices.Reverse(o.Lanes) },
			func() { o.MaxPending = 1 << 20 },
			func() { o.Codec = squeeze{} },
			func() { o.Key = key },
			func() { o.HeadBytes = 128 << 10 },
		} {
			change()
			s := mustOpen(t, dir, o, e)
			work(t, s, "a", "b", "c")
			mustClose(t, s)
			s = mustOpen(t, dir, o, e)
			end += 100
			for _, l := range s.lanes {
				wantWhole(t, l, end)
			}
			mustClose(t, s)
			if t.Failed() {
				t.Fatalf("after change %d", i)
			}
		}
	})
}

// What another codec has packed is not damaged.
func TestRecordsWaitForTheirCodec(t *testing.T) {
	t.Parallel()
	dir, o := t.TempDir(), small("a")
	o.Codec = squeeze{}
	s := mustOpen(t, dir, o, segmentEngine)
	work(t, s, "a")
	mustClose(t, s)

	o.Codec = nil
	s = mustOpen(t, dir, o, segmentEngine)
	work(t, s, "a")
	var failure error
	for r, err := range s.Lane("a").Records(1) {
		if failure = err; err == nil && r.Lost != Kept {
			t.Errorf("%+v", r)
		}
	}
	if failure == nil {
		t.Error("packed records were read without a codec")
	}
	s.maintain()
	mustClose(t, s)

	o.Codec = squeeze{}
	s = mustOpen(t, dir, o, segmentEngine)
	wantWhole(t, s.Lane("a"), 200)
	mustClose(t, s)
}

func TestLaneRenamedKeepsItsRecords(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, e engine) {
		dir := t.TempDir()
		s := mustOpen(t, dir, small("old", "b"), e)
		work(t, s, "old", "b")
		old := s.Lane("old")
		old.Append(bulk.record(s.Epoch(), 101)) // still in the head
		old.Cursor("hub").SetSent(7)
		mustSync(t, s)
		mustClose(t, s)

		for n := range 4 {
			s = mustOpen(t, dir, small("new", "b"), e)
			if s.Lane("old") != nil {
				t.Error("a lane that isn't named is handed out")
			}
			work(t, s, "new", "b")
			wantWhole(t, s.find("old"), 101)
			i := slices.IndexFunc(s.Stats().Lanes, func(l LaneStats) bool { return l.Name == "old" })
			if i < 0 || s.Stats().Lanes[i].Durable != 101 || s.Stats().Lanes[i].Cursors[0].Sent != 7 {
				t.Errorf("opening %d: stats %+v", n, s.Stats().Lanes)
			}
			mustClose(t, s)
			v, err := OpenView(dir, Options{})
			if err != nil {
				t.Fatal(err)
			}
			count := 0
			for r, err := range v.Records("old", 1) {
				if count++; err != nil || !bytes.Equal(r.Data, bulk.record(r.Epoch, r.First)) {
					t.Fatalf("view: %+v, %v", r, err)
				}
			}
			if count != 101 {
				t.Errorf("a view shows %d records", count)
			}
		}
		s = mustOpen(t, dir, small("new", "old"), e)
		old = s.Lane("old")
		if got := old.Append(bulk.record(s.Epoch(), 102)); got != 102 {
			t.Errorf("named again it goes on with %d", got)
		}
		mustSync(t, s)
		wantWhole(t, old, 102)
		wantWhole(t, s.Lane("new"), 400)
		wantWhole(t, s.find("b"), 500)
		if c := old.Cursor("hub"); c.Sent() != 7 || c.Acked() != 0 {
			t.Errorf("the cursor has sent %d, acked %d", c.Sent(), c.Acked())
		}
		mustClose(t, s)
	})
}

// reversion makes all frames of the head those of another version.
func reversion(t *testing.T, dir string, version byte) {
	for _, name := range headNames[:headFiles] {
		rewrite(func(b []byte) []byte {
			for fr := range frames(b) {
				b[fr.at+11] = version
				binary.BigEndian.PutUint32(b[fr.at:], crc32.Checksum(b[fr.at+4:fr.end], castagnoli))
			}
			return b
		})(t, filepath.Join(dir, name))
	}
}

func TestDowngradeByOneVersion(t *testing.T) {
	t.Parallel()
	dir, o := t.TempDir(), small("a")
	s := mustOpen(t, dir, o, segmentEngine)
	work(t, s, "a")
	parent := s.Epoch()
	mustClose(t, s)
	reversion(t, dir, headVersion+1)
	before := contentsOf(t, filepath.Join(dir, segmentsDir))
	if _, err := OpenView(dir, Options{}); err == nil {
		t.Error("a view shows what a newer version has written")
	}

	var aside string
	for n := range 2 { // the older program
		s = mustOpen(t, dir, o, segmentEngine)
		work(t, s, "a")
		all := holdings(t, s.Lane("a"))
		for i, h := range all {
			if i < 100 && (h.lost != Damaged || h.epoch != parent) || i >= 100 && (h.lost != Kept || h.epoch == parent) {
				t.Fatalf("%d is %v", i+1, h)
			}
		}
		q := s.Stats().Quarantined
		if len(all) != 200+100*n || len(q) != 1 {
			t.Fatalf("%d numbers, set aside: %q", len(all), q)
		}
		aside = filepath.Join(dir, quarantineDir, q[0])
		mustClose(t, s)
	}

	if !maps.Equal(before, contentsOf(t, filepath.Join(aside, segmentsDir))) {
		t.Error("the segments that were set aside have changed")
	}
	reversion(t, aside, headVersion) // the newer program
	s = mustOpen(t, aside, o, segmentEngine)
	wantWhole(t, s.Lane("a"), 100)
	mustClose(t, s)
	s = mustOpen(t, dir, o, segmentEngine)
	for i, h := range holdings(t, s.Lane("a"))[100:] {
		if h.lost != Kept {
			t.Errorf("%d is %v", i+101, h)
		}
	}
	mustClose(t, s)
}

// contentsOf returns the files beneath dir.
func contentsOf(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, name := range filesOf(t, dir) {
		b, err := os.ReadFile(filepath.Join(dir, name))
		noErr(t, err)
		all[name] = string(b)
	}
	return all
}

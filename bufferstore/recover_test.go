package bufferstore

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A segment whose name was not durable for certain stays behind where it can't be
// taken away again, and its records go into the next one.
func TestSegmentThatTheHeadKnowsOutranksALeftover(t *testing.T) {
	f := newFound()
	f.state.end = 49
	known := segment{number: 2, first: 1, last: 49}
	leftover := present{segment{number: 1, first: 1, last: 40}, []extent{{first: 1, last: 40}}}
	useless := f.adopt([]present{leftover, {segment: known}})
	if len(f.state.segments) != 1 || f.state.segments[0] != known {
		t.Errorf("adopted %+v", f.state.segments)
	}
	if diff := cmp.Diff([]uint64{1}, useless); diff != "" {
		t.Errorf("without use: %s", diff)
	}
}

func TestSegmentThatWasGivenUpBeforeACutIsRemovedAfterIt(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	o := lanes("a")
	o.HeadBytes = 64 << 10
	s := mustOpen(t, dir, o, segmentEngine)
	l := s.Lane("a")
	for range 100 {
		l.Append(make([]byte, 2000))
		mustSync(t, s)
		s.maintain()
	}
	before := len(names(t, s.segments()))
	l.Cursor("hub").Ack(l.Durable())
	if err := s.locked(s.retain); err != nil { // but no sweep
		t.Fatal(err)
	}
	mustClose(t, s)

	s = mustOpen(t, dir, o, segmentEngine)
	defer mustClose(t, s)
	s.maintain()
	if after := names(t, s.segments()); before == 0 || len(after) != 0 {
		t.Errorf("%d segments, and then %q", before, after)
	}
}

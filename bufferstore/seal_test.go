package bufferstore

import (
	"slices"
	"testing"
)

// After a failed write, or for want of space, older records may lie in a younger
// file of the head than newer ones. The file of these is wanted back as well.
func TestRecordBehindOnesThatWereWrittenOnceMoreIsSealed(t *testing.T) {
	s := mustOpen(t, t.TempDir(), lanes("a"), segmentEngine)
	defer mustClose(t, s)
	l := s.Lane("a")
	l.Append([]byte("1"), []byte("2"), []byte("3"))
	mustSync(t, s)
	st := *l.current()
	st.head = slices.Clone(st.head)
	for i, generation := range []uint32{5, 4, 5} {
		st.head[i].generation = generation
	}
	l.state = &st
	s.head.last().generation, s.head.latest = 5, 5
	if got := s.ripe()[l]; len(got) != 2 {
		t.Errorf("%d records are to be sealed, want 2", len(got))
	}
}

package archive

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"skyhaul/edge/point"
)

func TestStatesComeBack(t *testing.T) {
	r := ringState{
		begun: true, newest: 48, when: reading{local: -5, utc: 1772000000000, quality: point.MakeQuality(point.Uncertain, point.Clock)},
		seen: map[uint16]digest{1: {1, 2}, 300: {255}, 65535: {}},
	}
	var gotRing ringState
	if err := gotRing.parse(r.append(nil)); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(r, gotRing, cmp.AllowUnexported(ringState{}, reading{})); d != "" {
		t.Error(d)
	}
	j := journalState{next: 1 << 31, pending: []digest{{1}, {2}}}
	var gotJournal journalState
	if err := gotJournal.parse(j.append(nil)); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(j, gotJournal, cmp.AllowUnexported(journalState{})); d != "" {
		t.Error(d)
	}
}

func FuzzState(f *testing.F) {
	r := ringState{begun: true, newest: 3, seen: map[uint16]digest{1: {1}, 2: {}}}
	f.Add(r.append(nil))
	f.Add((&journalState{next: 7, pending: []digest{{9}}}).append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		var r, r2 ringState
		if r.parse(b) == nil && (r2.parse(r.append(nil)) != nil || !cmp.Equal(r, r2, cmp.AllowUnexported(ringState{}, reading{}))) {
			t.Errorf("% x", b)
		}
		var j, j2 journalState
		if j.parse(b) == nil && (j2.parse(j.append(nil)) != nil || j.next != j2.next || !slices.Equal(j.pending, j2.pending)) {
			t.Errorf("% x", b)
		}
	})
}

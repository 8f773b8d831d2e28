package bufferstore

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// scans are record events of groups that change little from one to the next.
func scans(rng *rand.Rand, n int) (all []event) {
	data := make([][]byte, 3)
	for g := range data {
		data[g] = append([]byte(fmt.Sprintf("group %d  ", g)), make([]byte, 200)...)
	}
	for i := range n {
		d := data[i%3]
		d[9+rng.IntN(200)]++
		body := appendU64(append(appendText(nil, "history"), make([]byte, 8)...), uint64(i+1))
		all = append(all, event{kindRecord, append(body, d...)})
	}
	return all
}

func unpackEvents(t *testing.T, events []event) (all []event) {
	t.Helper()
	for _, e := range events {
		if e.kind != kindPacked {
			all = append(all, e)
			continue
		}
		if err := unpackRecords(e.body, func(b []byte) { all = append(all, event{kindRecord, bytes.Clone(b)}) }); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

func TestPackGivesTheRecordsBack(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{0, 1, 2, 10, 50, 1000} {
		want := scans(rng, n)
		if n > 20 { // among others, and of other lengths
			want[7] = event{kindGap, []byte("gap")}
			want[11].body = append(want[11].body, 1, 2, 3)
			want[12].body = want[12].body[:20]
			want[13].body = nil
			want[14].body = bytes.Repeat(want[14].body, 5)
		}
		got := pack(append([]event(nil), want...))
		if diff := cmp.Diff(want, unpackEvents(t, got), cmp.AllowUnexported(event{}), cmp.Comparer(bytes.Equal)); diff != "" {
			t.Errorf("%d events:\n%s", n, diff)
		}
		small, all := commitCost(got), commitCost(want)
		if n >= 50 && small > all/4 || n < 20 && small != all {
			t.Errorf("%d events of %d bytes take %d packed", n, all, small)
		}
	}
}

func FuzzUnpackRecords(f *testing.F) {
	rng := rand.New(rand.NewPCG(1, 2))
	f.Add(packed(scans(rng, 30), 8000)[0].body)
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		n := 0
		_ = unpackRecords(b, func(rec []byte) { n += len(rec) })
		if n > 2*packBytes+MaxRecord {
			t.Errorf("%d bytes of %d", n, len(b))
		}
	})
}

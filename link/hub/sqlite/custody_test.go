package sqlite_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"skyhaul/bufferstore"
	"skyhaul/edge/point"
	"skyhaul/link/batch"
	"skyhaul/link/hub"
	"skyhaul/link/hub/sqlite"
)

// life is a lane as a site has it: epochs one after the other, with gaps.
type life struct {
	records []bufferstore.Record
	opening map[bufferstore.Epoch]batch.Opening
}

func newLife(rng *rand.Rand, n int) *life {
	l := &life{opening: make(map[bufferstore.Epoch]batch.Opening)}
	var now byte
	for next := bufferstore.Seq(1); len(l.records) < n; {
		if now == 0 || rng.IntN(60) == 0 {
			o := batch.Opening{First: next}
			if now > 0 {
				o.Parent = epoch(now)
			}
			now++
			l.opening[epoch(now)] = o
		}
		r := bufferstore.Record{Epoch: epoch(now), First: next, Last: next, Data: scan(pressures, uint64(next))}
		if rng.IntN(12) == 0 {
			r = bufferstore.Record{Epoch: epoch(now), First: next, Last: next + bufferstore.Seq(rng.IntN(5)), Lost: bufferstore.Damaged}
		}
		l.records = append(l.records, r)
		next = r.Last + 1
	}
	return l
}

// batch cuts n records from the i-th on, or fewer where the epoch ends.
func (l *life) batch(i, n int) *batch.Batch {
	r := l.records[i]
	b := &batch.Batch{Header: batch.Header{Lane: point.History, Epoch: r.Epoch}, First: r.First, Schemas: []*point.Schema{pressures}}
	o := l.opening[r.Epoch]
	b.Opening = &o
	for ; n > 0 && i < len(l.records) && l.records[i].Epoch == b.Epoch; i, n = i+1, n-1 {
		b.Records = append(b.Records, l.records[i])
		b.Last = l.records[i].Last
	}
	return b
}

func TestRepeatedReorderedAndOverlappingBatchesAreStoredExactlyOnce(t *testing.T) {
	for seed := range uint64(4) {
		rng := rand.New(rand.NewPCG(seed, 7))
		l := newLife(rng, 100)
		path := filepath.Join(t.TempDir(), "hub.db")
		sinks := []*sqlite.Sink{open(t, path), open(t, path)} // two hubs share the file
		for _, i := range rng.Perm(len(l.records)) {
			store(t, sinks[rng.IntN(2)], l.batch(i, 1+rng.IntN(15)))
		}
		l.check(t, path, sinks[0])
	}
}

// check compares what the database holds with the whole life.
func (l *life) check(t *testing.T, path string, s *sqlite.Sink) {
	t.Helper()
	var scans, gaps [][]string
	for _, r := range l.records {
		e := r.Epoch.String()
		if r.Lost == bufferstore.Kept {
			scans = append(scans, []string{e, fmt.Sprint(r.First), fmt.Sprint(r.First * 31)})
			continue
		}
		gaps = append(gaps, []string{e, fmt.Sprint(r.First), fmt.Sprint(r.Last)})
	}
	checkTable(t, path, "SELECT epoch, seq, raw FROM readings WHERE point_id = 7 ORDER BY seq", scans...)
	checkTable(t, path, "SELECT epoch, first, last FROM gaps ORDER BY first", gaps...)
	m, err := s.Marks(t.Context(), "north-7")
	if err != nil {
		t.Fatal(err)
	}
	last := l.records[len(l.records)-1]
	want := []batch.LaneAck{{Lane: point.History, Epoch: last.Epoch, Floor: last.Last, Whole: true}}
	if d := cmp.Diff(want, m.Ack().Lanes, cmpopts.EquateEmpty()); d != "" {
		t.Errorf("the ack of all: %s", d)
	}
}

func TestHubsThatShareAFileDoNotStoreTwice(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hub.db")
	l := newLife(rand.New(rand.NewPCG(1, 1)), 150)
	var wg sync.WaitGroup
	errs := make(chan error, 2)
	for h := range 2 {
		s := open(t, path)
		wg.Go(func() {
			for i := range len(l.records) / 5 {
				if _, err := s.Store(context.Background(), "north-7", l.batch((i*5+h*3)%len(l.records), 8)); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		t.Fatal(err)
	}
	s := open(t, path)
	for i := range l.records {
		store(t, s, l.batch(i, 1))
	}
	l.check(t, path, s)
}

func TestAHubRestoredFromABackupAsksForWhatItLost(t *testing.T) {
	dir := t.TempDir()
	path, backup := filepath.Join(dir, "hub.db"), filepath.Join(dir, "backup.db")
	l := newLife(rand.New(rand.NewPCG(3, 3)), 150)
	s, err := sqlite.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	copied := false
	for i := 0; i < len(l.records); i += 10 {
		if i >= len(l.records)/3 && !copied {
			s.Close()
			copyFile(t, path, backup)
			if s, err = sqlite.Open(t.Context(), path); err != nil {
				t.Fatal(err)
			}
			copied = true
		}
		store(t, s, l.batch(i, 10))
	}
	s.Close()
	copyFile(t, backup, path)

	s = open(t, path)
	last := len(l.records) - 1
	b := l.batch(last, 1)
	b.Acked = b.First - 1
	m := store(t, s, b)
	answered := 0
	for ; answered < 100 && len(wanted(m)) > 0; answered++ {
		m = l.answer(t, s, wanted(m)[0], b.Acked)
	}
	if answered == 0 {
		t.Error("nothing was asked for")
	}
	l.check(t, path, s)
}

func wanted(m hub.Marks) (all []batch.Range) {
	for _, a := range m.Ack().Lanes {
		all = append(all, a.Wanted...)
	}
	return all
}

// answer sends the records of a wanted range, in whichever epochs they are.
func (l *life) answer(t *testing.T, s *sqlite.Sink, r batch.Range, acked bufferstore.Seq) (m hub.Marks) {
	t.Helper()
	for i, rec := range l.records {
		if rec.Last >= r.First && rec.First <= r.Last {
			b := l.batch(i, 1)
			b.Acked = acked
			m = store(t, s, b)
		}
	}
	return m
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	p, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, p, 0o600); err != nil {
		t.Fatal(err)
	}
}

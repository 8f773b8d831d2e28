package bufferstore

import (
	"bytes"
	"cmp"
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"
)

var (
	places    = flag.Int("places", 0, "places at which TestDamageMatrix damages each file of a store, each way; zero is one in one file of each kind")
	showTolls = flag.Bool("tolls", false, "have TestDamageMatrix print what damage costs")
)

// relic is a closed store that has had all that a store may have, and what is known of it.
type relic struct {
	dir     string
	o       Options
	e       engine
	holds   map[string][]held // by lane: each number from 1 on
	acked   map[string]Seq
	sealed  map[string]Seq       // by lane: up to here the records are in segments
	carried map[string][]carrier // by file
}

// held is what a store holds at a number: a record, or nothing for a reason.
type held struct {
	epoch Epoch
	data  string
	lost  Reason
}

func (h held) String() string { return fmt.Sprintf("%v of %v, %.20q", h.lost, h.epoch, h.data) }

// carrier is a run of bytes whose damage costs the records in it, and no others.
type carrier struct {
	at, end     int // bytes
	lane        string
	first, last Seq
}

// newRelic makes a store with the lane old, which isn't named any more, gaps,
// cursors, segments and records in two files of the head.
func newRelic(t *testing.T, e engine, key []byte) *relic {
	r := &relic{
		dir: t.TempDir(), e: e, holds: map[string][]held{}, acked: map[string]Seq{}, sealed: map[string]Seq{}, carried: map[string][]carrier{},
		o: small("alarm", "bulk", "history"),
	}
	r.o.Key = key
	rng, load := rand.New(rand.NewPCG(1, 2)), childLoads[2]
	fill := func(s *Store, syncs int) {
		for range syncs {
			for i, l := range s.lanes[:s.named] {
				for range []int{1, 4, 9, 2}[i] {
					l.Append(load.record(s.Epoch(), l.Append()+1))
				}
			}
			mustSync(t, s)
		}
	}
	for n, names := range [][]string{{"alarm", "bulk", "history", "old"}, {"alarm", "bulk", "history"}, {"alarm", "bulk", "history"}} {
		o := r.o
		o.Lanes = lanes(names...).Lanes
		s := mustOpen(t, r.dir, o, e)
		new(card).attach(s)
		bulk, history := s.Lane("bulk"), s.Lane("history")
		for range 2 {
			fill(s, 6)
			bulk.Append(make([]byte, MaxRecord+1))
			bulk.Cursor("hub").Ack(bulk.Durable() - Seq(10+rng.IntN(20)))
			s.Lane("alarm").Cursor("hub").Ack(Seq(n))
			history.Drop(Seq(20*n+rng.IntN(9)), Thinned)
			mustSync(t, s)
			s.maintain()
		}
		for n == 2 && !(len(s.ripe()[history]) > 5 && len(history.current().head) > len(s.ripe()[history])+5) {
			fill(s, 1)
		}
		if n == 2 {
			r.learn(t, s)
		}
		mustClose(t, s)
	}
	r.find(t)
	return r
}

// learn notes what the store holds.
func (r *relic) learn(t *testing.T, s *Store) {
	for _, l := range s.lanes {
		r.holds[l.name] = holdings(t, l)
		for _, c := range l.cursors {
			r.acked[l.name] = c.saved.acked
		}
		if all := l.current().segments; len(all) > 0 {
			r.sealed[l.name] = all[len(all)-1].last
		}
	}
	if len(s.lanes) != 4 || len(r.sealed) != 4 || s.head.bytes() != 2*r.o.HeadBytes {
		t.Fatalf("%d lanes, head of %d bytes", len(s.lanes), s.head.bytes())
	}
}

// holdings reads a whole lane, in order and without a hole.
func holdings(t *testing.T, l *Lane) (all []held) {
	t.Helper()
	end := l.Durable()
	for rec, err := range l.Records(1) {
		if err != nil || rec.First != Seq(len(all)+1) || rec.Last < rec.First || rec.Last > end {
			t.Fatalf("lane %s at %d of %d: %+v, %v", l.name, len(all)+1, end, rec, err)
		}
		for range rec.Last - rec.First + 1 {
			all = append(all, held{rec.Epoch, string(rec.Data), rec.Lost})
		}
	}
	if Seq(len(all)) != end {
		t.Fatalf("lane %s ends at %d, not %d", l.name, len(all), end)
	}
	return all
}

// find finds where in its files the records lie.
func (r *relic) find(t *testing.T) {
	headKey, _, err := keys(r.o.Key)
	noErr(t, err)
	for _, file := range filesOf(t, r.dir) {
		b, err := os.ReadFile(filepath.Join(r.dir, file))
		noErr(t, err)
		if strings.HasPrefix(file, "head-") {
			for fr := range frames(b) {
				body := fr.body
				if headKey != nil {
					body, err = headKey.Open(nil, nil, body, append(slices.Clone(fr.tag[:]), byte(fr.kind)))
					noErr(t, err)
				}
				m := &image{lanes: map[string]*found{}, records: map[string]map[Seq]named{}}
				m.apply(kind(byte(fr.kind)&^encryptedFrame), 1, fields{b: body})
				for lane, recs := range m.records {
					for seq := range recs {
						if seq > r.sealed[lane] { // else it is also in a segment, and may be overwritten here
							r.carried[file] = append(r.carried[file], carrier{fr.at, fr.end, lane, seq, seq})
						}
					}
				}
			}
		}
		if dir, _, ok := strings.Cut(strings.TrimPrefix(file, segmentsDir+"/"), "/"); ok {
			lane, _, _ := parseSegmentName(dir)
			scan(bytes.NewReader(b), int64(len(b)), lane, func(p place) {
				r.carried[file] = append(r.carried[file], carrier{int(p.offset), int(p.offset) + p.length, lane, p.first, p.last})
			})
		}
	}
}

// filesOf lists the files beneath dir.
func filesOf(t testing.TB, dir string) (all []string) {
	t.Helper()
	noErr(t, fs.WalkDir(os.DirFS(dir), ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			all = append(all, name)
		}
		return err
	}))
	return all
}

// left tells which records lie unhurt somewhere, where a file is left as it is in dir.
func (r *relic) left(t *testing.T, dir string) map[string]map[Seq]bool {
	all := map[string]map[Seq]bool{}
	for lane := range r.holds {
		all[lane] = map[Seq]bool{}
	}
	for file, carriers := range r.carried {
		was, err := os.ReadFile(filepath.Join(r.dir, file))
		noErr(t, err)
		now, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil {
			continue
		}
		for _, c := range carriers {
			if len(now) < c.end || !bytes.Equal(was[c.at:c.end], now[c.at:c.end]) {
				continue
			}
			for seq := c.first; seq <= c.last; seq++ {
				all[c.lane][seq] = true
			}
		}
	}
	return all
}

// hurts are the ways to damage a file of n bytes, some at seeded places.
func hurts(rng *rand.Rand, places int) []wound {
	all := []wound{
		{"deleted", func(t *testing.T, name string) { noErr(t, os.Remove(name)) }},
		{"emptied", rewrite(func([]byte) []byte { return nil })},
		{"cut to half", rewrite(func(b []byte) []byte { return b[:len(b)/2] })},
		{"cut by a page", rewrite(func(b []byte) []byte { return b[:max(0, len(b)-pageBytes)] })},
		{"a folder instead", func(t *testing.T, name string) {
			noErr(t, os.Remove(name))
			noErr(t, os.MkdirAll(filepath.Join(name, "folder"), 0o700))
		}},
	}
	for range places {
		at, bit := rng.Float64(), rng.Uint64()
		all = append(all, wound{"a page zeroed", rewrite(func(b []byte) []byte {
			page := int(at*float64(len(b))) &^ (pageBytes - 1)
			clear(b[page:min(page+pageBytes, len(b))])
			return b
		})}, wound{"a bit flipped", rewrite(func(b []byte) []byte {
			b[int(at*float64(len(b)))] ^= 1 << (bit % 8)
			return b
		})})
	}
	return all
}

// fileKind is what a file of a store is called in the table.
func fileKind(file string) string {
	file = strings.TrimPrefix(file, segmentsDir+"/")
	if _, name, ok := strings.Cut(file, "/"); ok {
		if strings.HasSuffix(name, ".sst") {
			name = "*.sst"
		}
		return "segment: " + name
	}
	return strings.TrimRight(file, "-0123456789")
}

// toll is what the table counts.
type toll struct{ kind, wound string }

// TestDamageMatrix damages each file of a store in each way, one at a time. The
// store opens, every record that wasn't hit is there, what was hit is declared,
// and that stays as it is through more work, the repair and the next opening.
func TestDamageMatrix(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, e engine) {
		t.Parallel()
		matrix(t, newRelic(t, e, nil), uint64(*places))
	})
}

func matrix(t *testing.T, r *relic, places uint64) {
	tolls := map[toll][]int{}
	all := filesOf(t, r.dir)
	slices.Reverse(all) // of the segments the youngest
	for i, file := range all {
		for n, w := range hurts(rand.New(rand.NewPCG(uint64(i), places)), max(1, int(places))) {
			if _, done := tolls[toll{fileKind(file), w.name}]; done && places == 0 {
				continue
			}
			r.try(t, fmt.Sprintf("%s %s %d", file, w.name, n), toll{fileKind(file), w.name}, tolls, func(t *testing.T, dir string) {
				w.do(t, filepath.Join(dir, file))
			})
		}
	}
	for n, w := range hurts(rand.New(rand.NewPCG(99, places)), max(1, int(places))) {
		r.try(t, fmt.Sprintf("both heads %s %d", w.name, n), toll{"head, both", w.name}, tolls, func(t *testing.T, dir string) {
			w.do(t, filepath.Join(dir, "head-0"))
			w.do(t, filepath.Join(dir, "head-1"))
		})
	}
	r.try(t, "both heads exchanged", toll{"head, both", "exchanged"}, tolls, func(t *testing.T, dir string) {
		noErr(t, os.Rename(filepath.Join(dir, "head-0"), filepath.Join(dir, "tmp")))
		noErr(t, os.Rename(filepath.Join(dir, "head-1"), filepath.Join(dir, "head-0")))
		noErr(t, os.Rename(filepath.Join(dir, "tmp"), filepath.Join(dir, "head-1")))
	})
	r.try(t, "no head and no lists", toll{"head, both, and all lists", "deleted"}, tolls, func(t *testing.T, dir string) {
		for _, file := range all {
			if strings.HasPrefix(file, "head-") || filepath.Base(file) == sealedName {
				noErr(t, os.Remove(filepath.Join(dir, file)))
			}
		}
	})
	for i, from := range headNames[:headFiles] {
		r.try(t, from+" copied over the other", toll{"head", "a copy of the other"}, tolls, func(t *testing.T, dir string) {
			b, err := os.ReadFile(filepath.Join(dir, from))
			noErr(t, err)
			noErr(t, os.WriteFile(filepath.Join(dir, headNames[1-i]), b, 0o600))
		})
	}
	for _, name := range append([]string{"."}, names(t, filepath.Join(r.dir, segmentsDir))...) {
		kind, folder := "segment", filepath.Join(segmentsDir, name)
		if name == "." {
			kind = "all segments"
		}
		if _, done := tolls[toll{kind, "deleted"}]; done && places == 0 {
			continue
		}
		r.try(t, folder+" deleted", toll{kind, "deleted"}, tolls, func(t *testing.T, dir string) {
			noErr(t, os.RemoveAll(filepath.Join(dir, folder)))
		})
		r.try(t, folder+" a file instead", toll{kind, "a file instead"}, tolls, func(t *testing.T, dir string) {
			noErr(t, os.RemoveAll(filepath.Join(dir, folder)))
			noErr(t, os.WriteFile(filepath.Join(dir, folder), []byte("file"), 0o600))
		})
	}
	if *showTolls {
		t.Logf("of %d records:\n%s", r.count(), tabulate(tolls))
	}
}

func (r *relic) count() (n int) {
	for _, all := range r.holds {
		for _, h := range all {
			if h.lost == Kept {
				n++
			}
		}
	}
	return n
}

// tabulate lists how many records each kind of damage has cost, the least and the most.
func tabulate(tolls map[toll][]int) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, k := range slices.SortedFunc(maps.Keys(tolls), func(a, b toll) int {
		return cmp.Or(cmp.Compare(a.kind, b.kind), cmp.Compare(a.wound, b.wound))
	}) {
		fmt.Fprintf(w, "%s\t%s\t%d to %d lost\tin %d cases\n", k.kind, k.wound, slices.Min(tolls[k]), slices.Max(tolls[k]), len(tolls[k]))
	}
	_ = w.Flush() // into memory
	return b.String()
}

// try damages a copy of the relic and checks what comes of it.
func (r *relic) try(t *testing.T, what string, k toll, tolls map[toll][]int, damage func(t *testing.T, dir string)) {
	dir := copyDir(t, r.dir)
	damage(t, dir)
	left := r.left(t, dir)
	seen := r.view(t, what, dir)
	s, err := open(dir, r.o, r.e)
	if err != nil {
		t.Errorf("%s: %v", what, err)
		return
	}
	new(card).attach(s)
	first, lost := r.check(t, what, s, left, strings.HasPrefix(k.kind, "head"))
	tolls[k] = append(tolls[k], lost)
	for name, want := range first {
		if !slices.Equal(want, seen[name]) {
			t.Errorf("%s: a view of %s shows %d numbers, or others than the %d that are there", what, name, len(seen[name]), len(want))
		}
	}

	added := map[string]Seq{}
	for range 6 {
		for _, l := range s.lanes[:s.named] {
			added[l.name] = l.Append([]byte(strings.Repeat("n", 9000)))
		}
		if err := s.Sync(t.Context()); err != nil {
			t.Errorf("%s: sync: %v", what, err)
		}
	}
	s.maintain()
	if s.running.count > 0 {
		t.Errorf("%s: the repair fails", what)
	}
	r.again(t, what+", after its repair", s, first, added)
	mustClose(t, s)
	s = mustOpen(t, dir, r.o, r.e)
	new(card).attach(s)
	r.again(t, what+", after the next opening", s, first, added)
	mustClose(t, s)
	noErr(t, os.RemoveAll(dir))
}

// view looks into a damaged store and changes nothing.
func (r *relic) view(t *testing.T, what, dir string) map[string][]held {
	t.Helper()
	before := stampsOf(t, dir)
	v, err := OpenView(dir, r.o)
	if err != nil {
		t.Errorf("%s: %v", what, err)
		return nil
	}
	seen := map[string][]held{}
	for _, l := range v.s.lanes {
		seen[l.name] = holdings(t, l)
	}
	if !maps.Equal(before, stampsOf(t, dir)) {
		t.Errorf("%s: a view has changed the store", what)
	}
	return seen
}

// check reads a damaged store. It returns what it holds and how many records are gone.
func (r *relic) check(t *testing.T, what string, s *Store, left map[string]map[Seq]bool, headHurt bool) (map[string][]held, int) {
	t.Helper()
	got, lost := map[string][]held{}, 0
	for name, want := range r.holds {
		l := s.find(name)
		if l == nil {
			t.Errorf("%s: lane %s is gone", what, name)
			continue
		}
		got[name] = holdings(t, l)
		if len(got[name]) != len(want) {
			t.Errorf("%s: lane %s ends at %d, not %d", what, name, len(got[name]), len(want))
		}
		for i, now := range got[name][:min(len(got[name]), len(want))] {
			was, seq := want[i], Seq(i+1)
			switch {
			case now == was:
			case was.lost == Kept && now.lost == Damaged && now.epoch == was.epoch && !left[name][seq]:
				lost++
			case was.lost != Kept && headHurt && (now.lost == Damaged || now.lost == Expired):
			default:
				t.Errorf("%s: %s %d: %v, was %v, unhurt %t", what, name, seq, now, was, left[name][seq])
				return got, lost
			}
		}
		for _, c := range l.cursors {
			if c.saved.acked > r.acked[name] || !headHurt && c.saved.acked != r.acked[name] {
				t.Errorf("%s: %s: the cursor is at %d, was at %d", what, name, c.saved.acked, r.acked[name])
			}
		}
	}
	return got, lost
}

// again reads a store and compares it with an earlier reading, beyond which
// records have been added up to added.
func (r *relic) again(t *testing.T, what string, s *Store, first map[string][]held, added map[string]Seq) {
	t.Helper()
	for name, want := range first {
		l := s.find(name)
		if l == nil {
			t.Errorf("%s: lane %s is gone", what, name)
			continue
		}
		got := holdings(t, l)
		for i, now := range got {
			switch {
			case i < len(want) && now == want[i]:
			case i >= len(want) && now.lost == Kept && strings.Trim(now.data, "n") == "" && Seq(i) < added[name]:
			case i < len(want) && now.lost == Expired && Seq(i+1) <= r.acked[name]:
			default:
				was := held{}
				if i < len(want) {
					was = want[i]
				}
				t.Errorf("%s: %s %d: %v, was %v", what, name, i+1, now, was)
				return
			}
		}
		if len(s.damaged) > 0 {
			t.Errorf("%s: still damaged: %v", what, s.damaged)
		}
		if Seq(len(got)) != max(added[name], Seq(len(want))) {
			t.Errorf("%s: lane %s ends at %d, not %d", what, name, len(got), added[name])
		}
	}
}

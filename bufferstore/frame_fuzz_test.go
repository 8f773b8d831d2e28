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

	"github.com/google/go-cmp/cmp"
)

// script makes events of any bytes: kind, generation and length of a body, which follows.
func script(data []byte) (all []event, generations []uint32) {
	for len(data) >= 4 {
		n := min(int(binary.BigEndian.Uint16(data[2:])), len(data)-4)
		all = append(all, event{kind(data[0]), data[4 : 4+n]})
		generations = append(generations, uint32(data[1]))
		data = data[4+n:]
	}
	return all, generations
}

// scripted is what script reads as events of a generation.
func scripted(generation byte, all ...event) (b []byte) {
	for _, e := range all {
		b = append(b, byte(e.kind), generation)
		b = append(binary.BigEndian.AppendUint16(b, uint16(len(e.body))), e.body...)
	}
	return b
}

// usual are the events of a store's life.
func usual() []event {
	e, n := Epoch{1}, Epoch{2}
	f := newFound()
	f.state.first, f.state.end, f.state.next = 3, 20, 3
	f.spans = []span{{e, Epoch{}, 1}, {n, e, 10}}
	f.state.gaps = []gap{{3, 4, Evicted}, {5, 6, Thinned}, {12, 12, TooLarge}}
	f.state.segments = []segment{{number: 1, first: 7, last: 9, age: 5, bytes: 4096, chunks: 1}, {number: 2, first: 10, last: 15, age: 6, bytes: 8192, chunks: 2}}
	f.cursors["hub"] = marks{sent: 9, acked: 8, maxAge: time.Hour, maxBytes: 1 << 20}
	rec := func(seq uint64, data string) event {
		return event{kindRecord, append(appendU64(append(appendText(nil, "a"), n[:]...), seq), data...)}
	}
	recs := []event{rec(16, "p"), rec(17, "q"), rec(18, "r")}
	return append([]event{
		ageEvent(time.Minute),
		{kindCheckpoint, appendCheckpoint(nil, time.Minute, map[string]*found{"a": f, "b": newFound()})},
		{kindGap, appendGapBody(appendText(nil, "a"), gap{19, 20, Refused})},
		{kindCut, append(appendU64(appendText(nil, "a"), 8, 5), byte(Evicted))},
		{kindCursor, appendMarks(appendText(appendText(nil, "a"), "side"), marks{sent: 30, acked: 12})},
		{kindNoCursor, appendText(appendText(nil, "a"), "hub")},
		{kindSealed, appendSegment(appendText(nil, "a"), segment{number: 3, first: 16, last: 18, age: 7, bytes: 4096, chunks: 1})},
		rec(21, "newer"), rec(40, "behind a hole"),
	}, append(recs, packed(recs, 1<<10)...)...)
}

func scripts(f *testing.F) {
	all := usual()
	for _, c := range disorderly() {
		f.Add(scripted(1, event{kindCheckpoint, c}))
		f.Add(scripted(1, append([]event{{kindCheckpoint, c}}, all[2:]...)...))
	}
	f.Add(scripted(1, all...))
	f.Add(scripted(1, all[2:]...))
	f.Add(append(scripted(2, all[1:6]...), scripted(1, all...)...))
	for _, e := range all {
		f.Add(scripted(3, e))
		f.Add(scripted(1, all[1], e, e))
	}
}

// disorderly are checkpoints that nobody writes.
func disorderly() (all [][]byte) {
	for _, change := range []func(f *found){
		func(f *found) { slices.Reverse(f.state.gaps) },
		func(f *found) { f.state.gaps[2] = f.state.gaps[1] },
		func(f *found) { f.state.gaps[2].last = 21 },
		func(f *found) { slices.Reverse(f.state.segments) },
		func(f *found) { f.state.segments[1].first = 8 },
		func(f *found) { f.state.segments[1].last = 21 },
		func(f *found) { f.state.segments[1].number = 3 },
		func(f *found) { slices.Reverse(f.spans) },
		func(f *found) { f.spans[1].first = 1 },
		func(f *found) { f.spans[1].first = 30 },
		func(f *found) { f.spans[1].first = 22 },
		func(f *found) { f.state.first = 22 },
		func(f *found) { f.state.first = 0 },
		func(f *found) { f.state.end = 0 },
		func(f *found) { f.cursors["hub"] = marks{sent: 3, acked: 30} },
	} {
		_, lanes, _ := decodeCheckpoint(usual()[1].body)
		change(lanes["a"])
		all = append(all, appendCheckpoint(nil, 0, lanes))
	}
	return all
}

// Behind a damaged place every intact frame is found, and none that nobody wrote.
func FuzzFrames(f *testing.F) {
	all := scripted(1, usual()...)
	f.Add(all, uint16(0), uint16(1), byte(1))
	f.Add(all, uint16(100), uint16(300), byte(0xff))
	f.Add(append(all, scripted(1, event{'R', []byte("SKHSKH\x01SKH\x01\x00\x00\x00\x01")})...), uint16(470), uint16(4), byte(7))
	f.Fuzz(func(t *testing.T, data []byte, at, n uint16, with byte) {
		events, generations := script(data)
		var b []byte
		var want []frame
		for i, e := range events {
			e.kind &^= encryptedFrame
			start, tag := len(b), newTag(generations[i])
			b = appendFrame(b, tag, e, nil)
			want = append(want, frame{start, len(b), tag, e.kind, e.body})
		}
		check := func(want []frame) {
			t.Helper()
			got := slices.Collect(frames(b))
			if diff := cmp.Diff(append([]frame{}, want...), append([]frame{}, got...), cmp.AllowUnexported(frame{}), cmp.Transformer("text", func(b []byte) string { return string(b) })); diff != "" {
				t.Error(diff)
			}
		}
		check(want)
		from := min(int(at), len(b))
		to := min(from+int(n), len(b))
		for i := from; i < to; i++ {
			b[i] ^= with
		}
		if with != 0 {
			check(slices.DeleteFunc(want, func(fr frame) bool { return from < to && fr.at < to && from < fr.end }))
		}
	})
}

// sound fails where a lane breaks what all others rely on.
func (f *found) sound(t *testing.T) {
	t.Helper()
	st := &f.state
	if st.first < 1 || st.first > st.end+1 || st.end > maxSeq {
		t.Fatalf("first %d, end %d", st.first, st.end)
	}
	for i, g := range st.gaps {
		if g.first < 1 || g.last < g.first || g.last > st.end || i > 0 && g.first <= st.gaps[i-1].last {
			t.Fatalf("gaps to %d: %+v", st.end, st.gaps)
		}
	}
	next := Seq(1)
	for _, g := range st.segments {
		if g.first < next || g.last < g.first || g.last > st.end || g.number >= st.next {
			t.Fatalf("segments to %d, next %d: %+v", st.end, st.next, st.segments)
		}
		next = g.last + 1
	}
	for _, k := range st.head {
		if k.seq < next || k.seq < st.first || k.seq > st.end {
			t.Fatalf("head: %d from %d to %d", k.seq, max(next, st.first), st.end)
		}
		next = k.seq + 1
	}
	for i, sp := range f.spans {
		if i > 0 && sp.first < f.spans[i-1].first {
			t.Fatalf("spans: %+v", f.spans)
		}
	}
	for name, c := range f.cursors {
		if c.acked > c.sent || c.sent > st.end {
			t.Fatalf("cursor %s to %d: %+v", name, st.end, c)
		}
	}
	steps := 0
	for pos := Seq(1); pos <= st.end; steps++ {
		p := st.at(pos)
		if p.last < pos || p.last > st.end || steps > 4*(len(st.gaps)+len(st.segments)+len(st.head)+2) {
			t.Fatalf("at %d to %d: %+v", pos, st.end, p)
		}
		pos = p.last + 1
	}
}

// Whatever frames say, each lane ends up in order.
func FuzzReplay(f *testing.F) {
	scripts(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		var all []frame
		events, generations := script(data)
		for i, e := range events {
			all = append(all, frame{tag: newTag(generations[i]), kind: e.kind &^ encryptedFrame, body: e.body})
		}
		m, err := replay(all, func(fr frame) ([]byte, error) { return fr.body, nil })
		noErr(t, err)
		for name, lane := range m.lanes {
			var there []present
			for i, g := range lane.state.segments {
				if i%3 < 2 {
					there = append(there, present{segment: g})
				}
			}
			lane.settle(there, m.records[name])
			lane.sound(t)
		}
	})
}

func FuzzCheckpoint(f *testing.F) {
	f.Add(usual()[1].body)
	f.Add(appendCheckpoint(nil, 0, nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		age, all, ok := decodeCheckpoint(b)
		if !ok {
			return
		}
		again, same, ok := decodeCheckpoint(appendCheckpoint(nil, age, all))
		if !ok || again != age || !bytes.Equal(appendCheckpoint(nil, age, all), appendCheckpoint(nil, again, same)) {
			t.Errorf("%t, %v and %v", ok, age, again)
		}
	})
}

func FuzzMarks(f *testing.F) {
	_, all, _ := decodeCheckpoint(usual()[1].body)
	f.Add(encodeMarks(7, all)[12:])
	f.Add(encodeMarks(1, nil)[12:])
	f.Fuzz(func(t *testing.T, body []byte) {
		decodeMarks(body)
		n, all, ok := decodeMarks(marked(body))
		if !ok {
			return
		}
		m, again, ok := decodeMarks(encodeMarks(n, all))
		if !ok || m != n || !bytes.Equal(encodeMarks(n, all), encodeMarks(m, again)) {
			t.Errorf("%t, %d and %d", ok, n, m)
		}
	})
}

// marked makes a body that is intact as a file of marks.
func marked(body []byte) []byte {
	b := append(encodeMarks(0, nil)[:12:12], body...)
	binary.BigEndian.PutUint32(b[8:], uint32(len(body)))
	binary.BigEndian.PutUint32(b[4:], crc32.Checksum(body, castagnoli))
	return b
}

// Whatever the files of the head and the marks hold, a store opens, reads, and takes records.
func FuzzOpen(f *testing.F) {
	_, all, _ := decodeCheckpoint(usual()[1].body)
	known := encodeMarks(7, all)
	f.Add(scripted(1, usual()...), scripted(2, usual()[3:]...), known, false)
	f.Add(scripted(2, usual()[1:]...), []byte{}, known, true)
	f.Add([]byte{}, []byte{}, known, false)
	f.Fuzz(func(t *testing.T, head0, head1, body []byte, raw bool) {
		dir := t.TempDir()
		for i, b := range [][]byte{head0, head1} {
			if !raw {
				b = encoded(b)
			}
			noErr(t, os.WriteFile(filepath.Join(dir, headNames[i]), b, 0o600))
		}
		if !raw && len(body) > 12 {
			body = marked(body[12:])
		}
		noErr(t, os.WriteFile(filepath.Join(dir, "marks-0"), body, 0o600))
		s := mustOpen(t, dir, small("a", "z"), plainEngine{})
		new(card).attach(s)
		for _, l := range s.lanes {
			(&found{*l.state, l.spans, nil}).sound(t)
			tail(t, l)
		}
		l := s.Lane("a")
		end := l.Durable()
		for range 3 {
			l.Append([]byte("new"))
		}
		mustSync(t, s)
		s.maintain() // which may give up what a cursor that is made up doesn't hold
		was := map[string]Seq{}
		for _, l := range s.lanes {
			was[l.name] = tail(t, l)
		}
		mustClose(t, s)

		s = mustOpen(t, dir, small("a", "z"), plainEngine{})
		got := map[string]Seq{}
		for _, l := range s.lanes {
			got[l.name] = tail(t, l)
		}
		if s.Lane("a").Durable() != end+3 || !maps.Equal(was, got) {
			t.Errorf("read %v, after the next opening %v", was, got)
		}
		mustClose(t, s)
	})
}

// encoded makes a file of the head of any bytes.
func encoded(data []byte) (b []byte) {
	events, generations := script(data)
	for i, e := range events {
		e.kind &^= encryptedFrame
		b = appendFrame(b, newTag(generations[i]), e, nil)
	}
	return b
}

// tail reads the last thousand numbers of a lane and returns how many of them are records.
func tail(t *testing.T, l *Lane) (n Seq) {
	t.Helper()
	end := l.Durable()
	next := max(1, end-min(end, 1000))
	for rec, err := range l.Records(next) {
		if err != nil || rec.First != next || rec.Last < rec.First || rec.Last > end {
			t.Fatalf("lane %s at %d of %d: %+v, %v", l.name, next, end, rec, err)
		}
		if rec.Lost == Kept {
			n++
		}
		next = rec.Last + 1
	}
	if next != end+1 {
		t.Fatalf("lane %s was read to %d, not %d", l.name, next-1, end)
	}
	return n
}

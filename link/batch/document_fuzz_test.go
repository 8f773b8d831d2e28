package batch

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// sealed puts a right MAC under anything, so that the fuzzer gets past it.
func sealed(t *testing.T, content []byte, kind byte) []byte {
	p, err := Key{}.seal(append([]byte{documentVersion}, content...), kind, "fuzz")
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// FuzzParseAck: whatever is read, is written and read again as the same.
func FuzzParseAck(f *testing.F) {
	a := Ack{At: 9, Lanes: []LaneAck{{Lane: 6, Floor: 5, Fresh: true, Stored: []Range{{7, 8}, {10, 11}}, Wanted: []Range{{1, 2}}}, {Lane: 1, Whole: true, Chain: true}}}
	p, err := a.Marshal(Key{}, "fuzz")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(p[1 : len(p)-macSize])
	f.Fuzz(func(t *testing.T, content []byte) {
		a, err := ParseAck(sealed(t, content, documentAck), Key{}, "fuzz")
		if err != nil {
			return
		}
		p, err := a.Marshal(Key{}, "fuzz")
		if err != nil {
			t.Fatal(err)
		}
		if again, err := ParseAck(p, Key{}, "fuzz"); err != nil || !cmp.Equal(a, again) {
			t.Fatalf("%v: %s", err, cmp.Diff(a, again))
		}
	})
}

// FuzzParseDown: whatever is read, is written and read again as the same.
func FuzzParseDown(f *testing.F) {
	d := Down{At: 9, Commands: []Command{{ID: 1, Deadline: 99, Body: []byte("ab")}}}
	p, err := d.Marshal(Key{}, "fuzz")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(p[1 : len(p)-macSize])
	f.Fuzz(func(t *testing.T, content []byte) {
		d, err := ParseDown(sealed(t, content, documentDown), Key{}, "fuzz")
		if err != nil {
			return
		}
		p, err := d.Marshal(Key{}, "fuzz")
		if err != nil {
			t.Fatal(err)
		}
		if again, err := ParseDown(p, Key{}, "fuzz"); err != nil || !cmp.Equal(d, again) {
			t.Fatalf("%v: %s", err, cmp.Diff(d, again))
		}
	})
}

// FuzzParseState: whatever is read, is written and read again as the same.
func FuzzParseState(f *testing.F) {
	f.Add(State{Online: true, Next: time.Hour}.Marshal()[1:])
	f.Fuzz(func(t *testing.T, content []byte) {
		s, err := ParseState(append([]byte{documentVersion}, content...))
		if err != nil {
			return
		}
		if again, err := ParseState(s.Marshal()); err != nil || again != s {
			t.Fatalf("%+v, %v; want %+v", again, err, s)
		}
	})
}

package model

import (
	"bytes"
	"encoding/hex"
	"flag"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
)

var update = flag.Bool("update", false, "write the golden stream anew")

var kinds = []Column{
	{Unsigned, 1},
	{Unsigned, 8},
	{Unsigned, 16},
	{Unsigned, 32},
	{Unsigned, 64},
	{Signed, 8},
	{Signed, 16},
	{Signed, 32},
	{Signed, 64},
	{Float, 32},
	{Float, 64},
}

// sorts is how many sorts of sources there are.
const sorts = 11

// series returns n values of a column as a source of some sort gives them.
func series(r *rand.Rand, c Column, sort, n int) []uint64 {
	values := make([]uint64, n)
	phase, walk, bias := r.IntN(100), 0, float32(0)
	// In integers until the last, so that all architectures get the same.
	noise := func() int { return r.IntN(2001) + r.IntN(2001) - 2000 }
	wave := func(i int) int { return max((i+phase)%200-100, 100-(i+phase)%200) }
	for i := range values {
		walk += noise()
		x := 0.0
		switch sort {
		case 0: // random bits
			values[i] = r.Uint64() >> (64 - c.Width)
			continue
		case 1: // a counter
			x = float64(i*17 + 1e6)
		case 2: // a random walk
			x = float64(walk) / 1024
		case 3: // a wave and noise, in decimals
			x = float64(20000+50*wave(i)+noise()/10) / 1000
		case 4: // counts of a converter, scaled
			x = float64(wave(i)+noise()/1000) * 0.0244
		case 5: // seldom changes
			x = float64(i / 97 * 5)
		case 6: // not numbers among numbers
			if x = float64(walk) / 1000; r.IntN(10) == 0 {
				x = [...]float64{math.NaN(), math.Inf(1), math.Copysign(0, -1), 5e-324, math.MaxFloat64}[r.IntN(5)]
			}
		case 7: // small multiples, the ends of the range now and then
			if x = float64(r.IntN(4) * 25); r.IntN(20) == 0 {
				values[i] = [...]uint64{0, 1, 1 << (c.Width - 1), 1<<(c.Width-1) - 1, 1<<c.Width - 1}[r.IntN(5)]
				continue
			}
		case 8: // always the same
			x = 42
		case 9: // steps of 1/256, rounded to decimals
			x = float64((wave(i)*4+noise()/200)*1000/256) / 1000
		case 10: // counts less a bias that follows them
			y := float32(float32(wave(i)/4+noise()/100)*0.0003054) - bias
			if i%7 != 0 {
				y -= float32(y * 0.01)
				bias += float32(y * 0.01010101)
			}
			x = float64(y)
		}
		switch {
		case c.Kind == Float:
			values[i] = c.rounded(x)
		default:
			values[i] = c.raw(nearest(x))
		}
	}
	return values
}

// sample is rows of all kinds of columns and what of them is skipped.
func sample(seed uint64, columns []Column, n int) (rows [][]uint64, skips [][]bool) {
	r := rand.New(rand.NewPCG(seed, 1))
	rows, skips = make([][]uint64, n), make([][]bool, n)
	often := r.IntN(3) * 10
	for i := range rows {
		rows[i], skips[i] = make([]uint64, len(columns)), make([]bool, len(columns))
	}
	for j, c := range columns {
		for i, v := range series(r, c, (int(seed)+j)%sorts, n) {
			if skips[i][j] = often > 0 && r.IntN(often) == 0; !skips[i][j] {
				rows[i][j] = v
			}
		}
	}
	return rows, skips
}

func encode(t *Table, rows [][]uint64, skips [][]bool) []byte {
	var c Coder
	c.Encode(nil)
	for i := range rows {
		t.Row(&c, slices.Clone(rows[i]), skips[i])
	}
	return c.Finish()
}

func check(t *testing.T, m *Table, b []byte, rows [][]uint64, skips [][]bool) {
	t.Helper()
	var c Coder
	c.Decode(b)
	got := make([]uint64, len(m.columns))
	for i := range rows {
		m.Row(&c, got, skips[i])
		for j := range got {
			if got[j] != rows[i][j] {
				t.Fatalf("row %d column %d: %x, want %x", i, j, got[j], rows[i][j])
			}
		}
	}
	if c.Bad() {
		t.Error("a whole stream is called bad")
	}
}

func TestRowsComeBack(t *testing.T) {
	for seed := range uint64(30) {
		rows, skips := sample(seed, kinds, 1500)
		o := Options{Slots: []uint8{0, 6, 16}[seed%3]}
		w, r := NewTable(kinds, o), NewTable(kinds, o)
		for at := 0; at < len(rows); at += 500 {
			b := encode(w, rows[at:at+500], skips[at:at+500])
			check(t, r, b, rows[at:at+500], skips[at:at+500])
		}
		if !bytes.Equal(w.Append(nil), r.Append(nil)) {
			t.Fatalf("seed %d: the ends have learnt different things", seed)
		}
	}
}

func TestNoSkipIsNoneSkipped(t *testing.T) {
	rows, _ := sample(2, kinds, 100)
	all := make([][]bool, len(rows))
	none := slices.Repeat([][]bool{make([]bool, len(kinds))}, len(rows))
	if !bytes.Equal(encode(NewTable(kinds, Options{}), rows, all), encode(NewTable(kinds, Options{}), rows, none)) {
		t.Error("nil and all false differ")
	}
}

func TestSkippedCellsAreZeroAndTeachNothing(t *testing.T) {
	columns := []Column{{Unsigned, 16}, {Unsigned, 16}}
	a, b := NewTable(columns, Options{}), NewTable(columns, Options{})
	var c Coder
	c.Encode(nil)
	for i := range uint64(50) {
		a.Row(&c, []uint64{i, i * i}, []bool{false, i%3 == 0})
	}
	stream := c.Finish()
	c.Decode(stream)
	for i := range uint64(50) {
		got := []uint64{7, 7}
		b.Row(&c, got, []bool{false, i%3 == 0})
		if want := i * i; i%3 == 0 && got[1] != 0 || i%3 != 0 && got[1] != want {
			t.Fatalf("row %d: %d", i, got[1])
		}
	}
	c.Encode(nil)
	before := a.Append(nil)
	a.Row(&c, []uint64{1, 2}, []bool{true, true})
	if !bytes.Equal(before, a.Append(nil)) || len(c.Finish()) != 0 {
		t.Error("a row of skipped cells was coded or learnt")
	}
}

func TestCloneIsOnItsOwn(t *testing.T) {
	rows, skips := sample(3, kinds, 900)
	a := NewTable(kinds, Options{})
	encode(a, rows[:300], skips[:300])
	state := a.Append(nil)
	b := a.Clone()
	encode(b, rows[300:600], skips[300:600])
	if !bytes.Equal(state, a.Append(nil)) {
		t.Fatal("the table learnt what its clone did")
	}
	stream := encode(a, rows[600:], skips[600:])
	r, rest, err := ParseTable(kinds, Options{}, state)
	if err != nil || len(rest) != 0 {
		t.Fatal(err, len(rest))
	}
	check(t, r, stream, rows[600:], skips[600:])
}

func TestSnapshotGoesOnWithIdenticalBytes(t *testing.T) {
	for seed := range uint64(6) {
		rows, skips := sample(seed, kinds, 1200)
		w := NewTable(kinds, Options{})
		for at := 0; at < len(rows); at += 100 {
			b := w.Append([]byte("before"))
			r, rest, err := ParseTable(kinds, Options{}, append(b[6:len(b):len(b)], "after"...))
			if err != nil || string(rest) != "after" {
				t.Fatalf("row %d: %v, %q left", at, err, rest)
			}
			if !bytes.Equal(r.Append(nil), b[6:]) {
				t.Fatalf("row %d: a snapshot of the snapshot differs", at)
			}
			again := encode(r, rows[at:at+100], skips[at:at+100])
			if !bytes.Equal(again, encode(w, rows[at:at+100], skips[at:at+100])) {
				t.Fatalf("row %d: the bytes differ", at)
			}
		}
	}
}

func TestSnapshotsThatAreNoneAreErrors(t *testing.T) {
	rows, skips := sample(4, kinds, 60)
	w := NewTable(kinds, Options{})
	encode(w, rows, skips)
	b := w.Append(nil)
	for n := range len(b) {
		if n < 2000 || n%97 == 0 {
			if _, _, err := ParseTable(kinds, Options{}, b[:n]); err == nil {
				t.Fatalf("cut to %d bytes of %d", n, len(b))
			}
		}
	}
	if _, _, err := ParseTable([]Column{{Unsigned, 1}}, Options{}, []byte{1, 0, 2}); err == nil {
		t.Error("a value wider than its column")
	}
}

func TestColumnsThatNeverChangeCostNextToNothing(t *testing.T) {
	columns := slices.Repeat([]Column{{Float, 32}}, 5000)
	row := slices.Repeat([]uint64{0x41234567}, 5000)
	m := NewTable(columns, Options{})
	var c Coder
	c.Encode(nil)
	for range 200 {
		m.Row(&c, row, nil)
	}
	c.Finish()
	c.Encode(nil)
	for range 10 {
		m.Row(&c, row, nil)
	}
	if n := len(c.Finish()); n > 20 {
		t.Errorf("10 rows of 5000 columns that don't change take %d bytes", n)
	}
	if per := m.Size() / 5000; per > 64 {
		t.Errorf("%d bytes of memory a column", per)
	}
	if per := len(m.Append(nil)) / 5000; per > 12 {
		t.Errorf("%d bytes of snapshot a column", per)
	}
}

func TestCutStreamsAreBad(t *testing.T) {
	rows, skips := sample(5, kinds, 300)
	b := encode(NewTable(kinds, Options{}), rows, skips)
	for _, keep := range []int{0, 1, len(b) / 4, len(b) / 2} {
		var c Coder
		c.Decode(b[:keep])
		m, got := NewTable(kinds, Options{}), make([]uint64, len(kinds))
		for i := range rows {
			m.Row(&c, got, skips[i])
		}
		// What zeros decode to can be shorter than the rows were, so go on.
		for i := 0; i < 1000 && !c.Bad(); i++ {
			c.Bits(0, 64)
		}
		if !c.Bad() {
			t.Errorf("%d bytes of %d aren't called bad", keep, len(b))
		}
	}
}

// The golden stream holds the format still, here and on every architecture.
func TestGoldenStream(t *testing.T) {
	const path = "testdata/rows.hex"
	columns := slices.Concat(kinds, slices.Repeat([]Column{{Float, 32}}, sorts))
	rows, skips := sample(6, columns, 530)
	w := NewTable(columns, Options{})
	got := hex.AppendEncode(nil, encode(w, rows, skips))
	if *update {
		if err := os.WriteFile(path, append(got, '\n'), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if want = bytes.TrimSpace(want); !bytes.Equal(got, want) {
		t.Fatalf("%d bytes differ from the golden %d", len(got)/2, len(want)/2)
	}
	stream, err := hex.AppendDecode(nil, want)
	if err != nil {
		t.Fatal(err)
	}
	check(t, NewTable(columns, Options{}), stream, rows, skips)
	seen := map[form]bool{}
	for _, k := range w.columns {
		if k.model != nil {
			f := k.model.form
			seen[form{kind: f.kind, step: min(f.step, 1), drifts: f.drifts, leak: min(f.leak, 1)}] = true
		}
	}
	for _, f := range []form{
		{},
		{step: 1, drifts: true},
		{kind: formDecimal},
		{kind: formDecimal, step: 1},
		{kind: formBinary},

		{kind: formBinary, step: 1, drifts: true, leak: 1},
	} {
		if !seen[f] {
			t.Errorf("nothing of the golden stream has the form %+v", f)
		}
	}
}

func FuzzTable(f *testing.F) {
	rows, skips := sample(7, kinds, 60)
	w := NewTable(kinds, Options{Slots: 6})
	stream := encode(w, rows, skips)
	f.Add(stream, w.Append(nil))
	f.Add([]byte{}, []byte{})
	f.Add(bytes.Repeat([]byte{255}, 300), []byte{1})
	f.Fuzz(func(t *testing.T, stream, state []byte) {
		m := NewTable(kinds, Options{Slots: 6})
		if p, _, err := ParseTable(kinds, Options{Slots: 6}, state); err == nil {
			m = p
		}
		var c Coder
		c.Decode(stream)
		got := make([]uint64, len(kinds))
		for i := 0; i < 300 && !c.Bad(); i++ {
			m.Row(&c, got, nil)
			for j, k := range kinds {
				if got[j] != k.raw(k.ordered(got[j])) {
					t.Fatalf("column %d: %x has more bits than the column", j, got[j])
				}
			}
		}
		if limit := 1 << 20; m.Size() > limit {
			t.Fatalf("%d bytes of memory", m.Size())
		}
	})
}

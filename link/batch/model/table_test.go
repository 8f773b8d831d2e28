package model

import (
	"math/rand/v2"
	"testing"
)

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

func TestRandomRowsComeBack(t *testing.T) {
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 1))
		var rows [][]uint64
		var skips [][]bool
		for range 200 {
			row := make([]uint64, len(kinds))
			skip := make([]bool, len(kinds))
			for i, k := range kinds {
				skip[i] = r.IntN(5) == 0
				if !skip[i] {
					row[i] = r.Uint64() >> (64 - k.Width) >> r.IntN(int(k.Width))
				}
			}
			rows, skips = append(rows, row), append(skips, skip)
		}
		var c Coder
		w := NewTable(kinds, Options{})
		c.Encode(nil)
		for i := range rows {
			w.Row(&c, append([]uint64(nil), rows[i]...), skips[i])
		}
		b := c.Finish()
		c.Decode(b)
		rd := NewTable(kinds, Options{})
		for i := range rows {
			got := make([]uint64, len(kinds))
			rd.Row(&c, got, skips[i])
			for j := range got {
				if got[j] != rows[i][j] {
					t.Fatalf("seed %d row %d column %d: %x, want %x", seed, i, j, got[j], rows[i][j])
				}
			}
		}
		if c.Bad() {
			t.Error("a whole stream is called bad")
		}
	}
}

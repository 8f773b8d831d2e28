package batch

import (
	"math/bits"
	"slices"
)

// ranker finds the different values of a column, reusing its memory.
type ranker struct {
	palette []int64  // the values that occur, rising
	ranks   []uint64 // of each cell in the palette

	slots  []slot   // a hash table of a power of two
	places []uint32 // of each cell: its value's place in values
	values []int64  // in order of appearance
	order  []uint64 // the rank of each of them
}

// slot is a value and, from 1, its place in ranker.values; 0 is free.
type slot struct {
	value uint64
	place uint32
}

// rank ranks xs; false if there are more than limit different ones.
func (r *ranker) rank(xs []uint64, limit int) bool {
	if !r.number(xs, limit) {
		return false
	}
	r.palette = append(r.palette[:0], r.values...)
	slices.Sort(r.palette)
	r.order = resize(r.order, len(r.values))
	for i, v := range r.values {
		k, _ := slices.BinarySearch(r.palette, v)
		r.order[i] = uint64(k)
	}
	r.ranks = resize(r.ranks, len(xs))
	for i, k := range r.places {
		r.ranks[i] = r.order[k]
	}
	return true
}

// number fills r.values and r.places.
func (r *ranker) number(xs []uint64, limit int) bool {
	if limit < 1 {
		return false
	}
	size := bits.Len(uint(limit)) + 2 // at most half full
	r.slots = resize(r.slots, 1<<size)
	clear(r.slots)
	r.values, r.places = r.values[:0], resize(r.places, len(xs))
	for i, x := range xs {
		k := x * 0x9e3779b97f4a7c15 >> (64 - size) // 2^64 by the golden ratio spreads values that follow each other
		for r.slots[k].place > 0 && r.slots[k].value != x {
			k = (k + 1) & (1<<size - 1)
		}
		if r.slots[k].place == 0 {
			if len(r.values) == limit {
				return false
			}
			r.values = append(r.values, int64(x))
			r.slots[k] = slot{x, uint32(len(r.values))}
		}
		r.places[i] = r.slots[k].place - 1
	}
	return true
}

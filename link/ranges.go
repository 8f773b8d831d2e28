package link

import (
	"slices"

	"skyhaul/bufferstore"
	"skyhaul/link/batch"
)

// ranges is a set of sequence numbers: rising, apart from each other. The zero
// value is empty. Methods leave what a slice held before as it was.
type ranges []batch.Range

// add takes first to last in; an empty stretch changes nothing.
func (s *ranges) add(first, last bufferstore.Seq) {
	if last < first {
		return
	}
	var out ranges
	for _, r := range *s {
		if r.First <= last+1 && first <= r.Last+1 {
			first, last = min(first, r.First), max(last, r.Last)
			continue
		}
		out = append(out, r)
	}
	i, _ := slices.BinarySearchFunc(out, first, func(r batch.Range, at bufferstore.Seq) int {
		if r.First < at {
			return -1
		}
		return 1
	})
	*s = slices.Insert(out, i, batch.Range{First: first, Last: last})
}

// addAll takes all numbers of o in.
func (s *ranges) addAll(o ranges) {
	for _, r := range o {
		s.add(r.First, r.Last)
	}
}

// within returns the numbers of s from first to last.
func (s ranges) within(first, last bufferstore.Seq) (in ranges) {
	for _, r := range s {
		r.First, r.Last = max(r.First, first), min(r.Last, last)
		if r.First <= r.Last {
			in = append(in, r)
		}
	}
	return in
}

// without returns the numbers of s that are not in o.
func (s ranges) without(o ranges) (rest ranges) {
	for _, r := range s {
		for _, cut := range o {
			if cut.Last < r.First {
				continue
			}
			if cut.First > r.Last {
				break
			}
			if r.First < cut.First {
				rest = append(rest, batch.Range{First: r.First, Last: cut.First - 1})
			}
			r.First = cut.Last + 1
		}
		if r.First <= r.Last {
			rest = append(rest, r)
		}
	}
	return rest
}

// and returns the numbers that are in both.
func (s ranges) and(o ranges) (both ranges) {
	for _, r := range o {
		both = append(both, s.within(r.First, r.Last)...)
	}
	return both
}

// span returns the set of the numbers from first to last.
func span(first, last bufferstore.Seq) ranges {
	if last < first {
		return nil
	}
	return ranges{{First: first, Last: last}}
}

// count returns how many numbers s holds.
func (s ranges) count() (n int64) {
	for _, r := range s {
		n += int64(r.Last - r.First + 1)
	}
	return n
}

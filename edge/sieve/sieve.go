// Package sieve leaves out of the records what their points' rules allow:
// readings that the recorded ones tell within a stated error. It is a function
// of the passes alone and has neither clock nor goroutine.
package sieve

import "skyhaul/edge/point"

// Sieve picks what is recorded of the passes of one group and lane. It is used
// by one goroutine at a time.
type Sieve struct {
	schema point.SchemaID
	put    func(*point.Scan)
	points []state
	late   bool // a pass is put with the next one: what is recorded of it is not known before
	before pass
	now    pass
	row    point.Scan
}

// pass is one pass with what is to be recorded of it.
type pass struct {
	stamp   point.Stamp
	values  []uint64
	quality []point.Quality
	kept    []bool
	any     bool // of kept
}

func (p *pass) keep(i int, yes bool) {
	p.kept[i] = p.kept[i] || yes
	p.any = p.any || yes
}

// New returns a sieve of passes of s, each of whose columns has a rule. It hands
// what is recorded to put, with rising stamps: of each pass at most one scan, in
// which what is not recorded is point.Unrecorded. The scan is valid until put
// returns. It comes with its own pass, or with the next if a column of s has a
// swinging door.
func New(s *point.Schema, put func(*point.Scan)) *Sieve {
	n := len(s.Columns)
	v := &Sieve{
		schema: s.ID(), put: put, points: make([]state, n), before: newPass(n), now: newPass(n),
		row: point.Scan{Values: make([]uint64, n), Quality: make([]point.Quality, n)},
	}
	for i := range s.Columns {
		v.points[i].column = &s.Columns[i]
		v.late = v.late || s.Columns[i].Rule.Method == point.SwingingDoor
	}
	return v
}

func newPass(n int) pass {
	return pass{values: make([]uint64, n), quality: make([]point.Quality, n), kept: make([]bool, n)}
}

// Add takes the next pass in. A new boot begins anew.
func (v *Sieve) Add(sc *point.Scan) {
	if b := &v.before.stamp; sc.Stamp.Boot != b.Boot || sc.Stamp.Boottime <= b.Boottime {
		v.Flush()
	}
	v.now.stamp, v.now.any = sc.Stamp, false
	copy(v.now.values, sc.Values)
	copy(v.now.quality, sc.Quality)
	clear(v.now.kept)
	for i := range v.points {
		before, now := v.points[i].take(sc.Stamp.Boottime, sc.Values[i], sc.Quality[i])
		v.before.keep(i, before)
		v.now.keep(i, now)
	}
	v.record()
	v.before, v.now = v.now, v.before
	if !v.late {
		v.record()
	}
}

// Flush puts what was held back, and begins anew. After it the recorded
// readings tell all that were taken in.
func (v *Sieve) Flush() {
	for i := range v.points {
		v.before.keep(i, v.points[i].holds)
		v.points[i].forget()
	}
	v.record()
}

// record puts the pass before, if anything of it is to be recorded.
func (v *Sieve) record() {
	p := &v.before
	if !p.any {
		return
	}
	p.any = false
	v.row.Schema, v.row.Stamp = v.schema, p.stamp
	for i, kept := range p.kept {
		v.row.Values[i], v.row.Quality[i] = 0, point.Unrecorded
		if kept {
			v.row.Values[i], v.row.Quality[i] = p.values[i], p.quality[i]
		}
	}
	v.put(&v.row)
}

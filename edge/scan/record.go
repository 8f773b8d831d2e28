package scan

import (
	"time"

	"skyhaul/edge/point"
	"skyhaul/edge/sieve"
)

// Summary says that a point is sent as statistics of its readings alone. The
// zero value sends readings.
type Summary struct {
	Interval   time.Duration // of boottime; whole milliseconds, longer than the group's
	Statistics point.Statistics
}

// outlet is a part of a group that becomes records of its own: one lane, and
// one way to leave readings out.
type outlet struct {
	columns []int // indices of points
	scan    point.Scan
	schemas []*point.Schema
	take    func(*point.Scan) // one pass; nothing of it is kept
	flush   func()            // records what was held back
}

// way is what the points of an outlet have in common.
type way struct {
	lane    point.Lane
	sieved  bool // by rules that record a reading with its own pass
	late    bool // by rules that may record it with the next one
	summary Summary
}

func wayOf(p *Point) way {
	m := p.Rule.Method
	return way{lane: p.Lane, sieved: m == point.OnChange || m == point.Deadband, late: m == point.SwingingDoor, summary: p.Summary}
}

// newOutlets returns the outlets of a group, the most urgent first.
func newOutlets(g Group, sink Sink) (outs []*outlet) {
	for _, l := range point.Lanes() {
		var ways []way
		columns := map[way][]int{}
		for i := range g.Points {
			p := &g.Points[i]
			w := wayOf(p)
			if p.Local || w.lane != l {
				continue
			}
			if columns[w] == nil {
				ways = append(ways, w)
			}
			columns[w] = append(columns[w], i)
		}
		for _, w := range ways {
			outs = append(outs, newOutlet(g, w, columns[w], sink))
		}
	}
	return outs
}

func newOutlet(g Group, w way, columns []int, sink Sink) *outlet {
	s := &point.Schema{Group: g.Name}
	for _, i := range columns {
		s.Columns = append(s.Columns, g.Points[i].Column)
	}
	n := len(columns)
	o := &outlet{columns: columns, schemas: []*point.Schema{s}, flush: func() {}}
	o.scan = point.Scan{Schema: s.ID(), Values: make([]uint64, n), Quality: make([]point.Quality, n)}
	put := func(sc *point.Scan) { sink.Put(w.lane, sc.Append(nil, s)) }
	switch {
	case w.summary != (Summary{}):
		o.summarise(point.NewSummary(s, w.summary.Interval, w.summary.Statistics), func(rec []byte) { sink.Put(w.lane, rec) })
	case w.sieved || w.late:
		v := sieve.New(s, put)
		o.take, o.flush = v.Add, v.Flush
	default:
		o.take = put
	}
	return o
}

// summarise makes o one that puts summaries alone.
func (o *outlet) summarise(m *point.Summary, put func(rec []byte)) {
	o.schemas = m.Schemas()
	o.flush = func() {
		for _, rec := range m.Records() {
			put(rec)
		}
	}
	o.take = func(sc *point.Scan) {
		if !m.Add(sc) {
			o.flush()
			m.Add(sc)
		}
	}
}

// put hands one pass to every outlet.
func (s *Scanner) put(stamp point.Stamp) {
	for _, o := range s.outlets {
		o.scan.Stamp = stamp
		for k, p := range o.columns {
			o.scan.Values[k], o.scan.Quality[k] = s.values[p], s.quality[p]
		}
		o.take(&o.scan)
	}
}

func (s *Scanner) flush() {
	for _, o := range s.outlets {
		o.flush()
	}
}
